"""The labeled predictions that one run emits."""

from collections.abc import Sequence
from math import isnan
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.join.label_rules import Label
from leadline.core.join.request_state import RequestState
from leadline.core.processor import Output


class _Restated(NamedTuple):
    key: bytes
    body: bytes
    event_time: int
    label: Label
    revision: int


class LabeledPredictions:
    """The labeled predictions of one run: `match` takes many first labels, `restate` one request."""

    def __init__(self) -> None:
        self._matched: list[tuple[list[bytes], pa.RecordBatch, list[bytes]]] = []
        self._restated: list[_Restated] = []

    def match(self, keys: list[bytes], outcomes: NDArray[np.void], event_time: Ints, bodies: list[bytes]) -> None:
        """Predictions got the first outcome (`leadline.core.join.request_state.OUTCOME`) of their request as their label."""
        if keys:
            self._matched.append((keys, _matched_columns(outcomes, event_time), bodies))

    def assume(
        self, keys: list[bytes], negative: Floats, deadline: Ints, event_time: Ints, newest: Ints, bodies: list[bytes]
    ) -> None:
        """Predictions count as a no; ``newest`` is the offset of the newest outcome of each one's request, -1 where it has none."""
        columns = _columns(negative, deadline, event_time, newest + 2, assumed=True)
        self._matched.append((keys, columns, bodies))

    def restate(self, key: bytes, state: RequestState, old: Sequence[Label], new: Sequence[Label]) -> None:
        """The predictions of a request, which is now in this state, whose label has changed.

        The revision is the offset of the newest outcome and one more: it rises, and does not depend on when the prediction came. That of a
        label which is assumed is one more: nothing that is said of the request later is below it.
        """
        revision = 1 + max((outcome.offset for outcome in state.outcomes), default=-1)
        for i, (prediction, known) in enumerate(zip(state.predictions, new, strict=True)):
            if known.outcome != (old[i].outcome if i < len(old) else None):
                self._restated.append(
                    _Restated(key, prediction.body, prediction.event_time, known, revision + known.assumed)
                )

    def outputs(self, partition: int) -> list[Output]:
        """What was collected, for ``partition``."""
        outputs = [
            Output("labeled-predictions", keys, partition, columns=columns, bodies=bodies)
            for keys, columns, bodies in self._matched
        ]
        if self._restated:
            keys, bodies = [entry.key for entry in self._restated], [entry.body for entry in self._restated]
            columns = _restated_columns(self._restated)
            outputs.append(Output("labeled-predictions", keys, partition, columns=columns, bodies=bodies))
        return outputs


def _matched_columns(outcomes: NDArray[np.void], event_time: Ints) -> pa.RecordBatch:
    values, times = outcomes["value"].astype(np.float64), outcomes["outcome_time"].astype(np.int64)
    return _columns(values, times, event_time, outcomes["offset"].astype(np.int64) + 1)


def _columns(
    outcome: Floats, outcome_time: Ints, event_time: Ints, revision: Ints, assumed: bool = False
) -> pa.RecordBatch:
    columns = {
        "outcome": outcome,
        "outcome_time": outcome_time,
        "label_delay_ms": outcome_time - event_time,
        "revision": revision,
        "assumed": np.full(len(outcome), assumed),
    }
    return pa.record_batch({name: pa.array(column) for name, column in columns.items()})


def _restated_columns(entries: Sequence[_Restated]) -> pa.RecordBatch:
    outcomes = [entry.label.outcome for entry in entries]
    assert all(outcome is None or not isnan(outcome.value) for outcome in outcomes)
    delays = [o and o.outcome_time - entry.event_time for o, entry in zip(outcomes, entries, strict=True)]
    return pa.record_batch(
        {
            "outcome": pa.array([outcome and outcome.value for outcome in outcomes], pa.float64()),
            "outcome_time": pa.array([outcome and outcome.outcome_time for outcome in outcomes], pa.int64()),
            "label_delay_ms": pa.array(delays, pa.int64()),
            "revision": pa.array([entry.revision for entry in entries], pa.int64()),
            "assumed": pa.array([entry.label.assumed for entry in entries], pa.bool_()),
        }
    )
