"""How the stages of this worker are, and what is wrong with them, as they themselves know it."""

import threading
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from leadline.foreign_text import shown
from leadline.records import CHAMPION, VersionHealth, WorkerHealth

if TYPE_CHECKING:
    from leadline.core.processor import Call

LATELY_MS = 600_000
"""A stage that joined its group again is said to have done so for this long."""
_MOST_JOINS = 1000
_REASON_CHARS = 300
_MINUTES = 10
_MOST_UNKNOWN = 50
"""Names that no model has are as many as people like to send."""
_KNOWS_MS = 1000


class StageState(StrEnum):
    """What a stage is doing. JOINING: its group has not said what it is to work on, as at a rebalance."""

    STARTING = "starting"
    JOINING = "joining"
    RESTORING = "restoring"
    RUNNING = "running"
    JOINING_AGAIN = "joining-again"
    STOPPED = "stopped"


class Trouble(NamedTuple):
    """Something that does not pass by itself. ``what`` is where: a topic with its partition, or a model with its version.

    ``message`` says what happened and what to do; ``since_ms`` is the time at which it was first seen.
    """

    step: str
    what: str
    message: str
    since_ms: int


@dataclass(slots=True)
class Stage:
    """How a stage is.

    ``since_ms``: when it came into its state. ``round_ms``: when it last asked for records; ``moved_ms``: when it last worked on some.
    ``lag``: records that are known to be there, and not worked on yet. ``joins``: when it joined its group again because something failed,
    and ``reason``, why it did so last.
    """

    name: str
    state: StageState
    since_ms: int
    partitions: list[int] = field(default_factory=list)
    lag: int | None = None
    round_ms: int | None = None
    moved_ms: int | None = None
    joins: deque[int] = field(default_factory=lambda: deque(maxlen=_MOST_JOINS))
    reason: str = ""

    def joined_again(self, now_ms: int) -> list[int]:
        """When it joined its group again lately."""
        return [at for at in self.joins if at > now_ms - LATELY_MS]

    def copy(self) -> "Stage":
        return replace(self, joins=self.joins.copy())


@dataclass(slots=True)
class Tally:
    """What a version did in a role in a minute."""

    requests: int = 0
    failed: int = 0
    calls: int = 0
    seconds: float = 0.0

    def add(self, call: "Call", seconds: float) -> None:
        self.merge(Tally(call.requests, call.failed, call.calls, seconds))

    def merge(self, other: "Tally") -> None:
        self.requests += other.requests
        self.failed += other.failed
        self.calls += other.calls
        self.seconds += other.seconds


class Told(NamedTuple):
    """What a worker told last, and when, by the broker's clock."""

    health: WorkerHealth
    at_ms: int


