"""Retraining as a machine of states, over whatever order of events, restarts and repeats: what is asked for is what a naive reading of the
same records asks for, one training of a model is under way at a time, each request has an end, and a promotion asks for nothing.
"""

import json
from contextlib import suppress
from dataclasses import replace
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from leadline.records import RETRAIN, Alert, Command, JoinCounts, Rollout, Training, Verdict
from leadline.settings import ModelSettings
from leadline.settings.release import TrainingSettings
from leadline.testing.driver import Crash, Driver
from leadline.testing.journal import journaled, taken
from leadline.testing.naive_retraining import Reading
from leadline.testing.pretended_trainer import PretendedTrainer
from leadline.topology import step
from leadline.wire.codec import value_of
from leadline.wire.partitions import partition_of
from stages import WINDOW, Models

TRAINING = TrainingSettings(
    on=["performance", "concept-drift", "data-drift"], schedule=300, new_labels=50, timeout=40, budget=2
)
MODELS = Models(
    {name: ModelSettings(name=name, retrain_cooldown=60, window=100, horizon=30, training=TRAINING) for name in "mn"}
)
COUNTS = JoinCounts("m", -1, 1, 0, *[0] * 16)
ALERT = Alert("a", "performance", "critical", "opened", "m", "v1", "*", 0, 0, 1, {}, "")
KINDS = ["performance"] * 4 + ["concept-drift", "data-drift", "calibration"] + ["pipeline", "labels-stopped"]


STEP = journaled(step("retraining"))


