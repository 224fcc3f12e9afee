"""What a run cost: the live numbers against a naive join of the log, event by event.

The comparison shares no code with the product but the reading of records.
"""

import math
import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from faults import logs
from faults.broken import fails
from faults.traffic import GRACE_MS, HORIZON_MS, WINDOW_MS
from faults.world import WIND, World
from leadline.core.windows.latest import keep
from leadline.kafka import cluster
from leadline.records import LabeledPrediction, PredictionRequest
from leadline.testing import oracle
from leadline.testing.naive_routing import answers
from leadline.topology import step
from leadline.wire.codec import read

_EXACT = ("predictions", "matched", "pending", "expired", "tp", "fp", "fn", "tn")
_AFTER = ("outcomes_after_grace", "outcomes_orphan", "outcomes_retractions")
"""What comes when its prediction is sealed, or by then forgotten too: which of the two depends on when its source was read."""
_FORGOTTEN = "window-forgotten"
_CLOSE = ("accuracy", "logloss", "brier", "mean_score", "outcome_rate")


@dataclass(slots=True)
class Verdict:
    """What is wrong: events without effect, effects twice, scores, counts and windows that are not those of the log, and trainings.

    ``memory_mb`` is the peak of any worker, ``without_features`` counts predictions that were made without Redis, ``trainings``
    requests by their end, ``answered`` predictions by their version.
    """

    events: int
    lost: int
    doubled: int
    wrong_scores: int
    wrong_counts: list[str]
    wrong_windows: int
    dead_letters: int
    without_features: int
    faults: int = 0
    stand_still_s: float = 0.0
    went_on_s: float = 0.0
    memory_mb: int = 0
    trainings: dict[str, int] = field(default_factory=dict)
    wrong_trainings: list[str] = field(default_factory=list)
    answered: dict[str, int] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        wrong = self.wrong_scores or self.wrong_counts or self.wrong_windows or self.wrong_trainings
        return not (self.lost or self.doubled or wrong)

    def row(self) -> dict[str, Any]:
        """For a results file."""
        return asdict(self) | {"exact": self.exact}


