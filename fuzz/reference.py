"""What a record says, read in the plainest way: the head, one call of fastavro or json, then the rules one after the other.

It shares the schemas with the product and no other code: it is written from the table of limits in ``docs/architecture.md``.
What fastavro reads is readable, also where it is lenient: a union's index that is negative counts from the end, a number of more
than 64 bits loses the upper ones, and the size in bytes of a block is passed over.
"""

import io
import json
import math
import re
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import fastavro
import numpy as np

from leadline.wire.codec import FEW, MANY
from leadline.wire.schemas import head, parsed, schema

LIMIT = 5_000
"""Bytes of a record; the product's own limit is a setting, and a small one is met more often."""
CLOCK = "clock"
ARRIVAL = "leadline-arrival-ms"
REASONS = {
    "empty-value", "record-too-large", "unknown-schema", "schema-unknown", "json-not-a-record", "undecodable", "trailing-bytes",
    "request-id-empty", "request-id-too-long", "key-mismatch", "time-out-of-range", "score-not-finite",
    "outcome-not-finite", "unknown-state", "counts-out-of-range", "counts-disagree", "too-long", "event-time-unit",
    "event-time-ahead", "outcome-not-a-class", "outcome-twice", "command-id-empty",
    "no-champion", "shares-out-of-range",
}  # fmt: skip
AHEAD = 86_400_000
"""How far ahead of its arrival an event may be."""
_NO_COUNTS = ("window_start", "window_end", "as_of", "last_prediction_at", "last_outcome_at")
_YEAR_1, _YEAR_10000 = -62_135_596_800_000, 253_402_300_800_000