class RetrainingMachine(RuleBasedStateMachine):
    """Two models on some partitions. ``now`` is the time of what comes; the stage reads its topics in any order."""

    @initialize(partitions=st.integers(1, 3), seed=st.integers(0, 2**32))
    def begin(self, partitions, seed):
        self.random = Random(seed)
        self.driver = Driver(MODELS, [STEP], partitions, on_effect=self.crash)
        self.now, self.calm, self.number = 0, False, 0
        self.versions, self.trainer, self.labels, self.revision = (
            {"m": 0, "n": 0},
            PretendedTrainer(),
            {"m": 0, "n": 0},
            0,
        )
        self.sent, self.rollouts = [], []

    # -- what comes ---------------------------------------------------------------------------------------------------

    def publish(self, topic, record):
        self.sent.append((topic, record))
        self.driver.publish(topic, record.model.encode(), value_of(record), self.now)

    def version(self, model):
        return f"v{self.versions[model]}"

    @rule(by=st.sampled_from([0, 1, 10, 60, 150]))
    def time_passes(self, by):
        self.now += by

    @rule(
        model=st.sampled_from("mmn"), number=st.integers(0, 7), kind=st.sampled_from(KINDS), early=st.booleans(),
        state=st.sampled_from(["opened"] * 4 + ["updated", "resolved", "withdrawn"]),
        segment=st.sampled_from(["*", "*", "*", "a=b"]), stale=st.sampled_from([False] * 4 + [True]),
    )  # fmt: skip
    def an_incident(self, model, number, kind, early, state, segment, stale):
        version = "old" if stale else self.version(model)
        number %= 2 if kind in ("pipeline", "labels-stopped") else 8
        self.publish(
            "alerts",
            replace(
                ALERT, alert_id=f"{model}{kind[0]}{number}", kind=kind, state=state, model=model, model_version=version, segment=segment,
                window_end=self.now, early=early and kind == "data-drift",
            ),
        )  # fmt: skip

    @rule(model=st.sampled_from("mmn"), labels=st.sampled_from([0, 5, 60, -20]), lag=st.sampled_from([0, 0, 30]))
    def counts(self, model, labels, lag):
        self.labels[model], self.revision = max(0, self.labels[model] + labels), self.revision + 1
        self.publish(
            "metrics",
            replace(
                COUNTS, model=model, as_of=self.now - lag, outcomes_used=self.labels[model], revision=self.revision
            ),
        )

    @rule(model=st.sampled_from("mmn"), ahead=st.sampled_from([-60, 0, 0, 40]))
    def a_window(self, model, ahead):
        self.publish("metrics", replace(WINDOW, model=model, as_of=self.now + ahead))

    @rule(model=st.sampled_from("mmn"), number=st.integers(0, 5), force=st.booleans())
    def a_person(self, model, number, force):
        self.publish(
            "commands",
            Command(f"c{number}", RETRAIN, model, "ada", "why", {"force": "true"} if force else {}, self.now),
        )

    @rule(model=st.sampled_from("mn"))
    def a_promotion(self, model):
        self.versions[model] += 1
        rollout = Rollout(model, self.version(model), self.now, "ada", "better")
        self.rollouts.append((rollout, self.now))
        self.publish("rollouts", rollout)
        self.now += 1

    @rule(model=st.sampled_from("mmn"))
    def the_trainer_tells(self, model):
        training = self.trainer.next(self.requests(model), self.random.choice, self.now)
        if training is not None:
            self.publish("trainings", training)

    @rule(model=st.sampled_from("mmn"), state=st.sampled_from(["started", "failed"]))
    def somebody_tells_of_what_nobody_asked_for(self, model, state):
        self.publish("trainings", Training("stray", model, state, 1, {}, "", "", "t", self.now))

    @rule()
    def something_comes_again(self):
        again = [each for each in self.sent if each[0] != "rollouts"]
        if again:
            self.publish(*self.random.choice(again))

    # -- what happens -------------------------------------------------------------------------------------------------

    def crash(self, _):
        if not self.calm and self.random.random() < 0.1:
            raise Crash

    @rule(
        partition=st.integers(0, 2), topic=st.sampled_from(STEP.reads), most=st.integers(1, 5), kill=st.integers(0, 9)
    )
    def the_stage_works(self, partition, topic, most, kill):
        partition %= self.driver.partitions
        if kill < 2:
            self.driver.kill(STEP, partition, disk_too=kill == 0)
        with suppress(Crash):
            self.driver.work(STEP, partition, topic, most)

    def settle(self):
        self.calm = True
        self.driver.settle()
        self.calm = False

    @rule(model=st.sampled_from("mn"))
    def a_promotion_asks_for_nothing(self, model):
        """All is worked on; another version begins, and the same counts come once more."""
        self.settle()
        if not self.rollouts:
            return
        self.a_promotion(model)
        before = len(self.requests(model))
        self.now += 1
        self.publish(
            "metrics",
            replace(COUNTS, model=model, as_of=self.now, outcomes_used=self.labels[model], revision=self.revision),
        )
        self.settle()
        assert len(self.requests(model)) == before

    # -- what has to be so --------------------------------------------------------------------------------------------

    def requests(self, model):
        return [each for each in self.driver.read("retrain-requests") if each.model == model]

    @invariant()
    def one_at_a_time(self):
        """Of what was asked for a version, one at most has no end yet."""
        if not hasattr(self, "driver"):
            return
        for model in "mn":
            without_end = {
                (each.model_version, each.retrain_id)
                for each in self.requests(model)
                if each.retrain_id not in self.trainer.done
            }
            versions = [version for version, _ in without_end]
            assert len(versions) == len(set(versions))

    def read_by_the_stage(self, model):
        """The records of a model in the order in which the stage had them, with the times of their arrival."""
        partition = partition_of(model.encode(), self.driver.partitions)
        return [each for each in taken(self.driver, STEP, partition) if each[0].model == model]

    def teardown(self):
        if not hasattr(self, "driver"):
            return
        self.settle()
        for model in "mn":
            self.check(model)
        self.check_each_has_an_end()

    def check(self, model):
        rollouts = [each for each in self.rollouts if each[0].model == model]
        reading = Reading(self.read_by_the_stage(model), rollouts, MODELS.settings(model)).read()
        asked = [(each.retrain_id, each.model_version) for each in self.requests(model)]
        assert [each.retrain_id for each in reading.written] == [retrain_id for retrain_id, _ in asked]
        assert len({each for each, _ in asked}) == sum(each.is_new for each in reading.written)
        verdicts = [each for each in self.driver.read("verdicts") if each.model == model]
        assert all(isinstance(each, Verdict) and each.verdict == "hold" for each in verdicts)
        assert len({each.verdict_id for each in verdicts}) == len(verdicts) == len(reading.held)
        answers = [each for each in self.driver.read("command-answers") if each.model == model]
        said = {each.command_id: each.answer == "accepted" for each in answers}
        assert said == reading.accepted
        assert len({(each.command_id, each.answer, each.reason) for each in answers}) == len(said)

    def check_each_has_an_end(self):
        """A trainer that works on brings every request to its end, and then nothing is under way."""
        for model in "mn":
            while (training := self.trainer.next(self.requests(model), max, self.now)) is not None:
                self.publish("trainings", training)
        self.settle()
        for partition in range(self.driver.partitions):
            store = self.driver.store(STEP, partition)
            assert all(json.loads(value)["under_way"] is None for _, value in store.scan(b"m", b"n"))


TestRetraining = RetrainingMachine.TestCase
TestRetraining.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