class Watch:
    """Looks several times a second whether labels come out of each partition with work left, and keeps the longest pause of any.

    ``went_on_s``: how long after `heal` it took at most until each partition had moved, or had nothing left.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._moved_at: dict[int, float] = {}
        self._outputs: dict[int, int] = {}
        self.longest_s = 0.0
        self.healing, self.healed_at = False, 0.0
        self.faults, self.went_on_s = 0, 0.0
        self.memory_mb = 0

    @property
    def all_at_work(self) -> bool:
        """Whether labels have come out of each partition."""
        return bool(self._outputs) and all(self._outputs.values())

    def heal(self) -> None:
        """Now the fault is over; ``healing`` until all have gone on."""
        self.healing, self.healed_at = True, time.monotonic()
        self.faults += 1

    async def look(self) -> None:
        """Look once."""
        world, busy = self._world, set[int]()
        self.memory_mb = max(self.memory_mb, *map(_peak_mb, world.workers.pids))
        for name in ("scoring", "join"):
            lags = await cluster.lag(world.bootstrap, world.prefix, step(name))
            busy |= {partition for (_, partition), records in lags.items() if records}
        outputs = await cluster.sizes(world.bootstrap, [f"{world.prefix}.labeled-predictions"])
        now, was = time.monotonic(), self._outputs
        self._outputs = {partition: end for (_, partition), end in outputs.items()}
        for partition, end in self._outputs.items():
            since = self._moved_at.setdefault(partition, now)
            if was.get(partition):  # before the first label workers are only starting
                self.longest_s = max(self.longest_s, now - since)
            if end != was.get(partition) or partition not in busy:
                self._moved_at[partition] = now
        if self.healing:
            self.went_on_s = max(self.went_on_s, now - self.healed_at)
            self.healing = min(self._moved_at.values()) <= self.healed_at


def _peak_mb(pid: int) -> int:
    """Peak resident memory of a worker; 0 where it has ended, or is only just forked and still shows our own."""
    try:
        if Path(f"/proc/{pid}/cmdline").read_bytes() == Path("/proc/self/cmdline").read_bytes():
            return 0
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


async def judge(world: World) -> Verdict:
    """Read all topics, and compare."""
    predictions = await logs.rows(world.bootstrap, world.prefix, "predictions")
    letters = await logs.letters(world.bootstrap, world.prefix)
    outcomes = world.former_outcomes + await world.outcomes()
    by_broken, misrouted = await _routes(world, predictions)
    joined, wrong = _without_forgotten(world, predictions, letters, len(by_broken))
    wrong += misrouted
    counts, windows, labels = oracle.join(
        joined,
        outcomes,
        horizon=HORIZON_MS,
        window=WINDOW_MS,
        policy="first",
        as_of=world.traffic.now_ms,
        grace=GRACE_MS,
    )
    emitted = await _emitted(world)
    wrong += _wrong_counts(emitted, counts)
    live = {(r["model_version"], r["window_start"], r["segment"]): r for r in emitted.values() if "tp" in r}
    bad = sum(_differs(live.get(key), row) for key, row in windows.items()) + len(set(live) - set(windows))
    lost, doubled = await _effects(world, labels)
    lost += len(set(world.traffic.asked) - {row["request_id"] for row in predictions} - {*by_broken.values()})
    events = len(world.traffic.asked) + len(predictions) + len(outcomes)
    bare = sum(row["feature_age_ms"] is None for row in predictions)
    verdict = Verdict(events, lost, doubled, _wrong_scores(world, predictions), wrong, bad, len(letters), bare)
    verdict.answered = dict(Counter(row["model_version"] for row in predictions))
    if world.trainers is not None:
        verdict.trainings, verdict.wrong_trainings = await world.trainers.ends(), await world.trainers.wrong()
    return verdict


def _wrong_counts(emitted: dict[bytes, dict[str, Any]], counts: dict[str, int]) -> list[str]:
    """Which sums of the counts that came out are not those of the log."""
    got = Counter[str]()
    for record in emitted.values():
        if "tp" not in record:
            got.update({name: record[name] for name in counts if name != "pending"})
    got["pending"] = got["predictions"] - got["matched"] - got["expired"]
    wrong = [
        f"{name} is {got[name]}, not {value}"
        for name, value in counts.items()
        if name not in _AFTER and got[name] != value
    ]
    after = [sum(each[name] for name in _AFTER) for each in (got, counts)]
    return wrong + ([f"{' + '.join(_AFTER)} is {after[0]}, not {after[1]}"] if after[0] != after[1] else [])


async def _routes(world: World, predictions: list[dict[str, Any]]) -> tuple[dict[tuple[str, int, int], str], list[str]]:
    """The requests that a broken version answered, by where they stand; and which requests another version answered than is to.

    Only where who answers changed by assignments that say from when.
    """
    if len(world.assigned) == 1:
        return {}, []
    versions = {each.champion for each in world.assigned} | {name for each in world.assigned for name in each.shares}
    acted: defaultdict[tuple[str, int], set[tuple[str, str]]] = defaultdict(set)
    for row in predictions:
        acted[row["request_id"], row["scored_at"]].add((row["model_version"], row["role"]))
    by_broken, wrong = {}, []
    for request in await logs.rows(world.bootstrap, world.prefix, "prediction-requests"):
        name, arrival = request["request_id"], request["arrival_time"]
        who = answers(world.assigned, request["user_id"] or name, arrival, versions)
        none = who[0] in world.versions.broken and fails(request["features"]["amount"])
        if none:
            by_broken["prediction-requests", *request["position"]] = name
        if acted[name, arrival] != (set() if none else {who}):
            wrong.append(f"{name} is answered by {sorted(acted[name, arrival])}, not by {'none' if none else who}")
    return by_broken, wrong[:5]


def _without_forgotten(
    world: World, predictions: list[dict[str, Any]], letters: dict[tuple[str, int, int], str], by_broken: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """The predictions whose window was not forgotten when they came; and what is wrong with the dead letters.

    A window is forgotten before a prediction comes where scoring wrote it again, after a crash, or where the request was that old.
    """
    forgotten = {(partition, offset) for (topic, partition, offset), why in letters.items() if why == _FORGOTTEN}
    joined = [row for row in predictions if row["position"] not in forgotten]
    known = {row["request_id"] for row in joined}
    left_out = [row for row in predictions if row["position"] in forgotten]
    wrong = [
        f"the prediction of {row['request_id']} is a dead letter"
        for row in left_out
        if row["request_id"] not in known and not _old(row)
    ]
    wrong += (
        [f"{len(forgotten) - len(left_out)} windows forgotten of no prediction"]
        if len(forgotten) != len(left_out)
        else []
    )
    others, refused = len(letters) - len(forgotten), world.traffic.refused + by_broken
    return joined, wrong[:5] + ([f"{others} dead letters, not {refused}"] if others != refused else [])


def _old(row: dict[str, Any]) -> bool:
    return bool(row["event_time"] + WINDOW_MS + HORIZON_MS + 2 * GRACE_MS < row["arrival_time"] + WINDOW_MS)


def _wrong_scores(world: World, predictions: list[dict[str, Any]]) -> int:
    """Predictions whose features are not those of the request and of Redis, or whose score is not the model's."""
    wrong = 0
    for version in {row["model_version"] for row in predictions}:
        rows = [row for row in predictions if row["model_version"] == version]
        scores, kinds = world.versions.scores(version, [row["features"] for row in rows]), world.versions.kinds[version]
        wrong += sum(
            not _as_asked(row, world.traffic.asked[row["request_id"]], kinds) or abs(row["score"] - score) > 1e-9
            for row, score in zip(rows, scores, strict=True)
        )
    return wrong


