"""Which records are longer, in one of their parts, than `leadline.wire.limits` says."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from leadline.core.columnar.columns import Bools, Ints, lengths
from leadline.records import Command, PredictionRequest, RetrainRequest, Training
from leadline.wire.limits import (
    ARGUMENTS,
    CATEGORY_BYTES,
    FEATURES,
    NAME_BYTES,
    REASON_BYTES,
    SEGMENT_BYTES,
    SEGMENTS,
    TRAINED_PARTITIONS,
    USER_ID_BYTES,
)

_TEXTS = {
    "PredictionRequest": {"model": NAME_BYTES, "user_id": USER_ID_BYTES},
    "Prediction": dict.fromkeys(("model", "model_version", "role", "signature"), NAME_BYTES)
    | {"user_id": USER_ID_BYTES},
    "Command": dict.fromkeys(("command_id", "kind", "model", "actor"), NAME_BYTES) | {"reason": REASON_BYTES},
    "RetrainRequest": dict.fromkeys(
        ("retrain_id", "model", "model_version", "alert_id", "trigger", "actor", "command_id"), NAME_BYTES
    ),
    "Training": dict.fromkeys(("retrain_id", "model", "state", "version", "trainer"), NAME_BYTES),
}
_COUNTS = {
    "PredictionRequest": {"features": FEATURES, "categories": FEATURES},
    "Prediction": {"features": FEATURES, "segments": SEGMENTS, "categories": FEATURES},
}


def too_long(name: str, columns: pa.RecordBatch) -> Iterator[tuple[Bools, str]]:
    """For each part of a record: the rows in which it is too long, and what is to be said."""
    for field, most in _TEXTS.get(name, {}).items():
        yield lengths(columns[field]) > most, _text(field, most)
    for field, most in _COUNTS.get(name, {}).items():
        yield _lengths(columns[field]) > most, _count(field, most)
    if name == "PredictionRequest":
        for field in ("features", "categories"):
            yield _with_long(columns[field], columns[field].keys, NAME_BYTES), _text(f"a name in {field}", NAME_BYTES)
        categories = columns["categories"]
        yield _with_long(categories, categories.items, CATEGORY_BYTES), _text("a category", CATEGORY_BYTES)
    if name == "Prediction":
        for field, what, most in (
            ("segments", "a segment", SEGMENT_BYTES),
            ("categories", "a category", CATEGORY_BYTES),
        ):
            yield _with_long(columns[field], columns[field].values, most), _text(what, most)


def long_request(request: PredictionRequest) -> str | None:
    """The same of one request: what is to be said of the first part that is too long; None: none is."""
    for field, most in _TEXTS["PredictionRequest"].items():
        if _is_long(getattr(request, field), most):
            return _text(field, most)
    for field, most in _COUNTS["PredictionRequest"].items():
        if len(getattr(request, field)) > most:
            return _count(field, most)
    for field in ("features", "categories"):
        if any(_is_long(name, NAME_BYTES) for name in getattr(request, field)):
            return _text(f"a name in {field}", NAME_BYTES)
    if any(_is_long(value, CATEGORY_BYTES) for value in request.categories.values()):
        return _text("a category", CATEGORY_BYTES)
    return None


def long_training(record: RetrainRequest | Training) -> str | None:
    """What is to be said of the first part that is too long, of those that whoever trains repeats; None: none is."""
    if isinstance(record, Training):
        if len(record.cut) > TRAINED_PARTITIONS:
            return _count("cut", TRAINED_PARTITIONS)
        if any(_is_long(partition, NAME_BYTES) for partition in record.cut):
            return _text("a partition of cut", NAME_BYTES)
        if len(record.topic_ids) > ARGUMENTS:
            return _count("topic_ids", ARGUMENTS)
        if any(_is_long(text, NAME_BYTES) for named in record.topic_ids.items() for text in named):
            return _text("a text of topic_ids", NAME_BYTES)
    return _long_text(record)


def long_command(command: Command) -> str | None:
    """What is to be said of the first part of a command that is too long; None: none is."""
    long = _long_text(command)
    if long is not None:
        return long
    if len(command.arguments) > ARGUMENTS:
        return _count("arguments", ARGUMENTS)
    if any(_is_long(text, REASON_BYTES) for argument in command.arguments.items() for text in argument):
        return _text("an argument", REASON_BYTES)
    return None


def _long_text(record: Command | RetrainRequest | Training) -> str | None:
    for field, most in _TEXTS[type(record).__name__].items():
        if _is_long(getattr(record, field), most):
            return _text(field, most)
    return None


def _is_long(text: str, most: int) -> bool:
    """Whether a text has more bytes; a character has four at most."""
    return 4 * len(text) > most and len(text.encode()) > most


def _lengths(column: pa.Array) -> Ints:
    """How many entries each row of a list or map column has."""
    found: Ints = np.diff(column.offsets.to_numpy(zero_copy_only=False).astype(np.int64))
    return found


def _with_long(column: pa.Array, entries: pa.Array, most: int) -> Bools:
    """The rows of a list or map column that have a longer entry; ``entries`` are those of the whole buffer."""
    long = lengths(entries) > most
    if not long.any():
        return np.zeros(len(column), bool)
    before = np.append(0, np.cumsum(long))[column.offsets.to_numpy(zero_copy_only=False)]
    found: Bools = np.diff(before) > 0
    return found


def _text(field: str, most: int) -> str:
    return f"{field} has at most {most} bytes"


def _count(field: str, most: int) -> str:
    return f"{field} has at most {most} entries"
