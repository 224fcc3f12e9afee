"""All that the join keeps of one request, as bytes.

Layout (little endian): a head with the number of predictions and outcomes; a fixed entry of each prediction; the Avro body of each
prediction; a fixed entry of each outcome. So the entries of a whole run of requests are read at once, and an outcome is appended:
see `leadline.core.join.state_columns`.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from leadline.core.join.label_rules import StoredOutcome

FORMAT = 2
HEAD = np.dtype([("format", "u1"), ("predictions", "u1"), ("outcomes", "<u2")])
PREDICTION = np.dtype(
    [("event_time", "<i8"), ("cohort", "<u4"), ("score", "<f8"), ("label", "i1"), ("judged", "u1"), ("body", "<u4")]
)
"""The entry of a prediction; ``body`` is the length of its body."""
OUTCOME = np.dtype(
    [("offset", "<i8"), ("outcome_time", "<i8"), ("arrival_ms", "<i8"), ("value", "<f8"), ("log_ms", "<i8")]
)

MAX_OUTCOMES = 1000


class StoredPrediction(NamedTuple):
    """One prediction of a request; ``cohort`` is the number of its cohort, ``label`` is -1 for regression.

    ``judged``: 1 where the log held it when its window became mature, so that it is in the counts of then.
    """

    event_time: int
    cohort: int
    score: float
    label: int
    judged: int
    body: bytes


@dataclass(slots=True)
class RequestState:
    """Everything known of one request: its predictions in log order, its outcomes in log order."""

    predictions: list[StoredPrediction] = field(default_factory=list)
    outcomes: list[StoredOutcome] = field(default_factory=list)

    def copy(self) -> "RequestState":
        """A state to which records can be added while this one stays."""
        return RequestState([*self.predictions], [*self.outcomes])

    def pack(self) -> bytes:
        """The state as bytes.

        >>> state = RequestState([StoredPrediction(5, 0, 0.5, 1, 1, b"body")], [StoredOutcome(7, 6, 6, 1.0, 6)])
        >>> RequestState.unpack(state.pack()) == state
        True
        """
        head = np.array((FORMAT, len(self.predictions), len(self.outcomes)), HEAD)
        entries = np.array([(*prediction[:5], len(prediction.body)) for prediction in self.predictions], PREDICTION)
        bodies = b"".join(prediction.body for prediction in self.predictions)
        return head.tobytes() + entries.tobytes() + bodies + np.array(self.outcomes, OUTCOME).tobytes()

    @classmethod
    def unpack(cls, value: bytes) -> "RequestState":
        """Read what `pack` wrote."""
        _, predictions, outcomes = np.frombuffer(value, HEAD, 1)[0].item()
        entries = np.frombuffer(value, PREDICTION, predictions, HEAD.itemsize).tolist()
        start, stored = HEAD.itemsize + predictions * PREDICTION.itemsize, []
        for *fields, length in entries:
            stored.append(StoredPrediction._make([*fields, value[start : start + length]]))
            start += length
        return cls(stored, [StoredOutcome(*o) for o in np.frombuffer(value, OUTCOME, outcomes, start).tolist()])
