"""The whole topology in memory under faults chosen by a seed, held against the naive join of its own logs.

A world publishes requests and outcomes (some twice, some late, some in another order, some never), and lets tasks take small runs.
In between, workers die before any effect, lose their disks, and hand tasks to others that may have an older state of them. When all
is quiet, `wrong` says what is not so. The same seed gives the same world.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from leadline.core.columnar.columns import Floats
from leadline.core.models import NO_TEXTS, LoadedVersion, Named, Signature
from leadline.core.release.audit import DECISIONS
from leadline.core.windows.latest import latest
from leadline.core.windows.reference_bins import build_profile
from leadline.records import (
    RETRAIN,
    Alert,
    Assignment,
    AuditEntry,
    Command,
    CommandAnswer,
    JoinCounts,
    Outcome,
    PairPartial,
    Prediction,
    PredictionRequest,
    Record,
    RetrainRequest,
    Rollout,
    WindowMetrics,
    WindowPartial,
    WindowProfile,
)
from leadline.settings import AlertLimits, ModelSettings
from leadline.settings.release import TrainingSettings
from leadline.testing import oracle
from leadline.testing.audited import wrong_chain
from leadline.testing.driver import Crash, Driver
from leadline.testing.journal import journaled, taken
from leadline.testing.naive_retraining import Reading
from leadline.testing.naive_routing import answers, says
from leadline.testing.pretended_trainer import PretendedTrainer
from leadline.topology import STEPS, Step
from leadline.wire.codec import key_of, value_of
from leadline.wire.partitions import partition_of

MODEL = "m"
HORIZON, WINDOW, GRACE, COOLDOWN = 80, 100, 500, 300
NOT_HERE = "v3"
"""A version that is rolled out, and that no worker can load."""
TRAINING = TrainingSettings(schedule=600, new_labels=6, timeout=60, budget=6)
WORKERS = 3
RETRAINING = "retraining"
_STEPS = tuple(journaled(each) if each.name == RETRAINING else each for each in STEPS)
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
SLOPES = {"v1": 1.0, "v2": 2.0}
"""The versions, and how steep the curve of each is."""
_CLOSE = 1e-9
_TALLIES = ("predictions", "matched", "assumed", "pending", "expired", "tp", "fp", "fn", "tn")
_JUDGED = ("predictions", "matched", "predicted_positive", "tp", "fp", "fn", "tn")
_MEANS = ("accuracy", "precision", "recall", "f1", "logloss", "brier", "mean_score", "outcome_rate")
CLASSES = [0.0, 1.0]
NAMES = {"no": 0.0, "yes": 1.0}
_OUTCOME_CLASSES = ("used", "duplicate", "conflicting", "late", "orphan", "after_grace", "retractions", "not_a_class")


Counted = WindowPartial | WindowProfile | WindowMetrics | JoinCounts | PairPartial


class _Score:
    """A model that anyone can check: a logistic curve."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def predict(self, matrix: Floats, texts: Named = NO_TEXTS) -> Floats:  # noqa: ARG002
        scores: Floats = 1 / (1 + np.exp(-self.slope * matrix[:, 0]))
        return scores


