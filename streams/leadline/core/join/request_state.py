"""All that the join keeps of one request, as bytes.

Layout (little endian): a head with the number of predictions and outcomes; a fixed entry of each prediction; the Avro body of each
prediction; a fixed entry of each outcome. So the entries of a whole run of requests are read at once, and an outcome is appended:
see `leadline.core.join.state_columns`.
"""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from leadline.core.join.label_rules import StoredOutcome

FORMAT = 3
HEAD = np.dtype([("format", "u1"), ("predictions", "u1"), ("outcomes", "<u2")])
FIELDS = ("event_time", "cohort", "score", "label", "judged", "shadow", "sample")
"""What the entry of a prediction has beside the length of its ``body``."""
PREDICTION = np.dtype(list(zip((*FIELDS, "body"), "<i8 <u4 <f8 i1 u1 u1 <f8 <u4".split(), strict=True)))
_OLD_PREDICTION = np.dtype([each for each in PREDICTION.descr if each[0] not in ("shadow", "sample")])
_OLD_END = b"\x00" + struct.pack("<d", 1.0)
"""What a body of format 2 lacks: no rollout, and a sample of one."""
OUTCOME = np.dtype(
    [("offset", "<i8"), ("outcome_time", "<i8"), ("arrival_ms", "<i8"), ("value", "<f8"), ("log_ms", "<i8")]
)

MAX_OUTCOMES = 1000


class StoredPrediction(NamedTuple):
    """One prediction of a request; ``cohort`` is the number of its cohort, ``label`` is -1 for regression.

    ``judged``: 1 where the log held it when its window became mature, so that it is in the counts of then. ``shadow``: 1 where it came from
    the topic of shadows: it counts in pairs alone. ``sample``: of which share of the requests its version says so.
    """

    event_time: int
    cohort: int
    score: float
    label: int
    judged: int
    body: bytes
    shadow: int = 0
    sample: float = 1.0


@dataclass(slots=True)
class RequestState:
    """Everything known of one request: its predictions in log order, its outcomes in log order."""

    predictions: list[StoredPrediction] = field(default_factory=list)
    outcomes: list[StoredOutcome] = field(default_factory=list)

    def copy(self) -> "RequestState":
        """A state to which records can be added while this one stays."""
        return RequestState([*self.predictions], [*self.outcomes])

    def acting(self) -> "RequestState":
        """The state without shadows."""
        if not any(each.shadow for each in self.predictions):
            return self
        return RequestState([each for each in self.predictions if not each.shadow], self.outcomes)

    def pack(self) -> bytes:
        """The state as bytes.

        >>> state = RequestState([StoredPrediction(5, 0, 0.5, 1, 1, b"body")], [StoredOutcome(7, 6, 6, 1.0, 6)])
        >>> RequestState.unpack(state.pack()) == state
        True
        """
        head = np.array((FORMAT, len(self.predictions), len(self.outcomes)), HEAD)
        rows = [(*each[:5], each.shadow, each.sample, len(each.body)) for each in self.predictions]
        entries = np.array(rows, PREDICTION)
        bodies = b"".join(prediction.body for prediction in self.predictions)
        return head.tobytes() + entries.tobytes() + bodies + np.array(self.outcomes, OUTCOME).tobytes()

    @classmethod
    def unpack(cls, value: bytes) -> "RequestState":
        """Read what `pack` wrote, here or before there were shadows."""
        value = upgraded(value)
        _, predictions, outcomes = np.frombuffer(value, HEAD, 1)[0].item()
        entries = np.frombuffer(value, PREDICTION, predictions, HEAD.itemsize).tolist()
        start, stored = HEAD.itemsize + predictions * PREDICTION.itemsize, []
        for *fields, shadow, sample, length in entries:
            stored.append(StoredPrediction._make([*fields, value[start : start + length], shadow, sample]))
            start += length
        return cls(stored, [StoredOutcome(*o) for o in np.frombuffer(value, OUTCOME, outcomes, start).tolist()])


def upgraded(value: bytes) -> bytes:
    """A state in the present format; one of format 2 gets what predictions have since then."""
    if value[0] == FORMAT:
        return value
    _, predictions, outcomes = np.frombuffer(value, HEAD, 1)[0].item()
    old = np.frombuffer(value, _OLD_PREDICTION, predictions, HEAD.itemsize)
    entries = np.zeros(predictions, PREDICTION)
    for name in _OLD_PREDICTION.fields or ():
        entries[name] = old[name]
    entries["sample"], entries["body"] = 1.0, old["body"] + len(_OLD_END)
    start, bodies = HEAD.itemsize + old.nbytes, []
    for length in old["body"].tolist():
        bodies.append(value[start : start + length] + _OLD_END)
        start += length
    head = np.array((FORMAT, predictions, outcomes), HEAD)
    return b"".join([head.tobytes(), entries.tobytes(), *bodies, value[start:]])
