"""The two logs of a replay, read from CSV into columns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leadline.core.columnar.columns import Ints
from leadline.replay.errors import LogError
from leadline.replay.labels import labels_of, numbered
from leadline.replay.reference import Watched
from leadline.replay.tables import convert, read_table
from leadline.wire.column_conversion import converted, moments_of, numbers_of, untyped_identifiers_of
from leadline.wire.conversion import outcome

PREDICTION_COLUMNS = ("request_id", "event_time", "model_version", "score", "label_pred", "segment", "arrival_time")
OUTCOME_COLUMNS = ("request_id", "outcome", "outcome_time", "arrival_time")


@dataclass(frozen=True, slots=True)
class Log:
    """Records of one topic in log order: their key, their columns as in the schema, and when each arrived (epoch ms)."""

    topic: str
    keys: list[bytes]
    columns: pa.RecordBatch
    arrival_ms: Ints
    latest_ms: int

    def __len__(self) -> int:
        return len(self.keys)

    def with_columns(self, columns: Mapping[str, pa.Array]) -> "Log":
        """The same records with other values in some columns."""
        there = dict(zip(self.columns.schema.names, self.columns.columns, strict=True))
        return replace(self, columns=pa.record_batch(there | dict(columns)))

    def only(self, wanted: NDArray[np.bool_]) -> "Log":
        """The records at these places."""
        keys = [key for key, there in zip(self.keys, wanted.tolist(), strict=True) if there]
        return Log(self.topic, keys, self.columns.filter(pa.array(wanted)), self.arrival_ms[wanted], self.latest_ms)

    def until(self, as_of_ms: int) -> "Log":
        """The records that had arrived by then, in order of arrival."""
        order = np.argsort(self.arrival_ms, kind="stable")
        order = order[self.arrival_ms[order] <= as_of_ms]
        keys = [self.keys[i] for i in order.tolist()]
        return Log(self.topic, keys, self.columns.take(pa.array(order)), self.arrival_ms[order], self.latest_ms)


def read_logs(
    predictions: Path, outcomes: Path, model: str, task: str, positive: str | None, watched: Watched | None = None
) -> tuple[Log, Log]:
    """Both logs of a model. Raises LogError that names the file, the row and what is wrong; also where a log has no rows.

    ``positive``: the label that counts as yes, where labels are not 0 and 1. ``watched``: where the predictions get their features from.
    """
    predicted, known = read_table(predictions, _prediction_columns(task)), read_table(outcomes, OUTCOME_COLUMNS)
    if task == "regression":
        said = pa.nulls(len(predicted), pa.int64())
        truth = convert(outcomes, known, "outcome", lambda column: converted(column, outcome, pa.float64()))
    else:
        labels = (
            convert(predictions, predicted, "label_pred", labels_of),
            convert(outcomes, known, "outcome", labels_of),
        )
        said, truth = numbered(labels, positive)
    log = _predictions(predictions, predicted, model, said.cast(pa.int64()))
    return log if watched is None else log.with_columns(watched.inputs(log.columns)), _outcomes(outcomes, known, truth)


def _prediction_columns(task: str) -> tuple[str, ...]:
    return tuple(name for name in PREDICTION_COLUMNS if name != "label_pred" or task == "binary")


def _predictions(path: Path, table: pa.RecordBatch, model: str, labels: pa.Array) -> Log:
    count = len(table)
    event_time, arrival_ms = _times(path, table, "event_time"), _times(path, table, "arrival_time")
    empty = pa.array([""] * count)
    none = pa.array(np.zeros(count + 1, np.int32))
    columns = {
        "request_id": _ids(path, table),
        "model": pa.array([model] * count),
        "model_version": table["model_version"],
        "role": pa.array(["champion"] * count),
        "user_id": empty,
        "event_time": pa.array(event_time),
        "scored_at": pa.array(arrival_ms),
        "score": pa.array(convert(path, table, "score", numbers_of)),
        "predicted_label": labels,
        "features": pa.ListArray.from_arrays(none, pa.array([], pa.float64())),
        "signature": empty,
        "segments": pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32)), table["segment"]),
        "feature_age_ms": pa.nulls(count, pa.int64()),
        "categories": pa.ListArray.from_arrays(none, pa.array([], pa.string())),
        "rollout_id": empty,
        "sample": pa.repeat(1.0, count),
    }
    return _log("predictions", columns, arrival_ms, event_time)


def _outcomes(path: Path, table: pa.RecordBatch, truth: pa.Array) -> Log:
    outcome_time, arrival_ms = _times(path, table, "outcome_time"), _times(path, table, "arrival_time")
    columns = {"request_id": _ids(path, table), "outcome": truth, "outcome_time": pa.array(outcome_time)}
    columns["class_name"] = pa.nulls(len(table), pa.string())
    return _log("outcomes", columns, arrival_ms, outcome_time)


def _log(topic: str, columns: dict[str, pa.Array], arrival_ms: Ints, times: Ints) -> Log:
    keys = [key.encode() for key in columns["request_id"].to_pylist()]
    latest = int(max(arrival_ms.max(initial=-(2**62)), times.max(initial=-(2**62))))
    return Log(topic, keys, pa.record_batch(columns), arrival_ms, latest)


def _ids(path: Path, table: pa.RecordBatch) -> pa.Array:
    return convert(path, table, "request_id", untyped_identifiers_of)


def _times(path: Path, table: pa.RecordBatch, name: str) -> Ints:
    """Times in ms; digits behind the milliseconds are cut off."""
    seconds = pc.match_substring_regex(table[name], "^[0-9]{10}$").to_numpy(zero_copy_only=False)
    if seconds.any():
        raise LogError(f"{path}: {name}, row {np.flatnonzero(seconds)[0] + 1}: looks like seconds: write milliseconds")
    return convert(path, table, name, moments_of)