class _Models:
    """One model with two versions."""

    def __init__(self, settings: ModelSettings) -> None:
        self.known = settings
        signature = Signature("s", ["x"], [], {})
        values = np.linspace(-3, 3, 200).reshape(-1, 1)
        self.versions = {}
        for name, slope in SLOPES.items():
            profile = build_profile(signature, values, _Score(slope).predict(values), {"accuracy": 0.8})
            profile = replace(profile, classes=CLASSES, class_names=list(NAMES))
            self.versions[name] = LoadedVersion(settings, name, signature, profile, _Score(slope))

    def names(self) -> list[str]:
        return [MODEL]

    def settings(self, model: str) -> ModelSettings | None:
        return self.known if model == MODEL else None

    def why_unusable(self, model: str, version: str | None = None) -> str | None:  # noqa: ARG002
        return None

    def version(self, model: str, version: str) -> LoadedVersion | None:
        return self.versions.get(version) if model == MODEL else None

    def loaded(self, model: str, version: str, rolled_out_ms: int) -> LoadedVersion | None:  # noqa: ARG002
        return self.version(model, version)

    def fetched(self) -> int:
        return 0


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
    _assigned: list[Assignment] = field(default_factory=list)
    _random: random.Random = field(init=False)
    _models: _Models = field(init=False)
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
        self._models = _Models(settings)
        self.driver = Driver(self._models, _STEPS, partitions=rng.choice([1, 2, 3]), on_effect=self._maybe_crash)
        numbers = range(self.driver.partitions)
        self._sources = [(s, p, topic) for s in _STEPS for p in numbers for topic in s.reads if topic in _WRITTEN]
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
        rng, first = self._random, not self._assigned
        shares = {name: rng.choice([0.0, 0.4, 0.6]) for name in ("v1", "v2", NOT_HERE) if rng.random() < 0.5}
        shares.pop(version, None)
        made = Assignment(
            version, 0 if first else self.now_ms + rng.randint(1, 40), {} if first else shares, rng.choice("ab"),
            rng.choice([0.5, 1.0]), f"rollout at {self.now_ms}",
        )  # fmt: skip
        rollout = Rollout(
            MODEL, version, self.now_ms, "simulation", "chance", rollout_id=made.rollout_id, shares=made.shares, salt=made.salt,
            sample=made.sample, effective_at=made.effective_at, earlier=list(self._assigned),
        )  # fmt: skip
        self._assigned.insert(0, made)
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

    # -- what has to be so --------------------------------------------------------------------------------------------

    def wrong(self) -> list[str]:
        """Everything that is not as it should be, each in one line."""
        return [
            *self._wrong_scores(), *self._wrong_routes(), *self._wrong_numbers(), *self._wrong_pairs(), *self._wrong_profiles(),
            *self._wrong_history(), *self._wrong_alerts(), *self._wrong_requests(), *self._wrong_audit(),
        ]  # fmt: skip

    def _wrong_scores(self) -> Iterator[str]:
        emitted = self.driver.log("predictions")
        if missing := self.asked - {row["request_id"] for row in emitted}:
            yield f"requests without a prediction: {sorted(missing)[:5]}"
        for row in emitted:
            slope = SLOPES[row["model_version"]]
            if abs(row["score"] - 1 / (1 + np.exp(-slope * row["features"][0]))) > _CLOSE:
                yield f"{row['request_id']} has the score {row['score']}"

    def _wrong_routes(self) -> Iterator[str]:
        """One version answers a request at a time, whoever died meanwhile: the one that its arrival asks for; the others say theirs."""
        acted: defaultdict[tuple[str, int], set[tuple[str, str]]] = defaultdict(set)
        for row in self.driver.log("predictions"):
            if row["role"] != "shadow":
                acted[row["request_id"], row["scored_at"]].add((row["model_version"], row["role"]))
        said: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        for row in self.driver.log("shadow-predictions"):
            if row["rollout_id"]:  # else somebody else wrote it, by chance
                said[row["request_id"], row["scored_at"]].add(row["model_version"])
        for request in self.driver.log("prediction-requests"):
            name, arrival = request["request_id"], request["arrival_time"]
            who = answers(self._assigned, name, arrival, SLOPES)
            if acted[name, arrival] != {who}:
                yield f"{name} at {arrival} is answered by {acted[name, arrival]}, not by {who}"
            others = says(self._assigned, name, name, arrival, SLOPES)
            if said[name, arrival] != others:
                yield f"{name} at {arrival} has shadows {said[name, arrival]}, not {others}"

    def _wrong_numbers(self) -> Iterator[str]:
        """The live numbers against a batch join of the two logs."""
        rules = self._rules()
        counts, rows, _ = oracle.join(*self._logs(), as_of=self.now_ms, **rules)
        judged = oracle.at_maturity(*self._logs(), as_of=self.now_ms, **rules)
        emitted = [r for r in self.driver.read("metrics") if isinstance(r, WindowMetrics | JoinCounts)]
        held = latest(emitted, _identity).values()
        totals = Counter[str]()
        for record in held:
            if isinstance(record, JoinCounts):
                totals.update({name: getattr(record, name) for name in counts if name != "pending"})
        totals["pending"] = totals["predictions"] - totals["matched"] - totals["expired"]
        yield from [f"{name} is {totals[name]}, not {value}" for name, value in counts.items() if totals[name] != value]
        live = {(w.model_version, w.window_start, w.segment): w for w in held if isinstance(w, WindowMetrics)}
        if set(live) != set(rows):
            yield f"windows differ: {sorted(set(live) ^ set(rows))[:3]}"
        for window_key in set(live) & set(rows):
            yield from _wrong_window(window_key, live[window_key], rows[window_key])
            yield from _wrong_at_maturity(window_key, live[window_key], judged[window_key])

    def _rules(self) -> dict[str, Any]:
        return {
            "horizon": HORIZON, "window": WINDOW, "policy": self.policy, "grace": self.grace, "unlabelled": self.unlabelled,
        }  # fmt: skip

    def _wrong_pairs(self) -> Iterator[str]:
        """The pairs of versions against a comparison of the logs."""
        predictions, outcomes = self._logs()
        logs = predictions, self._said("shadow-predictions"), outcomes
        counted = oracle.pairs(*logs, as_of=self.now_ms, **self._rules())
        emitted = [each for each in self.driver.read("pair-partials") if isinstance(each, PairPartial)]
        held = latest(emitted, _identity)
        live: defaultdict[oracle.PairKey, list[PairPartial]] = defaultdict(list)
        for each in held.values():
            live[each.first, each.second, each.window_start, each.segment, each.sample].append(each)
        judged = oracle.pairs_at_maturity(*logs, as_of=self.now_ms, known=live, **self._rules())
        for key in judged:
            for name in oracle.CELLS:
                found, wanted = sum(getattr(each.counts, name) for each in live[key]), counted.get(key, oracle.NO_PAIRS)
                if found != wanted[name]:
                    yield f"pairs of {key}: {name} is {found}, not {wanted[name]}"
                matures, then = [each.mature for each in live[key]], judged[key]
                known = sum(getattr(each, name) for each in matures if each is not None)
                if (None in matures) != (then is None) or known != (then or oracle.NO_PAIRS)[name]:
                    yield f"pairs of {key}: {name} at maturity is {known}, not {then and then[name]}"

    def _logs(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        return self._said("predictions"), self._known()

    def _said(self, topic: str) -> list[dict[str, Any]]:
        predictions = self.driver.log(topic)
        for row in predictions:
            row |= {"label_pred": row["predicted_label"], "segment": row["segments"][0]}
            row |= {"classes": CLASSES, "names": NAMES}
        return predictions

    def _known(self) -> list[dict[str, Any]]:
        outcomes = self.driver.log("outcomes")
        for row in outcomes:
            row["outcome"] = row["outcome"] if row["class_name"] is None else row["class_name"]
        return outcomes

    def _wrong_profiles(self) -> Iterator[str]:
        """The live profiles against a count of the log of predictions; of windows that have ended."""
        counted: defaultdict[tuple[str, int], Counter[Any]] = defaultdict(Counter)
        first = {(row["request_id"], row["model_version"]): row for row in reversed(self._logs()[0])}
        for row in first.values():
            window = row["model_version"], row["event_time"] // WINDOW * WINDOW
            if window[1] + WINDOW <= self.now_ms:
                counted[window].update(["predictions", *self._bins(row)])
        live: defaultdict[tuple[str, int], Counter[Any]] = defaultdict(Counter)
        for record in {_identity(record): record for record in self._profiles()}.values():
            emitted = live[record.model_version, record.window_start]
            emitted["predictions"] += record.predictions
            emitted.update({(f.name, bin_): count for f in record.features for bin_, count in enumerate(f.counts)})
        for window in sorted(set(counted) | set(live)):
            if counted[window] != live[window]:
                yield f"profile of {window} is {dict(live[window])}, not {dict(counted[window])}"

    def _bins(self, row: dict[str, Any]) -> list[tuple[str, int]]:
        """The bin of the score and of each feature of a prediction."""
        profile = self._models.versions[row["model_version"]].profile
        assert profile is not None
        values = {"x": row["features"][0]}
        return [(f.name, sum(values.get(f.name, row["score"]) >= edge for edge in f.edges)) for f in profile.features]

    def _profiles(self) -> list[WindowProfile]:
        return [record for record in self.driver.read("window-profiles") if isinstance(record, WindowProfile)]

    def _wrong_history(self) -> Iterator[str]:
        """What holds at every moment: no revision falls behind, and counts add up."""
        for topic in ("window-partials", "pair-partials", "window-profiles", "metrics"):
            for partition in range(self.driver.partitions):
                held: dict[Any, int] = {}
                for record in self.driver.read(topic, partition):
                    assert isinstance(record, Counted)
                    identity = _identity(record)
                    if record.revision < held.get(identity, record.revision):
                        yield f"{topic}: {identity} went back to revision {record.revision}"
                    held[identity] = record.revision
                    yield from _not_adding_up(record)

    def _wrong_alerts(self) -> Iterator[str]:
        """An incident opens once, and is resolved or withdrawn once."""
        states: defaultdict[str, list[str]] = defaultdict(list)
        for record in self.driver.read("alerts"):
            assert isinstance(record, Alert)
            if record.state != "updated" and states[record.alert_id][-1:] != [record.state]:
                states[record.alert_id].append(record.state)
        for alert_id, seen in states.items():
            if seen not in (["opened"], ["opened", "resolved"], ["opened", "withdrawn"]):
                yield f"incident {alert_id} went through {seen}"

    def _wrong_requests(self) -> Iterator[str]:
        """Training is asked for, refused and ended as a naive reading of what the stage read does it."""
        stage, partition = (
            next(each for each in _STEPS if each.name == RETRAINING),
            partition_of(MODEL.encode(), self.driver.partitions),
        )
        rollouts = [(each, each.event_time) for each in self.driver.read("rollouts") if isinstance(each, Rollout)]
        settings = self._models.known
        log = [each for each in taken(self.driver, stage, partition) if getattr(each[0], "model", "") == MODEL]
        reading = Reading(log, rollouts, settings).read()
        wanted = [each.retrain_id for each in reading.written]
        asked = [row["retrain_id"] for row in self.driver.log("retrain-requests")]
        if asked != wanted:
            yield f"the trainings {asked} are asked for, not {wanted}"
        answers = [each for each in self.driver.read("command-answers") if isinstance(each, CommandAnswer)]
        if {each.command_id: each.answer == "accepted" for each in answers} != reading.accepted:
            yield f"commands are answered by {answers}, accepted are {reading.accepted}"
        if len({row["verdict_id"] for row in self.driver.log("verdicts")}) != len(reading.held):
            yield f"not to train is told {len(self.driver.log('verdicts'))} times, not for {reading.held}"
        if (open_one := reading.under_way(len(log) - 1) if log else None) is not None:
            yield f"{open_one} has no end"

    def _wrong_audit(self) -> Iterator[str]:
        """Every decision is in the chain once, which is whole."""
        decisions = {
            (topic, partition, offset): row[:2]
            for (topic, partition), rows in self.driver.topics.items()
            for offset, row in enumerate(rows)
            if topic in DECISIONS
        }
        yield from wrong_chain([each for each in self.driver.read("audit") if isinstance(each, AuditEntry)], decisions)


def _prediction(request: PredictionRequest, version: str, arrival: int, sample: float) -> Prediction:
    """What a version that does not answer says of a request."""
    x = request.features["x"]
    score = float(_Score(SLOPES[version]).predict(np.array([[x]]))[0])
    return Prediction(
        request_id=request.request_id, model=MODEL, model_version=version, role="shadow", user_id=request.user_id,
        event_time=request.event_time, scored_at=arrival, score=score, predicted_label=int(score >= 0.5), features=[x],
        signature="s", segments=[f"c={request.categories['c']}"], feature_age_ms=None, sample=sample,
    )  # fmt: skip


def _identity(record: Counted) -> tuple[Any, ...]:
    if isinstance(record, JoinCounts):
        return "counts", record.model, record.source_partition
    if isinstance(record, WindowProfile):
        return "profile", record.model_version, record.window_start, record.source_partition
    if isinstance(record, PairPartial):
        return (
            "pairs",
            record.first,
            record.second,
            record.segment,
            record.window_start,
            record.sample,
            record.source_partition,
        )
    source = record.source_partition if isinstance(record, WindowPartial) else None
    return record.model, record.model_version, record.segment, record.window_start, source


def _not_adding_up(record: Counted) -> Iterator[str]:
    if isinstance(record, WindowPartial) and sum(record.prediction_counts) != record.predictions:
        yield f"predictions by score of {_identity(record)} do not add up at revision {record.revision}"
    if isinstance(record, PairPartial):
        if min(getattr(record.counts, name) for name in oracle.CELLS) < 0:
            yield f"{_identity(record)} has a negative count at revision {record.revision}"
    elif isinstance(record, WindowProfile):
        if any(sum(feature.counts) != record.predictions for feature in record.features):
            yield f"bins of {_identity(record)} do not add up at revision {record.revision}"
    elif isinstance(record, JoinCounts):
        if record.outcome_records != sum(getattr(record, f"outcomes_{name}") for name in _OUTCOME_CLASSES):
            yield f"outcomes of {_identity(record)} do not add up at revision {record.revision}"
        if record.expired != record.expired_no_outcome + record.expired_late_outcome:
            yield f"expired of {_identity(record)} does not add up at revision {record.revision}"
        if record.prediction_records != record.predictions + record.duplicate_predictions:
            yield f"predictions of {_identity(record)} do not add up at revision {record.revision}"
    elif record.matched != record.tp + record.fp + record.fn + record.tn:
        yield f"the confusion of {_identity(record)} does not add up at revision {record.revision}"
    elif record.matched + record.expired > record.predictions:
        yield f"more than all of {_identity(record)} at revision {record.revision}"


def _wrong_window(window_key: oracle.WindowKey, window: WindowMetrics, row: dict[str, Any]) -> Iterator[str]:
    for name in _TALLIES:
        if getattr(window, name) != row[name]:
            yield f"{window_key}: {name} is {getattr(window, name)}, not {row[name]}"
    for name in _MEANS:
        value = getattr(window, name)
        if (value is None) != (row[name] is None) or (value is not None and abs(value.value - row[name]) > _CLOSE):
            yield f"{window_key}: {name} is {value and value.value}, not {row[name]}"
    if (window.auc is None) != (row["auc"] is None):
        yield f"{window_key}: auc is {window.auc}, not {row['auc']}"
    elif window.auc is not None and abs(window.auc.value - row["auc"]) > (window.auc_error or 0) + _CLOSE:
        yield f"{window_key}: auc is {window.auc.value} within {window.auc_error}, not {row['auc']}"


def _wrong_at_maturity(
    window_key: oracle.WindowKey, window: WindowMetrics, row: dict[str, Any] | None
) -> Iterator[str]:
    if (window.mature is None) != (row is None):
        yield f"{window_key}: at maturity it is {window.mature}, not {row}"
    for name in _JUDGED if window.mature and row else ():
        if getattr(window.mature, name) != (row or {})[name]:
            yield f"{window_key}: {name} at maturity is {getattr(window.mature, name)}, not {(row or {})[name]}"


def simulate(seed: int, events: int) -> tuple[World, list[str]]:
    """Run one world; the world, and what is wrong with it.

    >>> simulate(1, 20)[1]
    []
    """
    world = World(seed, events)
    world.run()
    return world, world.wrong()
