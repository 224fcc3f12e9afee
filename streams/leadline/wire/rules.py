"""What a readable record must still be: a column at a time, or one request alone."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from leadline.core.columns import Bools, lengths
from leadline.records import PredictionRequest

EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
MAX_ID_BYTES = 1000
_ID_EMPTY = ("request-id-empty", "give each request an id of its own")
_ID_TOO_LONG = ("request-id-too-long", f"a request id has at most {MAX_ID_BYTES} bytes")
_KEY_MISMATCH = ("key-mismatch", "the record's key must be the request_id in UTF-8: it decides the partition")
_TIMES = {"PredictionRequest": ["event_time"], "Prediction": ["event_time", "scored_at"], "Outcome": ["outcome_time"]}


def broken(name: str, columns: pa.RecordBatch, keys: list[bytes | None]) -> Iterator[tuple[Bools, str, str]]:
    """Rows that break a rule, with the reason and what to do; a row may break several."""
    ids = columns["prediction"].field("request_id") if name == "LabeledPrediction" else columns["request_id"]
    sizes = lengths(ids)
    yield sizes == 0, *_ID_EMPTY
    yield sizes > MAX_ID_BYTES, *_ID_TOO_LONG
    yield _other_key(ids, keys), *_KEY_MISMATCH
    for field in _TIMES.get(name, []):
        times = columns[field].to_numpy()
        yield (times < EARLIEST_MS) | (times > LATEST_MS), *_out_of_range(field)
    if name == "Prediction":
        yield ~np.isfinite(columns["score"].to_numpy()), "score-not-finite", "the score is NaN or infinite"
    if name == "Outcome":
        outcome = columns["outcome"].to_numpy(zero_copy_only=False)
        said = columns["outcome"].is_valid().to_numpy(zero_copy_only=False)
        yield (
            said & ~np.isfinite(outcome.astype(np.float64)),
            "outcome-not-finite",
            "an outcome is a finite number, or null",
        )


def broken_request(request: PredictionRequest, key: bytes | None) -> tuple[str, str] | None:
    """The first rule that a request breaks, as `broken` says it of a column; None: it keeps all."""
    said = request.request_id.encode()
    if not said:
        return _ID_EMPTY
    if len(said) > MAX_ID_BYTES:
        return _ID_TOO_LONG
    if said != key:
        return _KEY_MISMATCH
    return None if EARLIEST_MS <= request.event_time <= LATEST_MS else _out_of_range("event_time")


def _out_of_range(field: str) -> tuple[str, str]:
    return "time-out-of-range", f"{field} is not within the years 1 to 9999 (milliseconds?)"


def _other_key(ids: pa.Array, keys: list[bytes | None]) -> Bools:
    said = ids.view(pa.binary())
    if said.equals(pa.array(keys, pa.binary())):
        return np.zeros(len(keys), bool)
    return np.array([one != other for one, other in zip(said.to_pylist(), keys, strict=True)], bool)
