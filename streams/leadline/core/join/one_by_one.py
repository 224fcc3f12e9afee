"""Requests that are not simple, one by one: what each counted for before the run is compared with what it counts for now.

These are requests with repeated predictions, or with more than one outcome: corrections, retractions, repeats.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Ints, pick
from leadline.core.join import pairs_of_one
from leadline.core.join.changes import Changes
from leadline.core.join.cohorts import Cohort, Cohorts
from leadline.core.join.label_rules import Label, LabelRule, StoredOutcome, classify, label, settled, up_to
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
        added = new.take(is_new)
        changes.scheduled.append((keys, added, np.array(run.first_of_deadline, bool)))
        times = changes.cohorts.assumed(added.cohort, added.event_time)
        filed = np.flatnonzero(np.array(run.first_of_assumed, bool) & (times >= changes.stage_ms))
        changes.assuming.append((pick(keys, filed), added.take(filed)))
    return is_new


def add_outcomes(requests: Requests, rows: Ints, outcomes: NDArray[np.void], store: Store, changes: Changes) -> None:
    """Add outcomes (`OUTCOME`) to their requests. ``rows`` are their rows in the batch."""
    run = _Run(requests, changes)
    for row, request, outcome in zip(rows.tolist(), requests.request.tolist(), outcomes.tolist(), strict=True):
        run.add_outcome(row, request, StoredOutcome(*outcome))
    run.finish(store)


class _Run:
    """The requests of one run, as they were and as they become.

    ``first_of_deadline``: of each prediction that was added, whether it is the first of its request that has its deadline;
    ``first_of_assumed``: whether it is the first that counts as a no from its time on.
    """

    def __init__(self, requests: Requests, changes: Changes) -> None:
        self._requests = requests
        self._changes = changes
        self._states: dict[int, tuple[RequestState, RequestState]] = {}
        self.first_of_deadline: list[bool] = []
        self.first_of_assumed: list[bool] = []

    def add_prediction(self, row: int, request: int, prediction: StoredPrediction) -> bool:
        """Add a prediction unless it repeats a version or is one too many; whether it was added. ``row`` is its row in the batch.

        Shadows are in the way of each other alone: what answers a request is refused for nothing that shadows said of it.
        """
        state, changes = self._state(request), self._changes
        cohort = changes.cohorts[prediction.cohort]
        repeated = any(
            each.shadow == prediction.shadow and _same_version(cohort, changes.cohorts[each.cohort])
            for each in state.predictions
        )
        refusal = None if repeated else _too_much(state if prediction.shadow else state.acting(), prediction, changes)
        if refusal is not None:
            changes.rejects.append(Reject(row, *refusal))
            return False
        if not prediction.shadow:
            changes.deltas.classes[cohort.model, "prediction_records"] += 1
            changes.deltas.classes[cohort.model, "duplicate_predictions"] += int(repeated)
        if repeated:
            return False
        rules = _rules(state, changes.cohorts)
        state.predictions.append(prediction)
        own = _rule(prediction, cohort)
        self.first_of_deadline.append(own.deadline_ms not in [rule.deadline_ms for rule in rules])
        assumed = own.assume_ms not in [None, *(rule.assume_ms for rule in rules)]
        self.first_of_assumed.append(assumed)
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
        now = Moment(self._changes.stage_ms, self._changes.stage_ms)
        for request, (before, after) in self._states.items():
            store.put(self._requests.store_keys[request], after.pack())
            recount(self._requests.keys[request], before, after, now, now, self._changes)

    def _state(self, request: int) -> RequestState:
        """The state of a request, for this run to add to."""
        if request not in self._states:
            before = RequestState.unpack(self._requests.states.values[request])
            self._states[request] = before, before.copy()
        return self._states[request][1]


def _too_much(state: RequestState, prediction: StoredPrediction, changes: Changes) -> tuple[str, str] | None:
    """Why a request takes no such prediction besides those that it has: the reason, and what to say."""
    all_of_them = [*state.predictions, prediction]
    if sum(len(changes.cohorts[each.cohort].segments) for each in all_of_them) > REQUEST_WINDOWS:
        return "too-many-versions", f"the predictions of a request count in {REQUEST_WINDOWS} windows at most"
    if sum(len(each.body) for each in all_of_them) > REQUEST_BYTES:
        return "state-too-large", f"the predictions of a request have {REQUEST_BYTES} bytes at most"
    return None


def _same_version(one: Cohort, other: Cohort) -> bool:
    return (one.model, one.version) == (other.model, other.version)


class Moment(NamedTuple):
    """How far predictions are: those with a deadline before ``expire_ms`` have expired, and no outcome means no before ``assume_ms``."""

    expire_ms: int
    assume_ms: int


def recount(key: bytes, before: RequestState, after: RequestState, then: Moment, now: Moment, changes: Changes) -> None:
    """Count what is different of a request between two moments, and restate predictions whose label has changed.

    States only grow: what ``before`` has comes first in ``after``.
    """
    if len(after.predictions) > 1:
        _recount_pairs(before, after, then, now, changes)
    before, after = before.acting(), after.acting()
    old, new = _recount_acting(before, after, then, now, changes)
    changes.labeled.restate(key, after, old, new)


def _recount_pairs(before: RequestState, after: RequestState, then: Moment, now: Moment, changes: Changes) -> None:
    rules = _rules(after, changes.cohorts)
    sides = list(zip(before.predictions, rules, strict=False)), list(zip(after.predictions, rules, strict=True))
    moments = then.assume_ms, now.assume_ms
    pairs_of_one.recount(sides, (before.outcomes, after.outcomes), moments, changes.cohorts, changes.pairs)


def _recount_acting(
    before: RequestState, after: RequestState, then: Moment, now: Moment, changes: Changes
) -> tuple[list[Label], list[Label]]:
    """The same of predictions that are no shadows; their labels then and now."""
    rules = _rules(after, changes.cohorts)
    known = len(before.predictions)
    for prediction in after.predictions[known:]:
        changes.deltas.classes[changes.cohorts[prediction.cohort].model, "predictions"] += 1
        changes.deltas.predict(*_counted(prediction), prediction.judged)
    said = [label(rule, before.outcomes) for rule in rules[:known]], [label(rule, after.outcomes) for rule in rules]
    old = [settled(rule, each, then.assume_ms) for rule, each in zip(rules, said[0], strict=False)]
    new = [settled(rule, each, now.assume_ms) for rule, each in zip(rules, said[1], strict=True)]
    for i, (prediction, rule) in enumerate(zip(after.predictions, rules, strict=True)):
        standing = (old[i], rule.deadline_ms < then.expire_ms) if i < known else None
        _recount_label(prediction, standing, (new[i], rule.deadline_ms < now.expire_ms), changes)
        if prediction.judged:
            outcomes = before.outcomes if i < known else None
            _recount_judged(prediction, rule, (outcomes, then.assume_ms), (after.outcomes, now.assume_ms), changes)
    if (known, len(before.outcomes)) != (len(rules), len(after.outcomes)):
        _count_outcomes(before, rules[:known], said[0], -1, changes)
        _count_outcomes(after, rules, said[1], 1, changes)
    return old, new


def _recount_label(
    prediction: StoredPrediction, before: tuple[Label, bool] | None, after: tuple[Label, bool], changes: Changes
) -> None:
    """Count what is different of a prediction: its label, and whether it has expired; it was not there ``before`` where that is None."""
    if before != after:
        if before is not None:
            _count_label(prediction, *before, -1, changes)
        _count_label(prediction, *after, 1, changes)


def _recount_judged(
    prediction: StoredPrediction,
    rule: LabelRule,
    before: tuple[Sequence[StoredOutcome] | None, int],
    after: tuple[Sequence[StoredOutcome], int],
    changes: Changes,
) -> None:
    """Count what is different in the counts at maturity; each side is the outcomes (None: no prediction yet) and the assume time."""
    matures = changes.cohorts.matured_at(prediction.cohort, prediction.event_time)
    sides = [
        None if outcomes is None else settled(rule, label(rule, up_to(outcomes, matures)), stage_ms).outcome
        for outcomes, stage_ms in (before, after)
    ]
    if sides[0] != sides[1]:
        for outcome, sign in zip(sides, (-1, 1), strict=True):
            if outcome is not None:
                changes.deltas.match(*_counted(prediction), outcome.value, 0, sign)


def _count_label(prediction: StoredPrediction, known: Label, expired: bool, sign: int, changes: Changes) -> None:
    model, classes = changes.cohorts[prediction.cohort].model, changes.deltas.classes
    if known.outcome is not None:
        classes[model, "matched"] += sign
        if known.assumed:
            classes[model, "assumed"] += sign
        else:
            classes[model, "negative_delay"] += sign * (known.outcome.outcome_time < prediction.event_time)
        changes.deltas.match(*_counted(prediction), known.outcome.value, sign, 0, int(known.assumed))
    elif expired:
        classes[model, "expired"] += sign
        classes[model, "expired_late_outcome" if known.late else "expired_no_outcome"] += sign
        changes.deltas.expire(prediction.cohort, prediction.event_time, sign)


def _counted(prediction: StoredPrediction) -> tuple[int, int, float, int]:
    """What is counted of a prediction."""
    return prediction.cohort, prediction.event_time, prediction.score, prediction.label


def _count_outcomes(
    state: RequestState, rules: Sequence[LabelRule], labels: Sequence[Label], sign: int, changes: Changes
) -> None:
    owner = changes.cohorts[state.predictions[0].cohort].model if state.predictions else ""
    for name in classify(rules, labels, state.outcomes):
        changes.deltas.classes[owner, "outcome_records"] += sign
        changes.deltas.classes[owner, name] += sign


def _rules(state: RequestState, cohorts: Cohorts) -> list[LabelRule]:
    return [_rule(prediction, cohorts[prediction.cohort]) for prediction in state.predictions]


def _rule(prediction: StoredPrediction, cohort: Cohort) -> LabelRule:
    own, time = cohort.settings, prediction.event_time
    seal = None if own.grace is None else time + cohort.seal_ms
    assume = seal if own.unlabelled == "negative" else None
    return LabelRule(time + own.horizon, seal, own.policy, cohort.classes, cohort.names, assume, cohort.negative)
