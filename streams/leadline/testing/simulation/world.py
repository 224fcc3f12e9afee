"""What happens in a simulated world: what is published, who works, who dies."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from leadline.records import (
    RETRAIN,
    Assignment,
    Command,
    Outcome,
    Prediction,
    PredictionRequest,
    Record,
    RetrainRequest,
    Rollout,
)
from leadline.settings import AlertLimits, ModelSettings
from leadline.settings.release import TrainingSettings
from leadline.testing.driver import Crash, Driver
from leadline.testing.journal import journaled
from leadline.testing.pretended_trainer import PretendedTrainer
from leadline.testing.simulation.pretended_models import MODEL, NOT_HERE, SLOPES, PretendedModels, Score
from leadline.topology import STEPS, Step
from leadline.wire.codec import key_of, value_of

HORIZON, WINDOW, GRACE, COOLDOWN = 80, 100, 500, 300
TRAINING = TrainingSettings(schedule=600, new_labels=6, timeout=60, budget=6)
WORKERS = 3
RETRAINING = "retraining"
JOURNALED = tuple(journaled(each) if each.name == RETRAINING else each for each in STEPS)
"""The steps; the one of retraining keeps what it has read."""
_WRITTEN = {
    "prediction-requests",
    "shadow-predictions",
    "outcomes",
    "rollouts",
    "commands",
    "trainings",
    *(topic for step in STEPS for topic in step.writes),
}
"""The topics in which something is."""


@dataclass(slots=True)
class World:
    """One simulation; `run` it, then ask what is `wrong`."""

    seed: int
    events: int
    crashes: int = 0
    moves: int = 0
    asked: set[str] = field(default_factory=set)
    now_ms: int = 0
    policy: str = "first"
    grace: int | None = None
    unlabelled: Literal["unknown", "negative"] = "unknown"
    trainer: PretendedTrainer = field(default_factory=PretendedTrainer)
    driver: Driver = field(init=False)
    assigned: list[Assignment] = field(default_factory=list)
    _random: random.Random = field(init=False)
    models: PretendedModels = field(init=False)
    _sources: list[tuple[Step, int, str]] = field(init=False)

    def run(self) -> None:
        """Let everything happen, until nothing is left to do."""
        self._random = rng = random.Random(self.seed)  # noqa: S311 - a simulation
        self.policy = rng.choice(["first", "latest"])
        self.grace = rng.choice([None, GRACE])
        limits = AlertLimits(reference=0.95, margin=0.05, false_alarms=f"10 per {2 * WINDOW}ms")
        self.unlabelled = rng.choice(["unknown", "negative"]) if self.grace else "unknown"
        settings = ModelSettings(
            name=MODEL, numeric=["x"], segments=["c"], horizon=HORIZON, window=WINDOW, grace=self.grace or "never",
            policy=self.policy, unlabelled=self.unlabelled, alerts=limits, retrain_cooldown=COOLDOWN,
            training=TRAINING,
        )  # fmt: skip
        self.models = PretendedModels(settings)
        self.driver = Driver(self.models, JOURNALED, partitions=rng.choice([1, 2, 3]), on_effect=self._maybe_crash)
        numbers = range(self.driver.partitions)
        self._sources = [(s, p, topic) for s in JOURNALED for p in numbers for topic in s.reads if topic in _WRITTEN]
        self._roll_out("v1")
        for publish in self._events():
            publish()
            for _ in range(rng.randint(0, 12)):
                self._step()
        self._settle()
        for topics in ((), ("predictions", "shadow-predictions", "outcomes")):
            for topic in topics:
                self.driver.tick(topic, self.now_ms)
            self._settle()
        while self._train(lambda states: states[-1]):
            self._settle()

    # -- what comes in ------------------------------------------------------------------------------------------------

    def _events(self) -> Iterator[Any]:
        """What is published, one after the other; ``now_ms`` follows."""
        rng, held = self._random, []
        for number in range(self.events):
            self.now_ms += rng.randint(0, 20)
            if rng.random() < 0.04:
                self._roll_out(rng.choice(["v1", "v2", "v2", NOT_HERE]))
            if rng.random() < 0.2:
                self._train(rng.choice)
            if rng.random() < 0.01:
                self._wish(rng)
            one = self._request(number) if rng.random() < 0.5 else self._outcome(number)
            again = [one] if rng.random() < 0.1 else []
            if rng.random() < 0.02:
                continue
            held += [(number + rng.choice([0, 0, 0, 2, 5]), publish) for publish in (one, *again)]
            yield from [publish for due, publish in held if due <= number]
            held = [(due, publish) for due, publish in held if due > number]
        yield from [publish for _, publish in held]
        self.now_ms += rng.randint(0, 300)

    def _roll_out(self, version: str) -> None:
        """A version is champion some time ahead; others may have a share, or say what they would answer."""
        rng, first = self._random, not self.assigned
        shares = {name: rng.choice([0.0, 0.4, 0.5]) for name in ("v1", "v2", NOT_HERE) if rng.random() < 0.5}
        shares.pop(version, None)
        made = Assignment(
            version, 0 if first else self.now_ms + rng.randint(1, 40), {} if first else shares, rng.choice("ab"),
            rng.choice([0.5, 1.0]), f"rollout at {self.now_ms}",
        )  # fmt: skip
        rollout = Rollout(
            MODEL, version, self.now_ms, "simulation", "chance", rollout_id=made.rollout_id, shares=made.shares, salt=made.salt,
            sample=made.sample, effective_at=made.effective_at, earlier=list(self.assigned),
        )  # fmt: skip
        self.assigned.insert(0, made)
        self._publish("rollouts", rollout)

    def _train(self, choose: Any) -> bool:
        """The trainer tells of a request; whether there is any without an end."""
        requests = [each for each in self.driver.read("retrain-requests") if isinstance(each, RetrainRequest)]
        training = self.trainer.next(requests, choose, self.now_ms)
        if training is not None:
            self._publish("trainings", training)
        return training is not None

    def _wish(self, rng: random.Random) -> None:
        """A person asks for a training, now and then the same once more."""
        force = {"force": "true"} if rng.random() < 0.5 else {}
        self._publish(
            "commands", Command(f"c{rng.randint(0, 4)}", RETRAIN, MODEL, "chance", "to see", force, self.now_ms)
        )

    def _publish(self, topic: str, record: Record) -> None:
        self.driver.publish(topic, key_of(topic, record), value_of(record), self.now_ms)

    def _request(self, number: int) -> Any:
        rng = self._random
        name, arrival = f"r{max(0, number - rng.randint(0, 8))}", self.now_ms
        record = PredictionRequest(
            request_id=name,
            model=MODEL,
            event_time=arrival - rng.randint(0, 60),
            features={"x": rng.uniform(-3, 3)},
            user_id="",
            categories={"c": rng.choice("ab")},
        )
        shadow = rng.choice(["v1", "v2", None])
        topic, sample = rng.choice(["predictions", "shadow-predictions"]), rng.choice([1.0, 0.5])
        return lambda: self._ask(record, arrival, shadow, topic, sample)

    def _ask(self, record: PredictionRequest, arrival: int, shadow: str | None, topic: str, sample: float) -> None:
        self.asked.add(record.request_id)
        self.driver.publish("prediction-requests", key_of("prediction-requests", record), value_of(record), arrival)

        if shadow is not None:
            prediction = _prediction(record, shadow, arrival, sample)
            self.driver.publish(topic, record.request_id.encode(), value_of(prediction), arrival)

    def _outcome(self, newest: int) -> Any:
        rng = self._random
        time = self.now_ms - rng.randint(-30, 90)
        said = rng.choice([0.0, 1.0, 1.0, 2.0, None, "yes", "no", "maybe"])
        number, name = (None, said) if isinstance(said, str) else (said, None)
        record = Outcome(f"r{max(0, newest - rng.randint(0, 12))}", number, time, name)
        return lambda: self.driver.publish("outcomes", key_of("outcomes", record), value_of(record), self.now_ms)

    # -- what happens -------------------------------------------------------------------------------------------------

    def _maybe_crash(self, _: str) -> None:
        if self._random.random() < 0.05:
            raise Crash

    def _step(self) -> int:
        """A task takes a run, or something goes wrong."""
        rng = self._random
        source = rng.choice(self._sources)
        chance = rng.random()
        if chance < 0.02:
            self.driver.kill(*source[:2], disk_too=rng.random() < 0.5)
        elif chance < 0.04:
            self.moves += 1
            self.driver.move(*source[:2], rng.randrange(WORKERS))
        try:
            return self.driver.work(*source, rng.randint(1, 9))
        except Crash:
            self.crashes += 1
            return 1

    def _settle(self) -> None:
        quiet = 0
        while quiet < 12 * len(self._sources):
            quiet = 0 if self._step() else quiet + 1


def _prediction(request: PredictionRequest, version: str, arrival: int, sample: float) -> Prediction:
    """What a version that does not answer says of a request."""
    x = request.features["x"]
    score = float(Score(SLOPES[version]).predict(np.array([[x]]))[0])
    return Prediction(
        request_id=request.request_id, model=MODEL, model_version=version, role="shadow", user_id=request.user_id,
        event_time=request.event_time, scored_at=arrival, score=score, predicted_label=int(score >= 0.5), features=[x],
        signature="s", segments=[f"c={request.categories['c']}"], feature_age_ms=None, sample=sample,
    )  # fmt: skip
