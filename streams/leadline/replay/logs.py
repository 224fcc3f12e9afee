"""The two logs of a replay, read from CSV into columns."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from leadline.replay.errors import LogError

PREDICTION_COLUMNS = ("request_id", "event_time", "model_version", "score", "label_pred", "segment", "arrival_time")
OUTCOME_COLUMNS = ("request_id", "outcome", "outcome_time", "arrival_time")


@dataclass(frozen=True, slots=True)
class Log:
    """Records of one topic in log order: their key, their columns as in the schema, and when each arrived (epoch ms)."""

    topic: str
    keys: list[bytes]
    columns: pa.RecordBatch
    arrival_ms: NDArray[np.int64]
    latest_ms: int

    def __len__(self) -> int:
        return len(self.keys)

    def until(self, as_of_ms: int) -> "Log":
        """The records that had arrived by then, in order of arrival."""
        order = np.argsort(self.arrival_ms, kind="stable")
        order = order[self.arrival_ms[order] <= as_of_ms]
        keys = [self.keys[i] for i in order.tolist()]
        return Log(self.topic, keys, self.columns.take(pa.array(order)), self.arrival_ms[order], self.latest_ms)


def read_predictions(path: Path, model: str) -> Log:
    """A log of predictions; columns ``request_id, event_time, model_version, score, label_pred, segment, arrival_time``."""
    table = _read(path, PREDICTION_COLUMNS)
    count = len(table)
    event_time = _times(path, table, "event_time")
    arrival_ms = _times(path, table, "arrival_time")
    empty = pa.array([""] * count)
    none, offsets = pa.array(np.zeros(count + 1, np.int32)), pa.array(np.arange(count + 1, dtype=np.int32))
    columns = {
        "request_id": table["request_id"],
        "model": pa.array([model] * count),
        "model_version": table["model_version"],
        "role": pa.array(["champion"] * count),
        "user_id": empty,
        "event_time": pa.array(event_time),
        "scored_at": pa.array(arrival_ms),
        "score": pc.fill_null(_numbers(path, table, "score", pa.float64()), float("nan")),
        "predicted_label": _numbers(path, table, "label_pred", pa.int64()),
        "features": pa.ListArray.from_arrays(none, pa.array([], pa.float64())),
        "signature": empty,
        "segments": pa.ListArray.from_arrays(offsets, table["segment"]),
        "feature_age_ms": pa.nulls(count, pa.int64()),
        "categories": pa.ListArray.from_arrays(none, pa.array([], pa.string())),
    }
    return _log("predictions", table, columns, arrival_ms, event_time)


def read_outcomes(path: Path) -> Log:
    """A log of outcomes; columns ``request_id, outcome, outcome_time, arrival_time``, an empty outcome takes back."""
    table = _read(path, OUTCOME_COLUMNS)
    outcome_time, arrival_ms = _times(path, table, "outcome_time"), _times(path, table, "arrival_time")
    outcome = _numbers(path, table, "outcome", pa.float64())
    columns = {"request_id": table["request_id"], "outcome": outcome, "outcome_time": pa.array(outcome_time)}
    return _log("outcomes", table, columns, arrival_ms, outcome_time)


def _log(
    topic: str,
    table: pa.RecordBatch,
    columns: dict[str, pa.Array],
    arrival_ms: NDArray[np.int64],
    times: NDArray[np.int64],
) -> Log:
    keys = [key.encode() for key in table["request_id"].to_pylist()]
    latest = int(max(arrival_ms.max(initial=-(2**62)), times.max(initial=-(2**62))))
    return Log(topic, keys, pa.record_batch(columns), arrival_ms, latest)


def _read(path: Path, names: tuple[str, ...]) -> pa.RecordBatch:
    types = dict.fromkeys(names, pa.string())
    convert = pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(names), strings_can_be_null=False)
    try:
        table = pyarrow.csv.read_csv(
            path, parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True), convert_options=convert
        )
    except FileNotFoundError:
        raise LogError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise LogError(f"{path}: not a log with the columns {', '.join(names)}: {error}") from None
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.record_batch([pa.array([], pa.string())] * len(names), names=list(names))


def _times(path: Path, table: pa.RecordBatch, name: str) -> NDArray[np.int64]:
    """Times in ms; digits behind the milliseconds are cut off."""
    try:
        times: NDArray[np.int64] = pc.cast(table[name], pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise LogError(f"{path}: {name}: {error}; write ISO-8601 with zone, such as 2013-04-01T00:00:00Z") from None
    return times // 1000


def _numbers(path: Path, table: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    present = pc.if_else(pc.equal(table[name], ""), pa.scalar(None, pa.string()), table[name])
    try:
        return pc.cast(present, kind)
    except pa.ArrowInvalid as error:
        raise LogError(f"{path}: {name}: {error}") from None
