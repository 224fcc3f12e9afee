"""The states of a model's training as one table: what happens in each state, under which guard, and what becomes of it.

Of the rows of a state and an event the first one whose guard holds is taken. What no row names changes nothing. docs/retraining.md shows
this very table.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from leadline.core.watch.retraining.of_model import MONTH_MS, OfModel
from leadline.core.watch.retraining.triggers import Trigger
from leadline.records import iso
from leadline.settings import ModelSettings

SILENT = 3
"""A request of which nothing is heard for so many times the timeout of a training is asked for again when something asks."""


class State(StrEnum):
    """What is under way of a model."""

    IDLE = "idle"
    ASKED = "asked"
    TRAINING = "training"


class Event(StrEnum):
    """What happens."""

    TRIGGER = "something asks for a training"
    SPOILT = "an incident that no training cures opens"
    TOLD = "a trainer tells of the request"
    ENDED = "a trainer tells that it succeeded, failed or was cancelled"
    REPLACED = "another version answers than the one of the request"


class Effect(StrEnum):
    """What is done."""

    ASK = "a request is written"
    ASK_AGAIN = "the request is written again, with the same id"
    WAIT = "nothing: an incident goes on asking, a person is refused"
    HOLD = "a verdict says not to train, and to mend the pipeline; an incident goes on asking, a person is refused"
    HEAR = "it is remembered when"
    END = "the request is over"


class Case(NamedTuple):
    """What a guard looks at. ``trigger``: of the event that something asks."""

    of: OfModel
    settings: ModelSettings
    trigger: Trigger | None = None


class Guard(NamedTuple):
    """A condition in words, whether it holds, and what a person is told of it."""

    words: str
    holds: Callable[[Case], bool]
    why: Callable[[Case], str]


def is_forced(case: Case) -> bool:
    """Whether a person asks who knows of the cooldown and of the pipeline."""
    return case.trigger is not None and case.trigger.force


def patience_ms(settings: ModelSettings) -> int:
    """So long after an incident of the pipeline has ended, windows and labels may still be those of its time."""
    return (settings.alerts.cycle or settings.window) + settings.horizon


def _is_spoilt(case: Case) -> bool:
    return not is_forced(case) and case.of.spoilt_by(patience_ms(case.settings)) is not None


def why_spoilt(case: Case) -> str:
    """Which incident forbids training, and what to do."""
    found = case.of.spoilt_by(patience_ms(case.settings))
    if found is None:
        return ""
    alert_id, spoiling = found
    until = "" if spoiling.ended_at is None else f", over since {iso(spoiling.ended_at)}: wait for clean windows"
    return f"do not retrain: mend the pipeline: {spoiling.kind} {alert_id}: {spoiling.cause}{until}"


def _is_cooling(case: Case) -> bool:
    asked_at = case.of.asked_at
    return not is_forced(case) and asked_at is not None and case.of.now() - asked_at < case.settings.retrain_cooldown


def _why_cooling(case: Case) -> str:
    asked_at = case.of.asked_at or 0
    until = iso(asked_at + case.settings.retrain_cooldown)
    return f"the last training was asked for at {iso(asked_at)}, the cooldown ends at {until}; --force does not wait for it"


def _asked(case: Case) -> int:
    return sum(each > case.of.now() - MONTH_MS for each in case.of.asked)


def _is_spent(case: Case) -> bool:
    return _asked(case) >= case.settings.training.budget


def _why_spent(case: Case) -> str:
    return f"{_asked(case)} trainings were asked for within 30 days, and training.budget is {case.settings.training.budget}"


def _is_silent(case: Case) -> bool:
    under_way = case.of.under_way
    return under_way is not None and case.of.now() - under_way.heard_at > SILENT * case.settings.training.timeout


def _why_busy(case: Case) -> str:
    under_way = case.of.under_way
    return "" if under_way is None else f"{under_way.retrain_id} is under way"


ALWAYS = Guard("", lambda _: True, _why_busy)
SPOILT = Guard(
    "an incident that no training cures is open, or was within the last window (or cycle) and horizon; nobody forces it",
    _is_spoilt,
    why_spoilt,
)
COOLING = Guard("the last request is younger than `retrain_cooldown`; nobody forces it", _is_cooling, _why_cooling)
SPENT = Guard("`training.budget` requests were made within 30 days", _is_spent, _why_spent)
LOST = Guard(
    f"nothing was heard of the request for {SILENT} times `training.timeout`, and `retrain_cooldown` is over, or somebody forces it",
    lambda case: _is_silent(case) and not _is_cooling(case),
    _why_busy,
)
SILENCE = Guard(f"nothing was heard of the request for {SILENT} times `training.timeout`", _is_silent, _why_busy)


class Row(NamedTuple):
    """One transition."""

    state: State
    event: Event
    guard: Guard
    then: State
    effect: Effect


TABLE = (
    Row(State.IDLE, Event.TRIGGER, SPOILT, State.IDLE, Effect.HOLD),
    Row(State.IDLE, Event.TRIGGER, COOLING, State.IDLE, Effect.WAIT),
    Row(State.IDLE, Event.TRIGGER, SPENT, State.IDLE, Effect.WAIT),
    Row(State.IDLE, Event.TRIGGER, ALWAYS, State.ASKED, Effect.ASK),
    Row(State.IDLE, Event.SPOILT, ALWAYS, State.IDLE, Effect.HOLD),
    Row(State.ASKED, Event.TRIGGER, SPOILT, State.ASKED, Effect.HOLD),
    Row(State.ASKED, Event.TRIGGER, LOST, State.ASKED, Effect.ASK_AGAIN),
    Row(State.ASKED, Event.TRIGGER, ALWAYS, State.ASKED, Effect.WAIT),
    Row(State.ASKED, Event.SPOILT, ALWAYS, State.ASKED, Effect.HOLD),
    Row(State.ASKED, Event.TOLD, ALWAYS, State.TRAINING, Effect.HEAR),
    Row(State.ASKED, Event.ENDED, ALWAYS, State.IDLE, Effect.END),
    Row(State.ASKED, Event.REPLACED, ALWAYS, State.IDLE, Effect.END),
    Row(State.TRAINING, Event.TRIGGER, SPOILT, State.TRAINING, Effect.HOLD),
    Row(State.TRAINING, Event.TRIGGER, LOST, State.ASKED, Effect.ASK_AGAIN),
    Row(State.TRAINING, Event.TRIGGER, ALWAYS, State.TRAINING, Effect.WAIT),
    Row(State.TRAINING, Event.SPOILT, ALWAYS, State.TRAINING, Effect.HOLD),
    Row(State.TRAINING, Event.TOLD, ALWAYS, State.TRAINING, Effect.HEAR),
    Row(State.TRAINING, Event.ENDED, ALWAYS, State.IDLE, Effect.END),
    Row(State.TRAINING, Event.REPLACED, SILENCE, State.IDLE, Effect.END),
)


def row_for(event: Event, case: Case) -> Row | None:
    """The row that is taken; None where nothing changes."""
    state = state_of(case.of)
    return next((row for row in TABLE if (row.state, row.event) == (state, event) and row.guard.holds(case)), None)


def state_of(of: OfModel) -> State:
    """The state of a model."""
    if of.under_way is None:
        return State.IDLE
    return State.TRAINING if of.under_way.begun else State.ASKED


def as_markdown() -> str:
    """The table as docs/retraining.md shows it."""
    head = ("state", "event", "guard", "next state", "effect")
    rows = [head, ("---",) * 5, *((r.state, r.event, r.guard.words, r.then, r.effect) for r in TABLE)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