class Raw(NamedTuple):
    """A record as it lies in a log."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Unreadable(Exception):  # noqa: N818 - it is an answer, not an error
    """The record is a dead letter; the argument is the reason."""


def read(topic: str, record: Raw, timestamp: int) -> dict[str, Any] | str:
    """The fields of a record with this timestamp, the reason why it is a dead letter, or CLOCK."""
    if record.value is None and any(name == ARRIVAL for name, _ in record.headers):
        return CLOCK
    try:
        name, fields = _fields(topic, record.value)
        if topic in MANY:
            _rules(name, fields, record.key, arrival(record, timestamp))
        elif topic in ("window-partials", "window-profiles"):
            _count_rules(fields)
        elif topic == "pair-partials":
            _pair_rules(fields)
        elif name == "Command":
            _command_rules(fields, record.key)
        elif name == "Rollout":
            _rollout_rules(fields, record.key, arrival(record, timestamp))
        elif name == "WorkerHealth":
            _worker_rules(fields, arrival(record, timestamp))
        elif (topic, name) in (("retrain-requests", "RetrainRequest"), ("trainings", "Training")):
            _training_rules(fields)
    except Unreadable as why:
        return str(why)
    return fields


def arrival(record: Raw, timestamp: int) -> int:
    """Arrival time by the first header of that name, where it is a number of 62 bits, in plain digits."""
    said = next((value for name, value in record.headers if name == ARRIVAL), None)
    plain = said is not None and re.fullmatch(rb"\s*[+-]?[0-9]{1,30}\s*", said)
    return int(said) if plain and abs(int(said)) < 2**62 else timestamp


def _fields(topic: str, value: bytes | None) -> tuple[str, dict[str, Any]]:
    if value is None:
        raise Unreadable("empty-value")
    if len(value) > LIMIT:
        raise Unreadable("record-too-large")
    for name in (MANY[topic],) if topic in MANY else FEW[topic]:
        if value.startswith(head(name)):
            return name, body(name, value[10:])
    if topic in ("prediction-requests", "outcomes") and _without_mark(value).strip(b" \t\n\r\v\f").startswith(b"{"):
        try:
            return MANY[topic], _json(topic, json.loads(_without_mark(value)))
        except (ValueError, RecursionError, OverflowError):
            raise Unreadable("json-not-a-record") from None
    if _without_mark(value).strip(b" \t\n\r\v\f").startswith(b"{"):
        try:
            return _own_json(MANY.get(topic, ""), topic, json.loads(_without_mark(value)))
        except (ValueError, RecursionError, OverflowError):
            raise Unreadable("json-not-a-record") from None
    raise Unreadable("schema-unknown" if value[:1] == b"\0" and len(value) >= 5 else "unknown-schema")


def _without_mark(value: bytes) -> bytes:
    return value[3:] if value.startswith(b"\xef\xbb\xbf") else value


def body(name: str, written: bytes) -> dict[str, Any]:
    """The fields of a body, which must be all of it; raises Unreadable."""
    stream = io.BytesIO(written)
    try:
        fields = fastavro.schemaless_reader(stream, parsed(name), None)
    except Exception:  # noqa: BLE001 - whatever it is, the record cannot be read
        raise Unreadable("undecodable") from None
    if stream.read(1):
        raise Unreadable("trailing-bytes")
    return fields  # type: ignore[return-value]


def _json(topic: str, given: Any) -> dict[str, Any]:
    """Raises ValueError or OverflowError where it is not the record."""
    if topic == "outcomes":
        name = _category(given.get("class_name")) or None
        if "outcome" not in given and not name:
            _wrong()
        said = _outcome(given.get("outcome"))
        if name and said is not None:
            _wrong()
        return {
            "request_id": _known(_id(given.get("request_id"))),
            "outcome": None if isinstance(said, str) else said,
            "outcome_time": _millis(given.get("outcome_time")),
            "class_name": said if isinstance(said, str) else name,
        }
    numbers = {key: _float(each) for key, each in _map(given.get("features")).items()}
    if any(each is not None and math.isinf(each) for each in numbers.values()):
        _wrong()
    texts = {_string(key): _category(each) for key, each in _map(given.get("categories")).items()}
    return {
        "request_id": _known(_id(given.get("request_id"))),
        "model": _string(given.get("model")),
        "user_id": _id(given.get("user_id")) or "",
        "event_time": _millis(given.get("event_time")),
        "features": {_string(key): each for key, each in numbers.items() if each is not None and not math.isnan(each)},
        "categories": {key: each for key, each in texts.items() if each},
    }


def _own_json(name: str, topic: str, given: Any) -> tuple[str, dict[str, Any]]:
    """A record that the product wrote as JSON."""
    if not isinstance(given, dict):
        _wrong()
    name = name or (FEW[topic][0] if len(FEW[topic]) == 1 else given.get("record"))
    if name not in FEW.get(topic, (name,)):
        _wrong()
    return name, _of_schema(schema(name), given, dict(_records(schema(name))))


def _records(kind: Any) -> Iterator[tuple[str, Any]]:
    """The records in a schema, by their names."""
    if isinstance(kind, list):
        for each in kind:
            yield from _records(each)
    elif isinstance(kind, dict):
        if kind["type"] == "record":
            yield kind["name"], kind
        for each in (*(field["type"] for field in kind.get("fields", ())), kind.get("items"), kind.get("values")):
            yield from _records(each)


def _of_schema(kind: Any, value: Any, named: dict[str, Any]) -> Any:
    kind = named.get(kind, kind) if isinstance(kind, str) else kind
    if isinstance(kind, list):
        return None if value is None else _of_schema(kind[1], value, named)
    shape = kind["type"] if isinstance(kind, dict) else kind
    if shape == "record":
        values = value if isinstance(value, dict) else _wrong()
        return {field["name"]: _of_field(field, values, named) for field in kind["fields"]}
    if shape == "array":
        items = value if isinstance(value, list) else _named_items(kind, value)
        return [_of_schema(kind["items"], each, named) for each in items]
    if shape == "map":
        pairs = value.items() if isinstance(value, dict) else _wrong()
        return {_string(key): _of_schema(kind["values"], each, named) for key, each in pairs}
    return _of_plain(shape, kind, value)


def _named_items(kind: Any, value: Any) -> list[Any]:
    """Items by their names, as categories are: a text that is null is missing."""
    items = value.values() if isinstance(value, dict) else _wrong()
    return ["" if each is None and kind["items"] == "string" else each for each in items]


def _of_field(field: dict[str, Any], values: dict[str, Any], named: dict[str, Any]) -> Any:
    if field["name"] in values:
        return _of_schema(field["type"], values[field["name"]], named)
    if "default" not in field:
        _wrong()
    is_bytes = isinstance(field["type"], dict) and field["type"]["type"] == "bytes"
    return field["default"].encode("latin-1") if is_bytes else field["default"]


def _of_plain(shape: str, kind: Any, value: Any) -> Any:
    logical = kind.get("logicalType") if isinstance(kind, dict) else None
    if logical == "decimal":
        found = re.fullmatch("(-?)([0-9]{1,99})(?:[.]([0-9]{1,12}))?", value) if isinstance(value, str) else None
        sign, whole, places = found.groups() if found else _wrong()
        units = int(sign + whole + (places or "").ljust(12, "0"))
        return units.to_bytes(units.bit_length() // 8 + 1, "big", signed=True)
    if logical == "timestamp-millis":
        any_year = "-?[0-9]{3,9}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z"
        if isinstance(value, str) and re.fullmatch(any_year, value):
            return int(np.datetime64(value[:-1], "ms").astype(int))
        return _millis(value)
    if shape == "double":
        if value is None or value in ("Infinity", "-Infinity"):
            return float(value or "nan")
        return float(value) if type(value) in (int, float) else _wrong()
    if shape in ("long", "int"):
        return value if type(value) is int and -(2**63) <= value < 2**63 else _wrong()
    if shape == "boolean":
        return value if type(value) is bool else _wrong()
    return b64decode(_string(value), validate=True) if shape == "bytes" else _string(value)


def _outcome(value: Any) -> float | str | None:
    try:
        return _float(value)
    except ValueError:
        if isinstance(value, str):
            return _category(value) or None
        raise


def _wrong() -> Any:
    raise ValueError


def _known(value: str | None) -> str:
    return _wrong() if value is None else value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        _wrong()
    value.encode()
    return str(value)


def _id(value: Any) -> str | None:
    if value is None or value != value:
        return None
    if (type(value) is float and value.is_integer()) or type(value) is int:
        return str(int(value))
    return _string(value)


def _category(value: Any) -> str | None:
    if value is None or value != value:
        return None
    text = str(value) if type(value) in (int, float, bool) else _string(value)
    if re.fullmatch("-?[0-9]+[.]0+", text):
        text = text.split(".")[0]
        return "0" if text == "-0" else text
    return text.lower() if text in ("True", "TRUE", "False", "FALSE") else text


def _float(value: Any) -> float | None:
    if value in (None, ""):
        return None
    if isinstance(value, str):
        word = value.strip()
        if word in ("true", "True", "TRUE", "false", "False", "FALSE"):
            return float(word.lower() == "true")
        return _wrong() if "_" in value or not value.isascii() else float(value)
    return float(value) if type(value) in (int, float, bool) else _wrong()


def _map(value: Any) -> dict[str, Any]:
    return {} if value is None else value if isinstance(value, dict) else _wrong()


def _millis(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch("-?[0-9]{1,18}([.][0-9]{1,18})?", value):
        value = float(value) if "." in value else int(value)
    if type(value) in (int, float) and -(2**63) < value < 2**63:
        return int(value // 1)
    moment = datetime.fromisoformat(value) if isinstance(value, str) else _wrong()
    if moment.utcoffset() is None:
        _wrong()
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))


def _rules(name: str, fields: dict[str, Any], key: bytes | None, arrival_ms: int) -> None:
    owner = fields["prediction"] if name == "LabeledPrediction" else fields
    request_id = owner["request_id"].encode()
    if not request_id:
        raise Unreadable("request-id-empty")
    if len(request_id) > 1000:
        raise Unreadable("request-id-too-long")
    if request_id != key:
        raise Unreadable("key-mismatch")
    if name in ("PredictionRequest", "Prediction"):
        _lengths(fields)
    for time in ("event_time", "scored_at", "outcome_time"):
        if name != "LabeledPrediction" and time in fields:
            _time_rules(time, fields[time], arrival_ms)
    for number in ("score", "outcome"):
        value = fields.get(number)
        if name in ("Prediction", "Outcome") and value is not None and not math.isfinite(value):
            raise Unreadable(f"{number}-not-finite")
    if name == "Outcome" and fields["outcome"] is not None and fields["class_name"]:
        raise Unreadable("outcome-twice")


def _command_rules(fields: dict[str, Any], key: bytes | None) -> None:
    if not fields["command_id"]:
        raise Unreadable("command-id-empty")
    most = {"command_id": 1000, "kind": 1000, "model": 1000, "actor": 1000, "reason": 4096}
    long = any(len(fields[name].encode()) > limit for name, limit in most.items())
    texts = [text for pair in fields["arguments"].items() for text in pair]
    if long or len(texts) > 2 * 100 or any(len(text.encode()) > 4096 for text in texts):
        raise Unreadable("too-long")
    if fields["model"].encode() != key:
        raise Unreadable("key-mismatch")


def _rollout_rules(fields: dict[str, Any], key: bytes | None, arrival_ms: int) -> None:
    if fields["model"].encode() != key:
        raise Unreadable("key-mismatch")
    if not 0 <= fields["revision"] < 2**47:
        raise Unreadable("counts-out-of-range")
    if fields["effective_at"] > arrival_ms + 30 * AHEAD:
        raise Unreadable("event-time-ahead")
    if len(fields["earlier"]) > 64:
        raise Unreadable("too-long")
    if any(len(fields[name].encode()) > 1000 for name in ("model", "before", "challenger", "mode", "state")):
        raise Unreadable("too-long")
    for each in (fields, *fields["earlier"]):
        _assignment_rules(each)


def _worker_rules(fields: dict[str, Any], arrival_ms: int) -> None:
    if fields["told_at"] > arrival_ms + AHEAD:
        raise Unreadable("event-time-ahead")


def _assignment_rules(fields: dict[str, Any]) -> None:
    shares, champion = fields["shares"], fields["champion"]
    if not champion:
        raise Unreadable("no-champion")
    if not _YEAR_1 <= fields["effective_at"] < _YEAR_10000:
        raise Unreadable("time-out-of-range")
    names = [champion, fields["salt"], fields["rollout_id"], *shares]
    if len(shares) > 64 or any(len(name.encode()) > 1000 for name in names):
        raise Unreadable("too-long")
    parts = all(0 <= share <= 1 for share in shares.values()) and math.fsum(shares.values()) <= 1 + 1e-9
    if not parts or champion in shares or not 0 < fields["sample"] <= 1:
        raise Unreadable("shares-out-of-range")


def _training_rules(fields: dict[str, Any]) -> None:
    cut = fields.get("cut", {})
    texts = [text for name, text in fields.items() if isinstance(text, str) and name not in ("cause", "message")]
    if len(cut) > 10_000 or any(len(text.encode()) > 1000 for text in [*texts, *cut]):
        raise Unreadable("too-long")


def _lengths(fields: dict[str, Any]) -> None:
    segments, features, categories = fields.get("segments", []), fields["features"], fields.get("categories", {})
    names = [fields.get(name, "") for name in ("model", "model_version", "role", "signature")]
    names += [*segments, *(name for each in (features, categories) if isinstance(each, dict) for name in each)]
    texts = categories.values() if isinstance(categories, dict) else categories
    long = any(len(name.encode()) > 1000 for name in names) or len(fields["user_id"].encode()) > 4096
    if long or any(len(text.encode()) > 65_536 for text in texts):
        raise Unreadable("too-long")
    if len(segments) > 32 or max(len(features), len(categories)) > 10_000:
        raise Unreadable("too-long")


def _time_rules(name: str, time: int, arrival_ms: int) -> None:
    if not _YEAR_1 <= time < _YEAR_10000:
        raise Unreadable("time-out-of-range")
    if name != "scored_at" and 1_000_000_000 <= time < 10_000_000_000 and arrival_ms >= 1_000_000_000_000:
        raise Unreadable("event-time-unit")
    if name != "scored_at" and time > arrival_ms + AHEAD:
        raise Unreadable("event-time-ahead")


def _mature_range(mature: dict[str, Any] | None) -> None:
    """The counts at maturity, each by itself."""
    if mature is None:
        return
    counts = [value for value in mature.values() if type(value) is int]
    sums = {name: int.from_bytes(value, "big", signed=True) for name, value in mature.items() if type(value) is bytes}
    least = {name: 1 - 2**127 if name == "score_sum" else 0 for name in sums}
    if not all(0 <= count < 2**47 for count in counts) or not all(least[name] <= sums[name] < 2**127 for name in sums):
        raise Unreadable("counts-out-of-range")


def _mature_agrees(mature: dict[str, Any] | None, fields: dict[str, Any]) -> bool:
    """The counts at maturity, with each other and with those of the window."""
    if mature is None:
        return True
    cells = sum(mature[cell] for cell in ("tp", "fp", "fn", "tn"))
    return (
        fields["state"] != "provisional"
        and mature["predictions"] <= fields["predictions"]
        and cells <= mature["matched"] <= mature["predictions"]
        and mature["tp"] + mature["fp"] <= mature["predicted_positive"] <= mature["predictions"]
    )


def _pair_rules(fields: dict[str, Any]) -> None:
    """The rules of pairs, as those of other counts."""
    if fields["state"] not in ("provisional", "mature", "sealed"):
        raise Unreadable("unknown-state")
    if fields["task"] not in ("binary", "decision", "regression"):
        raise Unreadable("unknown-state")
    mature = fields.get("mature")
    tables = [fields["counts"], *([mature] if mature is not None else [])]
    cells = [table[cell] for table in tables for cell in ("both", "first", "second", "neither", "alike", "unlike")]
    points = [point for table in tables for name in ("lower", "upper") for point in table[name]]
    sums = [table[f"{side}_score_sum"] for table in tables for side in ("first", "second")]
    if (
        not all(0 <= count < 2**47 for count in [*cells, *points, fields["revision"]])
        or not 0 <= fields["source_partition"] < 2**15
        or not all(-(2**127) < int.from_bytes(each, "big", signed=True) < 2**127 for each in sums)
        or not 0 < fields["sample"] <= 1
    ):
        raise Unreadable("counts-out-of-range")
    if fields["first"] >= fields["second"] or (fields["state"] == "provisional" and mature is not None):
        raise Unreadable("counts-disagree")
    for table in tables:
        if bool(table["lower"]) != bool(table["upper"]):
            raise Unreadable("counts-disagree")
        for name in ("lower", "upper"):
            if table[name] and (len(table[name]) != 33 or sum(table[name]) != table["both"] * 2**20):
                raise Unreadable("counts-disagree")


def _count_rules(fields: dict[str, Any]) -> None:
    """The rules of absolute counts, of a window, a profile or a join: out of range goes before disagreement."""
    if fields.get("state", "sealed") not in ("provisional", "mature", "sealed"):
        raise Unreadable("unknown-state")
    if fields.get("task", "binary") not in ("binary", "decision", "regression"):
        raise Unreadable("unknown-state")
    features = [feature["counts"] for feature in fields.get("features", [])]
    listed = [fields.get("positives", []), fields.get("negatives", []), *features]
    matured = [window["predictions"] for window in fields.get("matured", [])]
    counts = [value for name, value in fields.items() if type(value) is int and name not in _NO_COUNTS]
    sums = {name: int.from_bytes(value, "big", signed=True) for name, value in fields.items() if name.endswith("_sum")}
    bins, scored = fields.get("score_bins", []), fields.get("prediction_bins", [])
    scores = fields.get("prediction_counts", [])
    if (
        not all(0 <= count < 2**47 for count in [*counts, *matured])
        or not 0 <= fields["source_partition"] < 2**15
        or any(count < 0 for each in [*listed, scores] for count in each)
        or not all(-(2**127) < value < 2**127 for value in sums.values())
        or any(sums.get(name, 0) < 0 for name in ("absolute_error_sum", "squared_error_sum"))
        or any(not low < high for low, high in zip([-1, *bins], [*bins, 2048], strict=True))
        or any(not low < high for low, high in zip([-1, *scored], [*scored, 4096], strict=True))
    ):
        raise Unreadable("counts-out-of-range")
    _mature_range(fields.get("mature"))
    if any(sum(each) > fields["predictions"] for each in features):
        raise Unreadable("counts-disagree")
    if "score_bins" in fields:
        cells = sum(fields[cell] for cell in ("tp", "fp", "fn", "tn"))
        if (
            any(len(each) != len(bins) for each in listed)
            or len(scored) != len(scores)
            or sum(scores) > fields["predictions"]
            or fields["matched"] + fields["expired"] > fields["predictions"]
            or max(cells, sum(map(sum, listed))) > fields["matched"]
            or fields["assumed"] > fields["matched"]
            or not _mature_agrees(fields.get("mature"), fields)
        ):
            raise Unreadable("counts-disagree")
