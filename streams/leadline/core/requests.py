"""Requests one by one: what a request counts for, and what changes when something becomes known of it."""

from collections.abc import Sequence
from math import isnan

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadline.core.batch import Output
from leadline.core.columns import Ints, pick
from leadline.core.groups import Groups
from leadline.core.labeling import Asked, Label, classify, label
from leadline.core.ledger import Ledger
from leadline.core.row import Made, Row


def account(row: Row, sign: int, stage_ms: int, groups: Groups, ledger: Ledger) -> list[Label]:
    """Add (or with sign -1 take back) everything that a request counts for; the label of each prediction."""
    asked = _asked(row, groups)
    labels = [label(ask, row.outcomes) for ask in asked]
    for made, ask, known in zip(row.predictions, asked, labels, strict=True):
        _account_prediction(made, ask, known, sign, stage_ms, groups, ledger)
    owner = groups[row.predictions[0].group].model if row.predictions else ""
    classes = ledger.classes
    for name in classify(asked, labels, row.outcomes):
        classes[owner, "outcome_records"] += sign
        classes[owner, name] += sign
    return labels


def _account_prediction(
    made: Made, ask: Asked, known: Label, sign: int, stage_ms: int, groups: Groups, ledger: Ledger
) -> None:
    model, classes = groups[made.group].model, ledger.classes
    classes[model, "predictions"] += sign
    ledger.predict(made.group, made.event_time, sign)
    if known.given is not None:
        classes[model, "matched"] += sign
        classes[model, "negative_delay"] += sign * (known.given.outcome_time < made.event_time)
        ledger.match(made.group, made.event_time, made.score, made.label, known.given.value, sign)
    elif ask.deadline_ms < stage_ms:
        classes[model, "expired"] += sign
        classes[model, "expired_late_outcome" if known.late else "expired_no_outcome"] += sign
        ledger.expire(made.group, made.event_time, sign)


def _asked(row: Row, groups: Groups) -> list[Asked]:
    asked = []
    for made in row.predictions:
        group = groups[made.group]
        seal = None if group.settings.grace is None else made.event_time + group.seal_ms
        asked.append(Asked(made.event_time + group.settings.horizon, seal, group.settings.policy))
    return asked


class LabeledPredictions:
    """The labeled predictions of one run: `pair` whole columns, `restate` one request."""

    def __init__(self) -> None:
        self._paired: list[tuple[list[bytes], pa.RecordBatch, list[bytes]]] = []
        self._restated: list[tuple[bytes, bytes, Label, int, int]] = []

    def pair(
        self, keys: list[bytes], given: NDArray[np.void], event_time: Ints, bodies: list[bytes], rows: Ints
    ) -> None:
        """First outcomes (`leadline.core.row.GIVEN`) of first predictions, at the places ``rows``."""
        if len(rows):
            self._paired.append((pick(keys, rows), _columns(given[rows], event_time[rows]), pick(bodies, rows)))

    def restate(self, key: bytes, after: Row, old: Sequence[Label], new: Sequence[Label]) -> None:
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
