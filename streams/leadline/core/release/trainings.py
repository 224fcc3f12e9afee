"""What a trainer has to do, from the records of one partition: requests, what became of them, and commands that end one.

A request is open until a training of it has succeeded, failed or was cancelled. Who takes a partition over reads all of them again, so a
request goes on where the trainer before it died: with the same cut, as the next attempt.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from leadline.records import ACCEPTED, CANCEL, REFUSED, Command, CommandAnswer, RetrainRequest, Training, brief

STARTED, PROGRESS, SUCCEEDED, FAILED, CANCELLED = "started", "progress", "succeeded", "failed", "cancelled"
ENDS = (SUCCEEDED, FAILED, CANCELLED)
MOST_ATTEMPTS = 5
"""Trainers that end in the middle of a request, until it is given up: what kills them may be the request."""
_NAMED = 10


class Open(NamedTuple):
    """A request that waits for its training, and what is known of earlier attempts."""

    request: RetrainRequest
    last: Training | None

    @property
    def attempt(self) -> int:
        """The number of the next attempt."""
        return self.last.attempt + 1 if self.last is not None else 1

    @property
    def has_failed(self) -> bool:
        """Whether too many trainers ended in the middle of it."""
        return self.attempt > MOST_ATTEMPTS


@dataclass(slots=True)
class Trainings:
    """The requests of one partition. Records may come again; each topic comes in its own order.

    >>> request = RetrainRequest("r1", "delays", "v1", 0, "worse than its limit", "a1", {})
    >>> known = Trainings()
    >>> known.ask(request)
    >>> known.next().attempt
    1
    """

    _requests: dict[str, RetrainRequest] = field(default_factory=dict)
    _newest: dict[str, Training] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)
    _ended: Counter[str] = field(default_factory=Counter)

    def ask(self, request: RetrainRequest) -> None:
        """A request has come, or come again: whoever asks has not heard of its end."""
        self._requests.setdefault(request.retrain_id, request)
        self._asked[request.retrain_id] += 1

    def hear(self, training: Training) -> None:
        """A trainer has said what became of a request; after its end nothing counts."""
        known = self._newest.get(training.retrain_id)
        if known is None or known.state not in ENDS:
            self._newest[training.retrain_id] = training
        self._ended[training.retrain_id] += training.state in ENDS

    def unheard(self) -> list[Training]:
        """The ends of requests that came again after it: they are to be said again."""
        return [
            each
            for name, each in self._newest.items()
            if each.state in ENDS and 0 < self._ended[name] < self._asked[name]
        ]

    def next(self) -> Open | None:
        """The oldest request that is open."""
        return next(
            (Open(each, self._newest.get(name)) for name, each in self._requests.items() if self._is_open(name)), None
        )

    def under_way(self, trainer: str) -> list[str]:
        """The requests of which this trainer was the last to say something, and not that they ended."""
        return [name for name, each in self._newest.items() if each.trainer == trainer and each.state not in ENDS]

    def cancel(self, command: Command, trainer: str, as_of: int) -> tuple[CommandAnswer, list[Training]] | None:
        """The answer to a command that ends a training, and the ends; None for another kind of command."""
        if command.kind != CANCEL:
            return None
        named = command.arguments.get("retrain_id", "")
        found = [
            Open(each, self._newest.get(name))
            for name, each in self._requests.items()
            if each.model == command.model and named in ("", name) and self._is_open(name)
        ]
        message = f"{command.actor} ended it: {command.reason}"
        ends = [self._end(each, message, trainer, as_of) for each in found]
        for each in ends:
            self.hear(each)
        names = ", ".join(brief(each.retrain_id) for each in ends[:_NAMED])
        more = f" and {len(ends) - _NAMED:,} more" if ends[_NAMED:] else ""
        said = (ACCEPTED, f"ended: {names}{more}") if ends else (REFUSED, _nothing(command, named))
        return CommandAnswer(command.command_id, command.model, command.kind, *said, as_of=as_of), ends

    def _end(self, found: Open, message: str, trainer: str, as_of: int) -> Training:
        request, last = found.request, found.last
        if last is not None:
            return replace(last, state=CANCELLED, message=message, version="", trainer=trainer, as_of=as_of)
        return Training(request.retrain_id, request.model, CANCELLED, 0, {}, message, "", trainer, as_of)

    def _is_open(self, retrain_id: str) -> bool:
        newest = self._newest.get(retrain_id)
        return newest is None or newest.state not in ENDS


def _nothing(command: Command, named: str) -> str:
    which = f" with the id {brief(named)}" if named else ""
    return f"no training of {brief(command.model)}{which} is asked for or under way"
