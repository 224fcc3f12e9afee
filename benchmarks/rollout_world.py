"""A rollout in simulated time: requests, labels that come late, and what workers tell, through the stages as they are."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from leadline.core.columnar.columns import Floats
from leadline.core.models import LoadedVersion, Named, Signature, StoppedError
from leadline.core.processor import Batch, Call, Effects, EventDriven, Processor
from leadline.records import (
    PROMOTE,
    START,
    Command,
    Outcome,
    PredictionRequest,
    Record,
    Rollout,
    VersionHealth,
    WorkerHealth,
)
from leadline.settings import ModelSettings
from leadline.testing.driver import Driver
from leadline.topology import Step, Task, step
from leadline.wire.codec import key_of, value_of

MINUTE = 60_000
BEGIN = 24_000 * 60 * MINUTE
MODEL, CHAMPION, CHALLENGER = "m", "v1", "v2"
_STEPS = ("scoring", "shadow", "join", "rollout")
_RIGHT = 0.9
"""How often both are right where they agree."""
_GUARDED_MINUTES = 10
_CHAMPION_TAKES = 0.002


@dataclass(frozen=True, slots=True)
class Challenger:
    """How a challenger differs from its champion.

    ``shares``: in what share of the requests it, or the champion, alone is right, in each of as many segments; ``lost_after``: minutes
    to the labels of what it lost; all others come after one. ``takes``: seconds for a batch. ``broken``: the share of
    requests for which it gives NaN. ``loads``: whether a worker can load it. ``stopped_after``: its memory grows, and after so many
    batches in shadow the worker stops it.
    """

    shares: tuple[tuple[float, float], ...] = ((0.05, 0.05),)
    lost_after: int = 1
    takes: float = _CHAMPION_TAKES
    broken: float = 0.0
    loads: bool = True
    stopped_after: int | None = None

    @property
    def is_told(self) -> bool:
        """Whether what workers tell each minute shows it; else nothing happens between two windows."""
        return self.takes > _CHAMPION_TAKES or self.broken > 0 or self.stopped_after is not None


class _Answers:
    """A model whose answer is one of the features."""

    def __init__(self, column: int) -> None:
        self._column = column

    def predict(self, matrix: Floats, texts: Named) -> Floats:  # noqa: ARG002
        found: Floats = matrix[:, self._column]
        return np.where(found < 0, np.nan, found)


class _Leaking(_Answers):
    """As a worker serves it in shadow: it is called until it has taken too much memory."""

    def __init__(self, column: int, calls: int) -> None:
        super().__init__(column)
        self._left = calls

    @property
    def is_stopped(self) -> bool:
        return self._left <= 0

    def predict(self, matrix: Floats, texts: Named) -> Floats:
        self._left -= 1
        if self.is_stopped:
            raise StoppedError
        return super().predict(matrix, texts)


class OneModel:
    """A model, its champion and its challenger, as one worker knows them."""

    def __init__(self, settings: ModelSettings, challenger: Challenger, leaking: _Leaking | None = None) -> None:
        self._settings, self._loads = settings, challenger.loads
        signature = Signature.of([CHAMPION, CHALLENGER], ["s"], {"s": [str(i) for i in range(len(challenger.shares))]})
        predictors = {CHAMPION: _Answers(0), CHALLENGER: leaking or _Answers(1)}
        self._versions = {
            name: LoadedVersion(settings, name, signature, None, each) for name, each in predictors.items()
        }

    def names(self) -> list[str]:
        return [MODEL]

    def settings(self, model: str) -> ModelSettings | None:
        return self._settings if model == MODEL else None

    def why_unusable(self, model: str, version: str | None = None) -> str | None:  # noqa: ARG002
        return None if version != CHALLENGER or self._loads else "it crashes while it is loaded"

    def version(self, model: str, version: str) -> LoadedVersion | None:  # noqa: ARG002
        return self._versions.get(version)

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:  # noqa: ARG002
        return None if self.why_unusable(model, version) else self._versions.get(version)

    def fetched(self) -> int:
        return 0


class _Telling(EventDriven):
    """A stage that scores, whose calls are told."""

    def __init__(self, inner: Processor, told: list[Call]) -> None:
        self._inner, self._told = inner, told

    def on_batch(self, batch: Batch) -> Effects:
        effects = self._inner.on_batch(batch)
        self._told += effects.calls
        return effects


@dataclass(slots=True)
class RolloutWorld:
    """One rollout: `pass_time` until `is_over`, then ask what came of it.

    ``rate``: requests a minute. ``answered``: requests that went to the challenger, and ``unanswered``: those of them that got no answer.
    """

    challenger: Challenger
    settings: ModelSettings
    seed: int
    rate: int = 60
    mode: str = "canary"
    now: int = BEGIN
    answered: int = 0
    unanswered: int = 0
    driver: Driver = field(init=False)
    _rng: np.random.Generator = field(init=False)
    _requests: int = 0
    _labels: list[tuple[int, Outcome]] = field(default_factory=list)
    _leaking: _Leaking | None = None
    _told: dict[str, list[Call]] = field(default_factory=lambda: {"scoring": [], "shadow": []})
    _minutes: deque[list[Call]] = field(default_factory=lambda: deque(maxlen=_GUARDED_MINUTES))

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        if self.challenger.stopped_after is not None:
            self._leaking = _Leaking(1, self.challenger.stopped_after)
        models = OneModel(self.settings, self.challenger)
        self.driver = Driver(models, [self._step(step(name)) for name in _STEPS])
        self._command(PROMOTE, {"version": CHAMPION})
        self._command(START, {"version": CHALLENGER, "mode": self.mode})

    def _step(self, known: Step) -> Step:
        if known.name not in self._told:
            return known

        def processor(task: Task) -> Processor:
            confined = OneModel(self.settings, self.challenger, self._leaking)
            own = replace(task, models=confined) if known.name == "shadow" else task
            return _Telling(known.processor(own), self._told[known.name])

        return replace(known, processor=processor)

    def _command(self, kind: str, arguments: dict[str, str]) -> None:
        self._publish("commands", Command(kind, kind, MODEL, "ann", "to see", arguments, self.now), self.now)
        self.driver.settle()

    def _publish(self, topic: str, record: Record, at_ms: int) -> None:
        self.driver.publish(topic, key_of(topic, record), value_of(record), at_ms)

    # -- what came of it ----------------------------------------------------------------------------------------------

    @property
    def rollouts(self) -> list[Rollout]:
        return [each for each in self.driver.read("rollouts") if isinstance(each, Rollout)]

    @property
    def is_over(self) -> bool:
        """Whether it is promoted, or over and the last request has gone to its challenger."""
        last = self.rollouts[-1]
        return last.champion == CHALLENGER or (not last.rollout_id and last.effective_at < self.now)

    # -- time ---------------------------------------------------------------------------------------------------------

    def pass_time(self, minutes: int = 1) -> None:
        """Requests and labels of some minutes, then what workers tell and what the stages make of it."""
        begin, self.now = self.now, self.now + minutes * MINUTE
        for at in np.sort(self._rng.integers(begin + 1, self.now + 1, minutes * self.rate)).tolist():
            self._ask(at)
        due, self._labels = _split(self._labels, self.now)
        for at, outcome in due:
            self._publish("outcomes", outcome, at)
        self.driver.settle()
        self._tell()
        self.driver.pass_time(self.now)
        self.driver.settle()

    def _ask(self, at: int) -> None:
        rng, self._requests = self._rng, self._requests + 1
        name, segment = f"r{self._requests}", int(rng.integers(len(self.challenger.shares)))
        better, worse = self.challenger.shares[segment]
        chance, truth = rng.random(), float(rng.random() < 0.5)
        agreed = bool(rng.random() < _RIGHT)
        won, lost = chance < better, better <= chance < better + worse
        features = {
            CHAMPION: _score(truth, lost or (agreed and not won)),
            CHALLENGER: -1.0 if rng.random() < self.challenger.broken else _score(truth, won or (agreed and not lost)),
        }
        request = PredictionRequest(name, MODEL, at, features, f"u{rng.integers(10_000)}", {"s": str(segment)})
        self._publish("prediction-requests", request, at)
        label_at = at + (self.challenger.lost_after if lost else 1) * MINUTE
        self._labels.append((label_at, Outcome(name, truth, label_at)))

    def _tell(self) -> None:
        """What a worker tells of the last ten minutes."""
        of_scoring, of_shadow = self._told["scoring"], self._told["shadow"]
        own = [each for each in of_scoring if each.version == CHALLENGER]
        self.answered += sum(each.requests for each in own)
        self.unanswered += sum(each.failed for each in own)
        self._minutes.append([*of_scoring, *of_shadow])
        of_scoring.clear()
        of_shadow.clear()
        stopped = "it took more memory than it may have" if self._leaking and self._leaking.is_stopped else ""
        unusable = {} if self.challenger.loads else {f"{MODEL} {CHALLENGER}": "it crashes while it is loaded"}
        scored = _scored([each for minute in self._minutes for each in minute], self.challenger.takes, stopped)
        health = WorkerHealth("w", "1", "running", BEGIN, self.now, [], [], unusable, [], {}, scored=scored)
        self._publish("workers", health, self.now)


def _score(truth: float, is_right: bool) -> float:
    return 0.9 if is_right == bool(truth) else 0.1


def _split(labels: list[tuple[int, Outcome]], now: int) -> tuple[list[tuple[int, Outcome]], list[tuple[int, Outcome]]]:
    due = sorted((each for each in labels if each[0] <= now), key=lambda each: each[0])
    return due, [each for each in labels if each[0] > now]


def _scored(calls: Sequence[Call], takes: float, stopped: str) -> list[VersionHealth]:
    """What each version did in each role, and how long it took for it."""
    requests, failed, times = Counter[tuple[str, str]](), Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for each in calls:
        name = each.version, each.role
        requests[name] += each.requests
        failed[name] += each.failed
        times[name] += each.calls
    return [
        VersionHealth(
            MODEL, version, role, requests[version, role], failed[version, role], times[version, role],
            times[version, role] * (takes if version == CHALLENGER else _CHAMPION_TAKES),
            stopped if (version, role) == (CHALLENGER, "shadow") else "",
        )
        for version, role in requests
    ]  # fmt: skip
