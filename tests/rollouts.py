"""A rollout stage without a broker: its commands, pairs of two versions, and what workers tell."""

from dataclasses import replace

from leadline.core.reference import Calibration, FeatureProfile, ReferenceProfile
from leadline.core.release.rollout import READS, Rollouts
from leadline.core.scoring.routing import Deployments
from leadline.core.tables import Table
from leadline.records import (
    Candidate,
    Command,
    Metric,
    PairCounts,
    PairPartial,
    Rollout,
    Verdict,
    VersionHealth,
    WindowMetrics,
    WorkerHealth,
)
from leadline.settings import ModelSettings
from leadline.settings.release import RolloutSettings
from leadline.wire.topics import key_of
from stages import WINDOW, Host, Models, records_batch, version

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_000 * DAY
PROFILE = ReferenceProfile(
    100,
    [FeatureProfile("score", "score", [25, 25, 25, 25, 0], [0.25, 0.5, 0.75], [])],
    {},
    calibration=Calibration([1000, 1100], [10_000, 10_000], [[3_000.0, 7_000.0]]),
)
GOOD = ("v1", "champion", 1000, 0, 100, 1.0)
"""What a worker tells of the champion."""
TOPICS = {
    Candidate: "candidates", Verdict: "verdicts", Command: "commands", PairPartial: "pair-partials", WindowMetrics: "metrics",
}  # fmt: skip


def settings(approval=None, **rollout):
    """Windows of an hour, labels within an hour; what is not said of a rollout is as short."""
    said = {
        "begin": "rollout",
        "shadow": "2h",
        "bake": "1h",
        "steps": [0.1, 0.5],
        "watch": "1d",
        "min_pairs": 50,
    } | rollout
    made = ModelSettings(name="m", window="1h", horizon="1h", grace="1h", rollout=RolloutSettings(**said))
    return made if approval is None else made.model_copy(update={"approval": approval})


def batch(record, at_ms):
    topic = TOPICS[type(record)]
    return replace(records_batch(topic, [record], at_ms), keys=[key_of(topic, record)])


class Stage(Host):
    """The stage with one model m, whose v1 answers; every record goes to a new object on the same store."""

    def __init__(self, made=None, fresh=True, versions=("v1", "v2", "v3")):
        self.workers, self.shown, self.now, self.number = Table(), Table(), START, 0
        self.models = Models(
            {"m": made or settings()}, {("m", each): version(made, PROFILE, each) for each in versions}
        )
        super().__init__(
            lambda store: Rollouts(store, self.models, Deployments(self.shown), "", self.workers), fresh=fresh
        )
        self.command("promote", "v1")

    def give(self, record):
        found = self.feed(batch(record, self.now))
        self.show(found)
        return found

    def show(self, found):
        for each in found:
            if isinstance(each, Rollout):
                self.shown.apply(replace(records_batch("rollouts", [each], self.now), keys=[b"m"]))

    def command(self, kind, version="", actor="ann", **arguments):
        """Its answer and reason."""
        self.number += 1
        said = arguments | ({"version": version} if version else {})
        found = self.give(Command(f"c{self.number}", kind, "m", actor, "why", said, self.now))
        return found[-1].answer, found[-1].reason

    def gate(self, version, verdict="promote", against="v1"):
        """A candidate that the gate has judged."""
        self.number += 1
        self.give(Candidate("m", version, against, "", "", "trainer", {}, self.now))
        return self.give(
            Verdict(f"g{self.number}", "m", version, against, "gate", verdict, [], "as good", "", "", self.now)
        )

    def wait(self, ms):
        """Time passes for all topics; the host wakes the stage a little late."""
        end = self.now + ms
        while self.now < end:
            self.now = min(end, max(self.now + 5 * MINUTE, self.stage.wake_at_ms or end))
            self.show(self.pass_time(self.now, *READS))

    def tell(self, *scored, unusable=None, worker="w", told_at=None):
        """What a worker tells, some time after the rollout has begun."""
        self.wait(31_000 if told_at is None else 0)
        health = WorkerHealth(
            worker, "1", "running", 0, self.now if told_at is None else told_at, [], [], unusable or {}, [], {},
            scored=[VersionHealth("m", *each) for each in scored],
        )  # fmt: skip
        self.workers.apply(replace(records_batch("workers", [health], self.now), keys=[worker.encode()]))

    def pairs(self, better=0, worse=0, both=50, windows=1, others=("v1", "v2"), **changed):
        """So many windows pass, in each of which so many pairs are counted, and become due."""
        found = []
        for _ in range(windows):
            start = self.now // HOUR * HOUR
            self.wait(start + 2 * HOUR + 2 - self.now)
            first, second = sorted(others)
            swapped = first != others[0]
            alone = (better, worse) if swapped else (worse, better)
            counts = PairCounts(both, *alone, 5, 0, 0, 40 * 10**12, 40 * 10**12)
            partial = PairPartial(
                "m",
                first,
                second,
                "*",
                start,
                start + HOUR,
                0,
                1.0,
                self.now,
                self.now,
                "mature",
                "binary",
                counts,
                counts,
            )
            found += self.give(replace(partial, **changed))
        return found

    def measure(self, right=(0.8, 0.8), requests=(9_000, 1_000), windows=1, others=("v1", "v2"), **changed):
        """So many windows pass, in each of which a version is expected to be right in such a share of so many requests."""
        for _ in range(windows):
            start = -(-self.now // HOUR) * HOUR
            self.wait(start + HOUR - self.now)
            for name, count, share in zip(others, requests, right, strict=True):
                said = {"predictions": count, "estimated_accuracy": Metric(share)} | changed
                at = {"window_start": start, "window_end": start + HOUR, "as_of": self.now}
                self.give(replace(WINDOW, model_version=name, **at, **said))
        self.wait(11_000)

    @property
    def rollout(self):
        """The newest one."""
        return self.of(Rollout)[-1]

    def of(self, kind):
        return [each for each in self.emitted if isinstance(each, kind)]

    def said(self):
        """Where each verdict of a rollout was given, and what it is."""
        return [(each.at, each.verdict) for each in self.of(Verdict) if each.at not in ("gate", "approval")]
