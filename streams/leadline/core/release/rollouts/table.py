"""The states of a rollout as one table: what happens in each state, under which guard, and what becomes of it.

Of the rows of a state and an event the first one whose guard holds is taken. What no row names changes nothing. docs/rollouts.md shows
this very table, and the diagram that is made of it.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from leadline.core.release.rollouts.under_way import OfModel
from leadline.settings.release import RolloutSettings

MOST_UNPROVEN = 0.5
"""More of the requests than this a version answers only once it is proven."""


class State(StrEnum):
    """What a rollout is. The last four are its ends."""

    NONE = "none"
    SHADOW = "shadow"
    CANARY = "canary"
    AB = "ab"
    PAUSED = "paused"
    WATCHED = "watched"
    SETTLED = "settled"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled-back"
    REJECTED = "rejected"


class Event(StrEnum):
    """What may happen."""

    STARTED = "it is started, by the stage or a person"
    BAKED = "the time of the step is over"
    PROVEN = "the verdict is promote"
    BROKEN = "a guardrail is broken"
    WORSE = "the verdict is roll-back"
    DEADLINE = "the deadline is over"
    WATCH_OVER = "the time to watch is over"
    BY_HAND = "somebody wrote another rollout by hand"
    PAUSE = "a person pauses it"
    RESUME = "a person resumes it"
    ABORT = "a person aborts it"
    ROLL_BACK = "a person rolls it back"
    PROMOTE = "a person promotes its version"
    REJECT = "a person, or the gate, rejects its version"


class Effect(StrEnum):
    """What is done."""

    BEGIN = "both versions score; the new one answers nobody, or its share"
    STEP = "it answers the next share"
    NOTE = "it is noted: the time of the steps still holds, and ab and paused wait for a person"
    HOLD = "it stays as it is, and a verdict says why"
    WAIT = "nothing"
    PAUSE = "it stays as it is until it is resumed; guardrails and evidence still take it out"
    RESUME = "the time of the step begins anew"
    PROMOTE = "it is champion; the champion before goes on in shadow"
    SETTLE = "the champion before scores no more"
    TAKE_OUT = "the new version is taken out; the champion answers everybody"
    GO_BACK = "the champion before is champion again"
    GIVE_UP = "nothing is written: what was written by hand holds"


class Case(NamedTuple):
    """What a guard looks at. ``held``: why the rollout may not go on, empty where it may."""

    of: OfModel
    settings: RolloutSettings
    held: str = ""


class Guard(NamedTuple):
    """A condition in words, and whether it holds."""

    words: str
    holds: Callable[[Case], bool]


def next_share(case: Case) -> float | None:
    """The share that comes next; None: there is none, or it takes a proof that is not there."""
    rollout, steps = case.of.under_way, case.settings.steps
    following = 0 if rollout is None or rollout.state == State.SHADOW else rollout.step + 1
    share = steps[following] if following < len(steps) else None
    proven = rollout is not None and rollout.proven
    return share if share is None or share <= MOST_UNPROVEN or proven else None


def _is_last(case: Case) -> bool:
    rollout = case.of.under_way
    if rollout is None or next_share(case) is not None:
        return False
    return not case.settings.steps or (rollout.state == State.CANARY and rollout.step + 1 >= len(case.settings.steps))


def _may_promote(case: Case) -> bool:
    proven = case.of.under_way is not None and case.of.under_way.proven
    return proven and _is_last(case) and case.settings.automatic


def _mode(name: str) -> Guard:
    return Guard(f"mode {name}", lambda case: case.of.under_way is not None and case.of.under_way.mode == name)


ALWAYS = Guard("", lambda _: True)
HELD = Guard("a worker cannot load it, or none scores with it", lambda case: bool(case.held))
HAS_STEP = Guard(
    "there is a next share, of one half at most, or it is proven", lambda case: next_share(case) is not None
)
MAY_PROMOTE = Guard("it was the last share, and it is proven; `automatic`", _may_promote)
SHADOW, CANARY, AB = _mode("shadow"), _mode("canary"), _mode("ab")
HOLDS = Guard("`on_deadline` is hold", lambda case: case.settings.on_deadline == "hold")
PROMOTES = Guard(
    "`on_deadline` is promote, and every worker can load it",
    lambda case: case.settings.on_deadline == "promote" and not case.held,
)


class Row(NamedTuple):
    """One transition from any of some states."""

    states: tuple[State, ...]
    event: Event
    guard: Guard
    then: State
    effect: Effect


_OPEN = (State.SHADOW, State.CANARY, State.AB)
_UNDECIDED = (*_OPEN, State.PAUSED)
TABLE = (
    Row((State.NONE,), Event.STARTED, SHADOW, State.SHADOW, Effect.BEGIN),
    Row((State.NONE,), Event.STARTED, CANARY, State.CANARY, Effect.BEGIN),
    Row((State.NONE,), Event.STARTED, AB, State.AB, Effect.BEGIN),
    Row((State.SHADOW,), Event.BAKED, HELD, State.SHADOW, Effect.HOLD),
    Row((State.SHADOW,), Event.BAKED, HAS_STEP, State.CANARY, Effect.STEP),
    Row((State.SHADOW,), Event.BAKED, MAY_PROMOTE, State.WATCHED, Effect.PROMOTE),
    Row((State.CANARY,), Event.BAKED, HELD, State.CANARY, Effect.HOLD),
    Row((State.CANARY,), Event.BAKED, HAS_STEP, State.CANARY, Effect.STEP),
    Row((State.CANARY,), Event.BAKED, MAY_PROMOTE, State.WATCHED, Effect.PROMOTE),
    Row((State.SHADOW,), Event.PROVEN, ALWAYS, State.SHADOW, Effect.NOTE),
    Row((State.CANARY,), Event.PROVEN, ALWAYS, State.CANARY, Effect.NOTE),
    Row((State.AB,), Event.PROVEN, ALWAYS, State.AB, Effect.NOTE),
    Row((State.PAUSED,), Event.PROVEN, ALWAYS, State.PAUSED, Effect.NOTE),
    Row(_UNDECIDED, Event.BROKEN, ALWAYS, State.ROLLED_BACK, Effect.TAKE_OUT),
    Row(_UNDECIDED, Event.WORSE, ALWAYS, State.ROLLED_BACK, Effect.TAKE_OUT),
    Row(_UNDECIDED, Event.ROLL_BACK, ALWAYS, State.ROLLED_BACK, Effect.TAKE_OUT),
    Row(_OPEN, Event.DEADLINE, PROMOTES, State.WATCHED, Effect.PROMOTE),
    Row((State.SHADOW,), Event.DEADLINE, HOLDS, State.SHADOW, Effect.HOLD),
    Row((State.CANARY,), Event.DEADLINE, HOLDS, State.CANARY, Effect.HOLD),
    Row((State.AB,), Event.DEADLINE, HOLDS, State.AB, Effect.HOLD),
    Row(_OPEN, Event.DEADLINE, ALWAYS, State.ABORTED, Effect.TAKE_OUT),
    Row(_OPEN, Event.PAUSE, ALWAYS, State.PAUSED, Effect.PAUSE),
    Row((State.PAUSED,), Event.RESUME, SHADOW, State.SHADOW, Effect.RESUME),
    Row((State.PAUSED,), Event.RESUME, CANARY, State.CANARY, Effect.RESUME),
    Row((State.PAUSED,), Event.RESUME, AB, State.AB, Effect.RESUME),
    Row(_UNDECIDED, Event.ABORT, ALWAYS, State.ABORTED, Effect.TAKE_OUT),
    Row(_UNDECIDED, Event.REJECT, ALWAYS, State.REJECTED, Effect.TAKE_OUT),
    Row(_UNDECIDED, Event.PROMOTE, ALWAYS, State.WATCHED, Effect.PROMOTE),
    Row((State.WATCHED,), Event.WATCH_OVER, ALWAYS, State.SETTLED, Effect.SETTLE),
    Row((State.WATCHED,), Event.ABORT, ALWAYS, State.SETTLED, Effect.SETTLE),
    Row((State.WATCHED,), Event.BROKEN, ALWAYS, State.ROLLED_BACK, Effect.GO_BACK),
    Row((State.WATCHED,), Event.WORSE, ALWAYS, State.ROLLED_BACK, Effect.GO_BACK),
    Row((State.WATCHED,), Event.ROLL_BACK, ALWAYS, State.ROLLED_BACK, Effect.GO_BACK),
    Row((*_UNDECIDED, State.WATCHED), Event.BY_HAND, ALWAYS, State.ABORTED, Effect.GIVE_UP),
)


def state_of(of: OfModel) -> State:
    """The state of a model's rollout."""
    return State.NONE if of.under_way is None else State(of.under_way.state)


