"""Requests one by one: what a request counts for, and what changes when something becomes known of it."""

from collections.abc import Sequence
from math import isnan

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadline.core.columnar.columns import Ints, pick
from leadline.core.join.cohorts import Cohorts
from leadline.core.join.count_deltas import CountDeltas
from leadline.core.join.label_rules import Label, LabelRule, classify, label
from leadline.core.join.request_state import RequestState, StoredPrediction
from leadline.core.processor import Output


def change(
    before: RequestState, after: RequestState, before_ms: int, stage_ms: int, cohorts: Cohorts, deltas: CountDeltas
) -> tuple[list[Label], list[Label]]:
    """Count what is otherwise, of a request, than it was ``before`` at the stage time ``before_ms``; the labels then and now.

    Rows only grow: the predictions and outcomes of before are the first ones of after.
    """
    rules = _rules(after, cohorts)
    known = len(before.predictions)
    old = [label(rule, before.outcomes) for rule in rules[:known]]
    new = [label(rule, after.outcomes) for rule in rules]
    for i, (made, rule, now) in enumerate(zip(after.predictions, rules, new, strict=True)):
        expired = rule.deadline_ms < stage_ms
        if i >= known:
            deltas.classes[cohorts[made.cohort].model, "predictions"] += 1
            deltas.predict(made.cohort, made.event_time, made.score, made.label)
        elif (old[i], rule.deadline_ms < before_ms) == (now, expired):
            continue
        else:
            _count_label(made, old[i], rule.deadline_ms < before_ms, -1, cohorts, deltas)
        _count_label(made, now, expired, 1, cohorts, deltas)
    if (known, len(before.outcomes)) != (len(rules), len(after.outcomes)):
        _count_outcomes(before, rules[:known], old, -1, cohorts, deltas)
        _count_outcomes(after, rules, new, 1, cohorts, deltas)
    return old, new


def _count_label(
    made: StoredPrediction, known: Label, expired: bool, sign: int, cohorts: Cohorts, deltas: CountDeltas
) -> None:
    model, classes = cohorts[made.cohort].model, deltas.classes
    if known.given is not None:
        classes[model, "matched"] += sign
        classes[model, "negative_delay"] += sign * (known.given.outcome_time < made.event_time)
        deltas.match(made.cohort, made.event_time, made.score, made.label, known.given.value, sign)
    elif expired:
        classes[model, "expired"] += sign
        classes[model, "expired_late_outcome" if known.late else "expired_no_outcome"] += sign
        deltas.expire(made.cohort, made.event_time, sign)


def _count_outcomes(
    row: RequestState,
    rules: Sequence[LabelRule],
    labels: Sequence[Label],
    sign: int,
    cohorts: Cohorts,
    deltas: CountDeltas,
) -> None:
    owner = cohorts[row.predictions[0].cohort].model if row.predictions else ""
    for name in classify(rules, labels, row.outcomes):
        deltas.classes[owner, "outcome_records"] += sign
        deltas.classes[owner, name] += sign


def _rules(row: RequestState, cohorts: Cohorts) -> list[LabelRule]:
    rules = []
    for made in row.predictions:
        cohort = cohorts[made.cohort]
        seal = None if cohort.settings.grace is None else made.event_time + cohort.seal_ms
        rules.append(LabelRule(made.event_time + cohort.settings.horizon, seal, cohort.settings.policy))
    return rules


class LabeledPredictions:
    """The labeled predictions of one run: `pair` whole columns, `restate` one request."""

    def __init__(self) -> None:
        self._paired: list[tuple[list[bytes], pa.RecordBatch, list[bytes]]] = []
        self._restated: list[tuple[bytes, bytes, Label, int, int]] = []

    def pair(
        self, keys: list[bytes], given: NDArray[np.void], event_time: Ints, bodies: list[bytes], rows: Ints
    ) -> None:
        """First outcomes (`leadline.core.join.request_state.OUTCOME`) of first predictions, at the places ``rows``."""
        if len(rows):
            self._paired.append((pick(keys, rows), _columns(given[rows], event_time[rows]), pick(bodies, rows)))

    def restate(self, key: bytes, after: RequestState, old: Sequence[Label], new: Sequence[Label]) -> None:
        """The predictions of a request whose label has changed.

        The revision is the place in the log of the newest outcome: it rises, and does not depend on when its prediction came.
        """
        revision = 1 + max((given.offset for given in after.outcomes), default=-1)
        for i, (made, known) in enumerate(zip(after.predictions, new, strict=True)):
            was = old[i].given if i < len(old) else None
            if known.given != was:
                self._restated.append((key, made.body, known, made.event_time, revision))

    def outputs(self, partition: int) -> list[Output]:
        """What was collected, for ``partition``."""
        outputs = [
            Output("labeled-predictions", keys, partition, columns=columns, bodies=bodies)
            for keys, columns, bodies in self._paired
        ]
        if self._restated:
            keys, bodies = [entry[0] for entry in self._restated], [entry[1] for entry in self._restated]
            outputs.append(
                Output("labeled-predictions", keys, partition, columns=_restated_columns(self._restated), bodies=bodies)
            )
        return outputs


def _columns(given: NDArray[np.void], event_time: Ints) -> pa.RecordBatch:
    times = given["outcome_time"].astype(np.int64)
    columns = [given["value"].astype(np.float64), times, times - event_time, given["offset"].astype(np.int64) + 1]
    return pa.record_batch(
        [pa.array(column) for column in columns], names=["outcome", "outcome_time", "label_delay_ms", "revision"]
    )


def _restated_columns(labels: list[tuple[bytes, bytes, Label, int, int]]) -> pa.RecordBatch:
    given = [known.given for _, _, known, _, _ in labels]
    assert all(g is None or not isnan(g.value) for g in given)
    return pa.record_batch(
        {
            "outcome": pa.array([None if g is None else g.value for g in given], pa.float64()),
            "outcome_time": pa.array([None if g is None else g.outcome_time for g in given], pa.int64()),
            "label_delay_ms": pa.array(
                [None if g is None else g.outcome_time - e[3] for g, e in zip(given, labels, strict=True)], pa.int64()
            ),
            "revision": pa.array([entry[4] for entry in labels], pa.int64()),
        }
    )
