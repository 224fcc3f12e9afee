"""Input of both jobs, made from fixed seeds, with the exact answers."""

import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.shapes import FEATURES, MINUTE_MS, MODEL, VERSION
from leadline.core.processor import Output

STEP_MS = 2
_SHUFFLE = 50_000
Windows = dict[int, tuple[int, int, int]]
"""(predictions, matched, right) of each one-minute window, by its start."""
_ODD = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Shape:
    """How varied the events are: models that take turns, values of the one segment (0: there is none), features of a request,
    versions that predict each request.
    """

    models: int = 1
    segments: int = 0
    features: int = len(FEATURES)
    versions: int = 1

    @property
    def names(self) -> list[str]:
        """Of the models."""
        return [MODEL] if self.models == 1 else [f"{MODEL}-{n}" for n in range(self.models)]


PLAIN = Shape()


@dataclass(frozen=True, slots=True)
class JoinAnswer:
    """What the join must say: classes of records, and (predictions, matched, right) of each one-minute window."""

    classes: dict[str, int]
    windows: Windows


def request_ids(count: int, salt: int = 0) -> list[str]:
    """Ids that look random to a sorted store."""
    return [f"{(i * _ODD + salt) & (2**64 - 1):016x}-0000-7000-{i:09d}" for i in range(count)]


def request_number(request_id: str) -> int:
    """The number of the request that has the id."""
    return int(request_id.rpartition("-")[2])


def features(count: int, width: int = len(FEATURES)) -> NDArray[np.float64]:
    """So many features a request."""
    return np.random.default_rng(7).standard_normal((count, width))


def requests(count: int, salt: int = 0, shape: Shape = PLAIN) -> Output:
    """Prediction requests in order of event time; with another ``salt`` of other ids."""
    ids, at_ms = request_ids(count, salt), _base_ms(count) + np.arange(count) * STEP_MS
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * shape.features)
    names = pa.array(feature_names(shape.features) * count)
    empty = pa.array(np.zeros(count + 1, np.int32))
    none = pa.array([], pa.string())
    columns = {
        "request_id": pa.array(ids),
        "model": _in_turn(shape.names, count),
        "user_id": _users(count),
        "event_time": pa.array(at_ms),
        "features": pa.MapArray.from_arrays(offsets, names, pa.array(features(count, shape.features).reshape(-1))),
        "categories": pa.MapArray.from_arrays(empty, none, none),
    }
    return Output("prediction-requests", [i.encode() for i in ids], columns=pa.record_batch(columns))