def row_for(event: Event, case: Case) -> Row | None:
    """The row that is taken; None where nothing changes."""
    state = state_of(case.of)
    rows = (row for row in TABLE if state in row.states and row.event is event)
    return next((row for row in rows if row.guard.holds(case)), None)


def as_markdown() -> str:
    """The table as docs/rollouts.md shows it."""
    head = ("state", "event", "guard", "next state", "effect")
    rows = [
        head,
        ("---",) * 5,
        *((", ".join(r.states), r.event, r.guard.words, f"**{r.then}**", r.effect) for r in TABLE),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def as_mermaid() -> str:
    """The ways that lead from one state to another, as the diagram of docs/rollouts.md."""
    ways = dict.fromkeys((s, row.then, row.event) for row in TABLE for s in row.states if s is not row.then)
    pairs = dict.fromkeys((s, then) for s, then, _ in ways)
    lines = ["stateDiagram-v2", '    state "rolled-back" as rolled_back']
    for start, then in pairs:
        names = ", ".join(event.name.lower().replace("_", " ") for s, t, event in ways if (s, t) == (start, then))
        lines.append(f"    {_place(start)} --> {_place(then)}: {names}")
    ends = [state for state in State if state is not State.NONE and not any(state in row.states for row in TABLE)]
    return "\n".join([*lines, *(f"    {_place(each)} --> [*]" for each in ends)]) + "\n"


def _place(state: State) -> str:
    return "[*]" if state is State.NONE else state.replace("-", "_")
