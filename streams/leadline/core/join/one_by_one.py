"""Requests that are not simple, one by one: what each counted for before the run is compared with what it counts for now.

These are requests with repeated predictions, or with more than one outcome: corrections, retractions, repeats.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Ints
from leadline.core.join.changes import Changes
from leadline.core.join.cohorts import Cohort, Cohorts
from leadline.core.join.label_rules import Label, LabelRule, StoredOutcome, classify, label
from leadline.core.join.request_state import MAX_OUTCOMES, RequestState, StoredPrediction
from leadline.core.join.requests import Requests
from leadline.core.join.state_columns import PredictionColumns
from leadline.core.processor import Reject, Store
from leadline.wire.limits import REQUEST_BYTES, REQUEST_WINDOWS


def add_predictions(
    requests: Requests, rows: Ints, new: PredictionColumns, bodies: list[bytes], store: Store, changes: Changes
) -> Ints:
    """Add predictions to their requests; returns the indices of those that are new. ``rows`` are their rows in the batch."""
    run = _Run(requests, changes)
    records = zip(rows.tolist(), new.request.tolist(), new.one_by_one(bodies), strict=True)
    is_new = np.flatnonzero([run.add_prediction(*record) for record in records])
    run.finish(store)
    keys = [requests.keys[i] for i in new.request[is_new].tolist()]
    if keys:
        changes.scheduled.append((keys, new.take(is_new), np.array(run.first_of_deadline, bool)))
    return is_new


def add_outcomes(requests: Requests, rows: Ints, outcomes: NDArray[np.void], store: Store, changes: Changes) -> None:
    """Add outcomes (`OUTCOME`) to their requests. ``rows`` are their rows in the batch."""
    run = _Run(requests, changes)
    for row, request, outcome in zip(rows.tolist(), requests.request.tolist(), outcomes.tolist(), strict=True):
        run.add_outcome(row, request, StoredOutcome(*outcome))
    run.finish(store)


class _Run:
    """The requests of one run, as they were and as they become.

    ``first_of_deadline``: of each prediction that was added, whether it is the first of its request that has its deadline.
    """

    def __init__(self, requests: Requests, changes: Changes) -> None:
        self._requests = requests
        self._changes = changes
        self._states: dict[int, tuple[RequestState, RequestState]] = {}
        self.first_of_deadline: list[bool] = []

    def add_prediction(self, row: int, request: int, prediction: StoredPrediction) -> bool:
        """Add a prediction unless it repeats a version or is one too many; whether it was added. ``row`` is its row in the batch."""
        state, changes = self._state(request), self._changes
        cohort = changes.cohorts[prediction.cohort]
        held = [changes.cohorts[other.cohort] for other in state.predictions]
        repeated = any(_same_version(cohort, other) for other in held)
        refusal = None if repeated else _too_much(state, held, prediction, cohort)
        if refusal is not None:
            changes.rejects.append(Reject(row, *refusal))
            return False
        changes.deltas.classes[cohort.model, "prediction_records"] += 1
        if repeated:
            changes.deltas.classes[cohort.model, "duplicate_predictions"] += 1
            return False
        deadlines = [rule.deadline_ms for rule in _rules(state, changes.cohorts)]
        state.predictions.append(prediction)
        self.first_of_deadline.append(prediction.event_time + cohort.settings.horizon not in deadlines)
        return True

    def add_outcome(self, row: int, request: int, outcome: StoredOutcome) -> None:
        state, changes = self._state(request), self._changes
        if len(state.outcomes) >= MAX_OUTCOMES:
            detail = f"the request has {MAX_OUTCOMES} outcomes already"
            changes.rejects.append(Reject(row, "too-many-outcomes", detail))
            return
        state.outcomes.append(outcome)
        if not state.predictions:
            changes.waiting.append((self._requests.keys[request], outcome.arrival_ms))

    def finish(self, store: Store) -> None:
        """Store the requests, count what is different now, and emit the predictions whose label has changed."""
        now_ms = self._changes.stage_ms
        for request, (before, after) in self._states.items():
            store.put(self._requests.store_keys[request], after.pack())
            old, new = recount(before, after, now_ms, now_ms, self._changes)
            self._changes.labeled.restate(self._requests.keys[request], after, old, new)

    def _state(self, request: int) -> RequestState:
        """The state of a request, for this run to add to."""
        if request not in self._states:
            before = RequestState.unpack(self._requests.states.values[request])
            self._states[request] = before, before.copy()
        return self._states[request][1]


def _too_much(
    state: RequestState, held: Sequence[Cohort], prediction: StoredPrediction, cohort: Cohort
) -> tuple[str, str] | None:
    """Why a request takes no such prediction besides those that it has, whose cohorts are ``held``: the reason, and what to say."""
    if sum(len(each.segments) for each in (*held, cohort)) > REQUEST_WINDOWS:
        return "too-many-versions", f"the predictions of a request count in {REQUEST_WINDOWS} windows at most"
    if sum(len(each.body) for each in (*state.predictions, prediction)) > REQUEST_BYTES:
        return "state-too-large", f"the predictions of a request have {REQUEST_BYTES} bytes at most"
    return None


def _same_version(one: Cohort, other: Cohort) -> bool:
    return (one.model, one.version) == (other.model, other.version)


def recount(
    before: RequestState, after: RequestState, before_ms: int, now_ms: int, changes: Changes
) -> tuple[list[Label], list[Label]]:
    """Count what is different of a request since the stage time ``before_ms``; the labels of its predictions then and now.

    States only grow: what ``before`` has comes first in ``after``.
    """
    rules = _rules(after, changes.cohorts)
    known = len(before.predictions)
    old = [label(rule, before.outcomes) for rule in rules[:known]]
    new = [label(rule, after.outcomes) for rule in rules]
    for i, (prediction, rule, now) in enumerate(zip(after.predictions, rules, new, strict=True)):
        expired = rule.deadline_ms < now_ms
        if i >= known:
            changes.deltas.classes[changes.cohorts[prediction.cohort].model, "predictions"] += 1
            changes.deltas.predict(prediction.cohort, prediction.event_time, prediction.score, prediction.label)
        elif (old[i], rule.deadline_ms < before_ms) == (now, expired):
            continue
        else:
            _count_label(prediction, old[i], rule.deadline_ms < before_ms, -1, changes)
        _count_label(prediction, now, expired, 1, changes)
    if (known, len(before.outcomes)) != (len(rules), len(after.outcomes)):
        _count_outcomes(before, rules[:known], old, -1, changes)
        _count_outcomes(after, rules, new, 1, changes)
    return old, new


def _count_label(prediction: StoredPrediction, known: Label, expired: bool, sign: int, changes: Changes) -> None:
    model, classes = changes.cohorts[prediction.cohort].model, changes.deltas.classes
    event_time, cohort, score, predicted, _ = prediction
    if known.outcome is not None:
        classes[model, "matched"] += sign
        classes[model, "negative_delay"] += sign * (known.outcome.outcome_time < event_time)
        changes.deltas.match(cohort, event_time, score, predicted, known.outcome.value, sign)
    elif expired:
        classes[model, "expired"] += sign
        classes[model, "expired_late_outcome" if known.late else "expired_no_outcome"] += sign
        changes.deltas.expire(cohort, event_time, sign)


def _count_outcomes(
    state: RequestState, rules: Sequence[LabelRule], labels: Sequence[Label], sign: int, changes: Changes
) -> None:
    owner = changes.cohorts[state.predictions[0].cohort].model if state.predictions else ""
    for name in classify(rules, labels, state.outcomes):
        changes.deltas.classes[owner, "outcome_records"] += sign
        changes.deltas.classes[owner, name] += sign


def _rules(state: RequestState, cohorts: Cohorts) -> list[LabelRule]:
    rules = []
    for prediction in state.predictions:
        cohort = cohorts[prediction.cohort]
        seal = None if cohort.settings.grace is None else prediction.event_time + cohort.seal_ms
        deadline = prediction.event_time + cohort.settings.horizon
        rules.append(LabelRule(deadline, seal, cohort.settings.policy, cohort.classes, cohort.names))
    return rules