def _as_asked(row: dict[str, Any], asked: PredictionRequest, kinds: list[str]) -> bool:
    amount, wind, kind = row["features"]
    looked_up = row["feature_age_ms"] is not None
    code = kinds.index(asked.categories["kind"]) if asked.categories["kind"] in kinds else -1
    return (
        amount == asked.features["amount"]
        and kind == code
        and (wind == WIND[asked.categories["station"]] if looked_up else math.isnan(wind))
    )


async def _emitted(world: World) -> dict[bytes, dict[str, Any]]:
    held: dict[bytes, Any] = {}
    async for record in cluster.read_all(world.bootstrap, f"{world.prefix}.metrics"):
        keep(held, record.key, read("metrics", record.value))
    return {key: logs.fields(record) for key, record in held.items()}


def _differs(live: dict[str, Any] | None, row: dict[str, Any]) -> bool:
    if live is None or any(live[name] != row[name] for name in _EXACT):
        return True
    values = [(live[name] and live[name].value, row[name]) for name in _CLOSE]
    return any((a is None) != (b is None) or (a is not None and abs(a - b) > 1e-9) for a, b in values)


async def _effects(world: World, labels: dict[tuple[str, str], float | None]) -> tuple[int, int]:
    """Labels that never came out, or came as another value; and outputs that came twice."""
    seen = Counter[Any]()
    held: dict[tuple[str, str], LabeledPrediction] = {}
    async for record in cluster.read_all(world.bootstrap, f"{world.prefix}.labeled-predictions"):
        labeled = read("labeled-predictions", record.value)
        assert isinstance(labeled, LabeledPrediction)
        key = labeled.prediction.request_id, labeled.prediction.model_version
        seen[key, labeled.revision] += 1
        keep(held, key, labeled)
    lost = sum((held[key].outcome if key in held else None) != value for key, value in labels.items())
    return lost, sum(times - 1 for times in seen.values())
