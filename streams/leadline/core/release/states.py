"""How far a version has come, as one table: from which state what leads where. `docs/approval.md` shows it as it is here.

Whether something happens (do the persons suffice, does the gate's verdict still count) is decided before; what does not stand here
changes nothing.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """What a version is. Approved is passed through, but where another rollout is under way: then it waits for its end."""

    UNKNOWN = "no candidate"
    REGISTERED = "registered"
    GATED = "gated"
    WAITING = "waiting for approval"
    APPROVED = "approved"
    IN_ROLLOUT = "in a rollout"
    SERVING = "serving"
    RETIRED = "retired"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Event(StrEnum):
    """What may happen to a version."""

    CANDIDATE = "it is a candidate"
    PASSED = "the gate says promote"
    HELD = "the gate says anything else"
    FAILED = "the gate says reject"
    ASKED = "the policy asks for persons"
    AGREED = "so many persons have agreed as the policy asks for, or it asks for none"
    REJECT = "a person rejects it"
    LATE = "the time for the approval is over, or another version became champion meanwhile"
    BEGUN = "its rollout begins"
    OUT = "its rollout ends without it"
    ROLLED_OUT = "a rollout names it"
    REPLACED = "a rollout names another version"


class Row(NamedTuple):
    """One line: what leads from any of some states to one."""

    states: tuple[State, ...]
    event: Event
    to: State


_IDLE = (State.REGISTERED, State.GATED, State.EXPIRED)
"""Nothing is under way, and nobody has said no."""
TABLE = (
    Row((State.UNKNOWN,), Event.CANDIDATE, State.REGISTERED),
    Row(_IDLE, Event.PASSED, State.GATED),
    Row((*_IDLE, State.WAITING, State.APPROVED), Event.HELD, State.REGISTERED),
    Row((*_IDLE, State.WAITING, State.APPROVED, State.IN_ROLLOUT), Event.FAILED, State.REJECTED),
    Row((State.UNKNOWN, *_IDLE, State.RETIRED, State.REJECTED), Event.ASKED, State.WAITING),
    Row((State.UNKNOWN, *_IDLE, State.RETIRED, State.REJECTED, State.WAITING), Event.AGREED, State.APPROVED),
    Row((*_IDLE, State.WAITING, State.APPROVED, State.IN_ROLLOUT), Event.REJECT, State.REJECTED),
    Row((State.WAITING, State.APPROVED), Event.LATE, State.EXPIRED),
    Row((State.APPROVED,), Event.BEGUN, State.IN_ROLLOUT),
    Row((State.IN_ROLLOUT,), Event.OUT, State.GATED),
    Row((State.APPROVED, State.IN_ROLLOUT, State.SERVING), Event.ROLLED_OUT, State.SERVING),
    Row((State.SERVING,), Event.REPLACED, State.RETIRED),
)
_NEXT = {(state, row.event): row.to for row in TABLE for state in row.states}


def after(state: State, event: Event) -> State | None:
    """The state that an event leads to; None: it changes nothing.

    >>> after(State.GATED, Event.ASKED).value, after(State.REJECTED, Event.PASSED)
    ('waiting for approval', None)
    """
    return _NEXT.get((state, event))


def as_lines() -> Iterator[str]:
    """The table, for a page."""
    yield "| from | when | to |"
    yield "| --- | --- | --- |"
    for row in TABLE:
        yield f"| {', '.join(row.states)} | {row.event} | **{row.to}** |"