class Health:
    """The stages of a worker, and the troubles that are open now; lanes on any thread say how they are.

    ``changes`` counts what somebody should hear of soon: another state of a stage, a trouble that is opened or closed, news in a table.
    ``answers``: of each model the version that answers here.
    """

    def __init__(self) -> None:
        self.changes = 0
        self.answers: dict[str, str] = {}
        self._open: dict[tuple[str, str], Trouble] = {}
        self._stages: dict[str, Stage] = {}
        self._unknown = Counter[tuple[str, str]]()
        self._minutes: deque[tuple[int, Counter[str], Counter[tuple[str, str]]]] = deque(maxlen=_MINUTES)
        self._calls: deque[tuple[int, dict[tuple[str, str, str], Tally]]] = deque(maxlen=_MINUTES)
        self._stopped: dict[tuple[str, str, str], str] = {}
        self._lock = threading.Lock()

    # -- stages -------------------------------------------------------------------------------------------------------

    def expect(self, steps: Iterable[str]) -> None:
        """This worker hosts these steps."""
        for step in steps:
            self.is_now(step, StageState.STARTING)

    def is_now(self, step: str, state: StageState, partitions: Collection[int] = ()) -> None:
        """A stage is in this state, and works on these partitions."""
        now_ms, held = _now_ms(), sorted(partitions)
        with self._lock:
            stage = self._stages.get(step) or Stage(step, StageState.STARTING, 0)
            if (stage.state, stage.partitions) != (state, held) or not stage.since_ms:
                stage.state, stage.partitions, stage.since_ms, stage.lag = state, held, now_ms, None
                self.changes += 1
            self._stages[step] = stage

    def joins_again(self, step: str, reason: str) -> None:
        """Something failed that may pass by itself, and a stage tries again."""
        self.is_now(step, StageState.JOINING_AGAIN)
        with self._lock:
            self._stages[step].joins.append(_now_ms())
            self._stages[step].reason = shown(reason, _REASON_CHARS)

    def round(self, step: str, moved: bool, lag: int | None = None) -> None:
        """A stage asked for records, and worked on those that came."""
        stage, now_ms = self._stages.get(step), _now_ms()
        if stage is None:
            return
        with self._lock:
            stage.round_ms = now_ms
            stage.moved_ms = now_ms if moved else stage.moved_ms
            stage.lag = stage.lag if lag is None else lag

    def news(self) -> None:
        """A table says something new; who answers may be another one."""
        with self._lock:
            self.changes += 1

    def stages(self) -> list[Stage]:
        """All stages as they are now."""
        with self._lock:
            return [stage.copy() for stage in self._stages.values()]

    @property
    def is_ready(self) -> bool:
        """Whether all stages are members of their groups and have read their state. A trouble is no reason against it."""
        stages = self.stages()
        return bool(stages) and all(stage.state is StageState.RUNNING for stage in stages)

    def has_caught_up(self, step: str) -> bool:
        """Whether a stage has worked on all that was there. In its first rounds it may not know yet what there is."""
        stage = self._stages.get(step)
        if stage is None or stage.state is not StageState.RUNNING or stage.round_ms is None:
            return False
        return stage.lag == 0 and stage.round_ms - stage.since_ms > _KNOWS_MS

    # -- what comes in -------------------------------------------------------------------------------------------------

    def unknown(self, found: Mapping[tuple[str, str], int]) -> None:
        """(model, feature) pairs that came so often, and that no version which answers has."""
        if not found:
            return
        with self._lock:
            for pair, times in found.items():
                if pair in self._unknown or len(self._unknown) < _MOST_UNKNOWN:
                    self.changes += pair not in self._unknown
                    self._unknown[pair] += times

    def unknown_features(self) -> dict[tuple[str, str], int]:
        """How often each came since this worker began."""
        with self._lock:
            return dict(self._unknown)

    def scored(self, asked: Counter[str], refused: Counter[tuple[str, str]]) -> None:
        """So many requests of each model came, and so many became dead letters, by (model, reason)."""
        minute = _now_ms() // 60_000
        with self._lock:
            if not self._minutes or self._minutes[-1][0] != minute:
                self._minutes.append((minute, Counter(), Counter()))
            self._minutes[-1][1].update(asked)
            self._minutes[-1][2].update(refused)

    def scored_lately(self) -> tuple[Counter[str], Counter[tuple[str, str]]]:
        """The same of the last ten minutes."""
        asked, refused, since = Counter[str](), Counter[tuple[str, str]](), _now_ms() // 60_000 - _MINUTES
        with self._lock:
            for minute, of_asked, of_refused in self._minutes:
                if minute > since:
                    asked.update(of_asked)
                    refused.update(of_refused)
        return asked, refused

    def called(self, calls: "Iterable[Call]", seconds: Iterable[float]) -> None:
        """What versions did, and how long each call of a model took, in the same order.

        Who is no champion, and fails or has not scored lately, is told of soon: a rollout waits for it.
        """
        taken, minute = iter(seconds), _now_ms() // 60_000
        with self._lock:
            if not self._calls or self._calls[-1][0] != minute:
                self._calls.append((minute, {}))
            tallies = self._calls[-1][1]
            for call in calls:
                name = call.model, call.version, call.role
                is_new = not any(name in known for _, known in self._calls)
                tallies.setdefault(name, Tally()).add(call, sum(next(taken, 0.0) for _ in range(call.calls)))
                self.changes += (call.failed > 0 or is_new) and call.role != CHAMPION

    def stops(self, model: str, version: str, role: str, why: str) -> None:
        """A version scores no more in a role, or where ``why`` is empty, it does again."""
        with self._lock:
            self._stopped[model, version, role] = why
            self.changes += 1

    def versions_lately(self) -> list[VersionHealth]:
        """How versions scored in the last ten minutes, and who is stopped."""
        since, found = _now_ms() // 60_000 - _MINUTES, dict[tuple[str, str, str], Tally]()
        with self._lock:
            stopped = {name: why for name, why in self._stopped.items() if why}
            for minute, tallies in self._calls:
                for name, tally in tallies.items() if minute > since else ():
                    found.setdefault(name, Tally()).merge(tally)
        return [
            _version_health(name, found.get(name, Tally()), stopped.get(name, ""))
            for name in sorted({*found, *stopped})
        ]

    # -- troubles -----------------------------------------------------------------------------------------------------

    def stuck(self, step: str, what: str, message: str) -> None:
        """A step cannot go on with ``what`` until somebody mends it. Said again, it keeps the time at which it was said first."""
        with self._lock:
            known = self._open.get((step, what))
            self.changes += known is None
            self._open[step, what] = Trouble(step, what, message, known.since_ms if known else _now_ms())

    def freed(self, step: str, what: str) -> None:
        """A step goes on with ``what``; nothing where it was not stuck."""
        with self._lock:
            self.changes += self._open.pop((step, what), None) is not None

    def troubles(self) -> list[Trouble]:
        """All that is open, the oldest first."""
        with self._lock:
            return sorted(self._open.values(), key=lambda trouble: trouble.since_ms)


def _version_health(name: tuple[str, str, str], tally: Tally, stopped: str) -> VersionHealth:
    return VersionHealth(*name, tally.requests, tally.failed, tally.calls, tally.seconds, stopped)


def _now_ms() -> int:
    return int(time.time() * 1000)
