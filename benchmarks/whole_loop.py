"""False incidents through the whole loop in memory: part of ``scripts/bench kinds``.

Requests are scored, joined with outcomes that come up to a day later, or never, measured, compared with the reference and watched, by all
stages as they are hosted; nothing is drawn in their place. Nothing is wrong, so each incident is false.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from rich.table import Table
from scipy.stats import poisson

from benchmarks.watch import DAY
from leadline.core.columnar.columns import Floats, logistic
from leadline.core.models import LoadedVersion, Models, Signature, Version
from leadline.core.reference import ReferenceProfile
from leadline.core.texts import Texts
from leadline.learning.facts import ScoredRows, reference_profile
from leadline.records import Alert, Outcome, PredictionRequest, Rollout
from leadline.settings import ModelSettings
from leadline.testing.driver import Driver
from leadline.wire.codec import key_of, value_of

OWN_WINDOWS, REPLICATES = 30, 3
SIGNATURE = Signature("s", ["x"], [], {})


@dataclass(frozen=True, slots=True)
class Cell:
    """``varying``: how far the logit of an outcome moves from day to day; ``segments``: so many, each equally often."""

    size: int
    missing: float = 0.0
    varying: float = 0.0
    segments: int = 1
    partitions: int = 1

    @property
    def settings(self) -> ModelSettings:
        names = ["c"] if self.segments > 1 else []
        said = {"name": "m", "numeric": ["x"], "segments": names, "window": DAY, "horizon": DAY, "grace": 0}
        return ModelSettings.model_validate(said)


CELLS = {
    "n 40": Cell(40),
    "n 40, labels missing 70%, 2 partitions": Cell(40, missing=0.7, partitions=2),
    "4 segments of 10, outcomes move (0.2)": Cell(40, varying=0.2, segments=4),
}


class _Curve:
    def predict(self, matrix: Floats, texts: object = None) -> Floats:  # noqa: ARG002
        return logistic(2 * matrix[:, 0])


class _Served(Models):
    """One model that can be asked."""

    def __init__(self, settings: ModelSettings, profile: ReferenceProfile) -> None:
        self._version = LoadedVersion(settings, "v1", SIGNATURE, profile, _Curve())

    def names(self) -> list[str]:
        return ["m"]

    def settings(self, model: str) -> ModelSettings | None:  # noqa: ARG002
        return self._version.settings

    def why_unusable(self, model: str, version: str | None = None) -> str | None:  # noqa: ARG002
        return None

    def version(self, model: str, version: str) -> Version | None:  # noqa: ARG002
        return self._version

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:  # noqa: ARG002
        return self._version

    def fetched(self) -> int:
        return 0


def _rows(cell: Cell, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """One day: what is asked with, and what becomes of it."""
    x = rng.standard_normal(cell.size)
    return x, (rng.random(cell.size) < logistic(2 * x + cell.varying * rng.standard_normal())).astype(np.float64)


def _reference(cell: Cell, rng: np.random.Generator) -> ReferenceProfile:
    x, outcomes = (np.concatenate(each) for each in zip(*(_rows(cell, rng) for _ in range(OWN_WINDOWS)), strict=True))
    times = (np.repeat(np.arange(OWN_WINDOWS), cell.size) - OWN_WINDOWS) * DAY
    names = Texts([str(i) for i in range(cell.segments)], np.arange(len(x)) % cell.segments)
    segments = {"c": names} if cell.segments > 1 else {}
    scores = logistic(2 * x)
    rows = ScoredRows(scores, outcomes, scores >= 0.5, times, segments)
    return reference_profile(cell.settings, SIGNATURE, x[:, None], rows)


def run(cell: Cell, seed: int, days: int) -> list[Alert]:
    """The alerts of one replicate."""
    rng = np.random.default_rng([seed, 79])
    driver = Driver(_Served(cell.settings, _reference(cell, rng)), partitions=cell.partitions)
    rollout = Rollout("m", "v1", 0, "test", "to see")
    driver.publish("rollouts", key_of("rollouts", rollout), value_of(rollout), 0)
    waiting: list[tuple[int, Outcome]] = []
    for day in range(1, days + 1):
        waiting = _day(driver, cell, rng, day, waiting)
    for topic in ("predictions", "outcomes"):
        driver.tick(topic, (days + 5) * DAY)
    driver.settle()
    return [alert for alert in driver.read("alerts") if isinstance(alert, Alert)]


def _day(
    driver: Driver, cell: Cell, rng: np.random.Generator, day: int, waiting: list[tuple[int, Outcome]]
) -> list[tuple[int, Outcome]]:
    """Requests of a day, and the outcomes that come within it; the outcomes that wait."""
    x, outcomes = _rows(cell, rng)
    times = day * DAY + np.sort(rng.integers(0, DAY, cell.size))
    late, known = rng.integers(60_000, DAY, cell.size), rng.random(cell.size) >= cell.missing
    events: list[tuple[int, Outcome | PredictionRequest]] = []
    for i, at in enumerate(times.tolist()):
        name, category = f"{day}-{i}", {"c": str(i % cell.segments)} if cell.segments > 1 else {}
        events.append((at, PredictionRequest(name, "m", at, {"x": float(x[i])}, "", category)))
        if known[i]:
            waiting.append((at + int(late[i]), Outcome(name, float(outcomes[i]), at + int(late[i]))))
    events += [each for each in waiting if each[0] < (day + 1) * DAY]
    for at, record in sorted(events, key=lambda event: event[0]):
        topic = "outcomes" if isinstance(record, Outcome) else "prediction-requests"
        driver.publish(topic, record.request_id.encode(), value_of(record), at)
    driver.settle()
    return [each for each in waiting if each[0] >= (day + 1) * DAY]


def table(windows: int) -> Table:
    """The incidents of all kinds that have a budget, together."""
    days = windows // REPLICATES
    expected = days * REPLICATES / 30
    bound = int(poisson.ppf(0.999, expected))
    heads = (f"incidents (allowed {expected:.0f}, bound {bound})", "by kind")
    found = Table("nothing is wrong", *heads, title=f"the whole loop, {days * REPLICATES} windows")
    for name, cell in CELLS.items():
        told = [alert for seed in range(REPLICATES) for alert in run(cell, seed, days) if alert.state == "opened"]
        told = [
            alert for alert in told if not alert.kind.endswith("-stopped")
        ]  # at the end requests and labels do stop
        kinds = Counter(alert.kind for alert in told)
        found.add_row(name, str(len(told)), ", ".join(f"{kind} {count}" for kind, count in kinds.items()) or "none")
    return found
