"""A trainer that trains nothing: it takes one request of a model after the other, and tells of each until its end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from leadline.records import RetrainRequest, Training

ENDS = ("succeeded", "failed", "cancelled")


@dataclass(slots=True)
class PretendedTrainer:
    """``done``: requests that have an end."""

    done: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)

    def next(
        self, requests: Sequence[RetrainRequest], choose: Callable[[Sequence[str]], str], as_of: int
    ) -> Training | None:
        """Of the oldest request without an end: that it has started it, or what comes after that. None: all have ended."""
        request = next((each for each in requests if each.retrain_id not in self.done), None)
        if request is None:
            return None
        state = choose(("progress", *ENDS)) if request.retrain_id in self.begun else "started"
        self.begun.add(request.retrain_id)
        if state in ENDS:
            self.done.add(request.retrain_id)
        return Training(request.retrain_id, request.model, state, 1, {"0": 1}, "", "", "pretended", as_of)