def join_logs(count: int, shape: Shape = PLAIN) -> tuple[Output, Output, JoinAnswer]:
    """Predictions, and outcomes that come 1 to 50,000 predictions later: 95 in 100 have one, 2 in 100 of these come again
    (half of them contradict the first), 1 in 100 belongs to no prediction.
    """
    random = np.random.default_rng(11)
    at_ms = _base_ms(count) + np.arange(count) * STEP_MS - random.integers(0, 2000, count)
    each = shape.versions
    score, truth = random.random(count * each), random.integers(0, 2, count)
    label = (score >= 0.5).astype(np.int64)
    used = np.flatnonzero(random.random(count) < 0.95)
    again = np.sort(random.choice(used, len(used) // 50, replace=False))
    orphans = request_ids(len(used) // 100, salt=99)
    position = np.arange(count) + random.integers(1, _SHUFFLE, count)
    conflicting = np.arange(len(again)) % 2 == 0
    ids = request_ids(count)
    keys = [ids[i] for i in (*used.tolist(), *again.tolist())] + orphans
    values = np.concatenate(
        [truth[used], np.where(conflicting, 1 - truth[again], truth[again]), np.ones(len(orphans), int)]
    )
    later = position[again] + random.integers(1, _SHUFFLE, len(again))
    order = np.concatenate([position[used], later, random.integers(0, count, len(orphans))])
    matched = (used[:, None] * each + np.arange(each)).ravel()
    windows = count_windows(np.repeat(at_ms, each), matched, label == np.repeat(truth, each))
    classes = {
        "prediction_records": count * each, "predictions": count * each, "matched": len(matched), "expired": 0,
        "outcomes_used": len(used), "outcomes_conflicting": int(conflicting.sum()),
        "outcomes_duplicate": int((~conflicting).sum()),
    }  # fmt: skip
    outcomes = _outcomes(keys, values, order, _base_ms(count))
    return _predictions(ids, at_ms, score, label, shape), outcomes, JoinAnswer(classes, windows)


def pending(count: int, salt: int = 0) -> Output:
    """Predictions whose outcomes are still to come; with another ``salt`` of other ids."""
    random = np.random.default_rng(11)
    at_ms = _base_ms(count) + np.arange(count) * STEP_MS - random.integers(0, 2000, count)
    score = random.random(count)
    return _predictions(request_ids(count, salt), at_ms, score, (score >= 0.5).astype(np.int64), PLAIN)


def _predictions(
    ids: list[str], at_ms: NDArray[np.int64], score: NDArray[np.float64], label: NDArray[np.int64], shape: Shape
) -> Output:
    """Predictions of these requests, those of the versions of a request behind each other; ``score`` and ``label`` are of all."""
    ids, at_ms = [each for each in ids for _ in range(shape.versions)], np.repeat(at_ms, shape.versions)
    count = len(ids)
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * shape.features)
    segments = [f"part={n}" for n in range(shape.segments)]
    ends = np.arange(count + 1, dtype=np.int32) * bool(segments)
    columns = {
        "request_id": pa.array(ids),
        "model": _in_turn([name for name in shape.names for _ in range(shape.versions)], count),
        "model_version": _in_turn([VERSION, *(f"{VERSION}-{n}" for n in range(1, shape.versions))], count),
        "role": pa.array(["champion"] * count),
        "user_id": _users(count),
        "event_time": pa.array(at_ms),
        "scored_at": pa.array(at_ms + 7),
        "score": pa.array(score),
        "predicted_label": pa.array(label),
        "features": pa.ListArray.from_arrays(offsets, pa.array(features(count, shape.features).reshape(-1))),
        "signature": pa.array(["0123456789abcdef"] * count),
        "segments": pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), _in_turn(segments, int(ends[-1]))),
        "feature_age_ms": pa.nulls(count, pa.int64()),
        "categories": pa.array([[]] * count, pa.list_(pa.string())),
        "rollout_id": pa.repeat("", count),
        "sample": pa.repeat(1.0, count),
    }
    return Output("predictions", [i.encode() for i in ids], columns=pa.record_batch(columns))


def _outcomes(keys: list[str], values: NDArray[np.int64], position: NDArray[np.int64], base_ms: int) -> Output:
    order = np.argsort(position, kind="stable")
    ids = [keys[i] for i in order.tolist()]
    columns = {
        "request_id": pa.array(ids),
        "outcome": pa.array(values[order].astype(np.float64)),
        "outcome_time": pa.array(base_ms + position[order] * STEP_MS),
        "class_name": pa.nulls(len(ids), pa.string()),
    }
    return Output("outcomes", [i.encode() for i in ids], columns=pa.record_batch(columns))


def count_windows(at_ms: NDArray[np.int64], used: NDArray[np.int64], right: NDArray[np.bool_]) -> Windows:
    """Predictions at these times, those that are ``used`` (their indices) matched, and of these the ``right`` ones."""
    starts, where = np.unique(at_ms // MINUTE_MS * MINUTE_MS, return_inverse=True)
    size = len(starts)
    parts = (where, where[used], where[used][right[used]])
    made, matched, correct = (np.bincount(part, minlength=size).tolist() for part in parts)
    return dict(zip(starts.tolist(), zip(made, matched, correct, strict=True), strict=True))


def feature_names(width: int) -> list[str]:
    """Names of so many features."""
    return [f"f{i}" for i in range(width)]


def _in_turn(names: list[str], count: int) -> pa.Array:
    """So many of the names, in turn."""
    return pa.array([names[i % len(names)] for i in range(count)], pa.string())


def _users(count: int) -> pa.Array:
    return pa.array([f"user-{i % 5000:05d}" for i in range(count)])


def _base_ms(count: int) -> int:
    """The start of a minute so long ago that the last event is in the past."""
    return (int(time.time() * 1000) - (count + 2 * _SHUFFLE) * STEP_MS) // MINUTE_MS * MINUTE_MS
