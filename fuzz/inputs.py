"""Runs of hostile records, each by its seed: valid ones, odd ones, and both with bytes changed."""

import io
import json
import random
import struct
from collections.abc import Callable
from typing import Any

import fastavro

from fuzz.reference import ARRIVAL, Raw
from leadline.wire.codec import FEW, JSON_TOPICS, MANY
from leadline.wire.schemas import head, parsed, plain

TOPICS = [*list(MANY) * 3, *FEW]
"""Runs go round these: topics that people write to, and that have two decoders, come more often."""
_LONGS = [0, 1, -1, 63, 64, -64, -65, 8191, 8192, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
_TIMES = [0, 1, -1, 1_700_000_000_000, -62_135_596_800_000, 999_999_999, 1_700_086_000_000]
_LATE = [
    *(-62_135_596_800_001, 253_402_300_799_999, 253_402_300_800_000, 2**63 - 1, -(2**63)),
    *(1_700_000_000, 9_999_999_999, 1_700_100_000_000, 1_700_000_000_000_000, 1_700_000_000_000_000_000),
]
_DOUBLES = [0.0, -0.0, 1.0, -1.0, 0.5, 5e-324, 1.7976931348623157e308, 1e9, -1e9]
_NOT_FINITE = [float("nan"), float("inf"), float("-inf")]
_STRINGS = [
    "",
    "",
    "a",
    "m",
    "ü",
    "münchen",
    "\0",
    "😀",
    "\u2028",
    "\ud7ff\ue000",
    "a" * 63,
    "a" * 64,
    "x" * 300,
    '"\\',
]
_LONG_STRINGS = ["x" * 1000, "x" * 1001, "ü" * 501, "u" * 4096, "u" * 4097]
_IDS = ["r1", "r2", "ü", "😀", "\0", "r" * 63, "r" * 64, "i" * 1000]
_BAD_IDS = ["", "i" * 1001, "ü" * 501]
_ARRIVALS = [b"0", b"-77", b"1700000000000", b"", b"x", None, b"9" * 30, b"9" * 5000, b" 7 ", b"1_0", b"\xff", b"1.5"]
_BYTES = [0, 1, 2, 3, 4, 0x7B, 0x7F, 0x80, 0x81, 0xC3, 0xED, 0xFE, 0xFF]
_VARINTS = [
    b"\xff" * 9 + b"\x01", b"\xfe" * 9 + b"\x01", b"\xff\xff\xff\xff\x0f", b"\xfe\xff\xff\xff\x0f", b"\x80" * 9 + b"\x01",
    b"\xff" * 10 + b"\x01", b"\x80" * 30, b"\xff" * 9 + b"\x7f", b"\xfe" * 8 + b"\x7f", b"\x80\0", b"\x01", b"\x03",
]  # fmt: skip
_NOT_UTF8 = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"]
_JSON_VALUES = [
    "null", "true", "0", "-1", "1.5", "NaN", "Infinity", "-Infinity", "1e400", "9" * 400, "9" * 4400, "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", '""', '"a"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\udc00\\ud800"', "[]",
    "[1]", "{}", '{"a": null}', '{"a": 1, "a": 2}', '{"\\ud800": 1}', '{"\\ud800": "x"}', '{"a": {}}', '{"a": "1"}',
    '"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00"', '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59.999-23:59"',
    '"2024-01-01"', '"20240101T000000,5+0130"', '"2024-W01-1T00Z"', "[" * 2000, '{"a":' * 900, "1" * 30, "-0.0", "1e5", "'a'",
]  # fmt: skip


def run(seed: int, number: int) -> tuple[str, list[Raw]]:
    """The topic and the records of a run; the same for the same numbers."""
    rng = random.Random(f"{seed} {number}")  # noqa: S311 - bad luck, by seed
    topic = TOPICS[number % len(TOPICS)]
    pool = [_written(topic, rng) for _ in range(100)]
    changed = rng.choice([0, 0.01, 0.3, 0.9])
    return topic, [_record(pool, changed, rng) for _ in range(rng.choice([1, 7, 500, 1000, 1000, 1500, 2000]))]


def _record(pool: list[Raw], changed: float, rng: random.Random) -> Raw:
    key, value, headers = rng.choice(pool)
    if rng.random() < changed:
        value = value or b""
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            value = rng.choice(_CHANGES)(value, rng.choice(pool).value or b"", rng)
        odd = rng.random()
        if odd < 0.01:
            value = rng.choice([None, b""])
        elif odd < 0.02:
            key = rng.choice([None, b"", b"r1", b"\xff", (key or b"") + b"\0"])
        elif odd < 0.03:
            headers = tuple((rng.choice([ARRIVAL, "x"]), rng.choice(_ARRIVALS)) for _ in range(rng.choice([1, 1, 2])))
            value = rng.choice([None, value, value])
    return Raw(key, value, headers)


def _written(topic: str, rng: random.Random) -> Raw:
    """A record of a topic: mostly lawful, and in one of the forms in which it may come."""
    name = MANY[topic] if topic in MANY else rng.choice(FEW[topic])
    fields = _value(plain(name), "", rng)
    if topic in ("window-partials", "window-profiles") and rng.random() < 0.8:
        _make_possible(name, fields, rng)
    if topic == "pair-partials" and rng.random() < 0.8:
        _make_pairs_possible(fields, rng)
    owner = fields["prediction"] if name == "LabeledPrediction" else fields
    key = str(owner.get("request_id", "")).encode()
    form = rng.random()
    if topic in JSON_TOPICS and form < 0.25:
        return Raw(key, _json(fields, rng))
    if form < 0.7:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, parsed(name), fields)
        return Raw(key, head(name) + stream.getvalue())
    writer = _OddWriter(rng, rng.choice([0.05, 0.3]), hostile=form > 0.85)
    return Raw(key, head(name) + writer.write(plain(name), fields))


def _value(kind: Any, name: str, rng: random.Random) -> Any:
    if isinstance(kind, list):
        return None if rng.random() < 0.3 else _value(kind[1], name, rng)
    shape = kind["type"] if isinstance(kind, dict) else kind
    if shape == "record":
        return {field["name"]: _value(_known(field["type"]), field["name"], rng) for field in kind["fields"]}
    if shape == "array":
        return [_value(kind["items"], "", rng) for _ in range(_count(rng))]
    if shape == "map":
        return {rng.choice(_STRINGS) + str(i): _value(kind["values"], "", rng) for i in range(_count(rng))}
    return _LEAVES[shape](name, rng)


def _make_pairs_possible(fields: dict[str, Any], rng: random.Random) -> None:
    """Pairs that may be, but for one thing now and then."""
    fields |= {
        "first": "v1",
        "second": rng.choice(["v2", "v2", "v2", "v1"]),
        "sample": rng.choice([0.1, 1.0, 1.0, 0.0]),
    }
    fields |= {
        "state": rng.choice(["mature", "sealed", "provisional"]),
        "task": "binary",
        "source_partition": 0,
        "revision": 1,
    }
    for table in (fields["counts"], fields["mature"] or {}):
        table |= {name: rng.randrange(1000) for name, value in table.items() if type(value) is int}
        table |= {"lower": [], "upper": []} if table else {}
        if table and rng.random() < 0.3:
            table["lower"] = table["upper"] = [0] * 16 + [table["both"] * 2**20 + rng.choice([0, 0, 0, 1])] + [0] * 16


def _make_possible(schema: str, fields: dict[str, Any], rng: random.Random) -> None:
    """Counts that may be: a hostile one among them is met by itself."""
    for name, value in fields.items():
        if type(value) is int:
            fields[name] = rng.randrange(1000)
        elif name.endswith("_sum"):
            fields[name] = bytes([0, rng.randrange(256)])
    if fields.get("mature") is not None:
        names = [name for name in fields["mature"] if not name.endswith("_sum")]
        few = dict.fromkeys(names, rng.randrange(100)) | {"predictions": 900, "matched": 500, "predicted_positive": 300}
        fields["mature"] |= few | {"absolute_error_sum": b"\x05", "squared_error_sum": b"\x00"}
    for feature in fields.get("features", []):
        feature["counts"] = [rng.randrange(10) for _ in feature["counts"]]
    fields["predictions"] = 10_000
    if "score_bins" in fields:
        bins = sorted(rng.sample(range(2048), rng.randrange(5)))
        counts = {"score_bins": bins, "positives": [3] * len(bins), "negatives": [rng.randrange(9)] * len(bins)}
        scored = sorted(rng.sample(range(4096), rng.randrange(5)))
        counts |= {"prediction_bins": scored, "prediction_counts": [rng.randrange(9)] * len(scored)}
        fields |= counts | {"matched": 4000, "state": "mature", "task": rng.choice(["binary", "regression"])}
    if rng.random() < 0.3:
        odd = rng.choice(plain(schema)["fields"])
        fields[odd["name"]] = _value(odd["type"], odd["name"], rng)


def _known(kind: Any) -> Any:
    """The schema for a name that an earlier field has defined (a metric or counts of pairs, in today's schemas)."""
    return ["null", _DEFINED[kind[1]]] if isinstance(kind, list) and str(kind[1]) in _DEFINED else kind


_DEFINED = {
    "Metric": next(each["type"][1] for each in plain("WindowMetrics")["fields"] if each["name"] == "accuracy"),
    "PairCounts": next(each["type"] for each in plain("PairPartial")["fields"] if each["name"] == "counts"),
}


def _count(rng: random.Random) -> int:
    return rng.choice([0, 0, 1, 1, 2, 3, 5]) if rng.random() < 0.97 else rng.choice([63, 64, 65, 130])


def _long(name: str, rng: random.Random) -> int:
    if name.endswith(("_time", "scored_at")):
        return rng.choice(_TIMES if rng.random() < 0.98 else _LATE)
    return rng.choice(_LONGS) if rng.random() < 0.5 else rng.getrandbits(rng.randint(1, 63))


def _double(name: str, rng: random.Random) -> float:
    if rng.random() < (0.02 if name in ("score", "outcome") else 0.1):
        return rng.choice(_NOT_FINITE)
    return rng.choice(_DOUBLES) if rng.random() < 0.3 else rng.gauss(0, 10)


def _string(name: str, rng: random.Random) -> str:
    if name == "request_id":
        return rng.choice(_IDS if rng.random() < 0.98 else _BAD_IDS)
    return rng.choice(_STRINGS if rng.random() < 0.998 else _LONG_STRINGS)


_LEAVES: dict[str, Callable[[str, random.Random], Any]] = {
    "long": _long,
    "int": lambda _, rng: rng.choice([0, 1, -1, 2**31 - 1, -(2**31)]),
    "double": _double,
    "string": _string,
    "boolean": lambda _, rng: rng.random() < 0.5,
    "bytes": lambda _, rng: rng.randbytes(rng.choice([0, 1, 2, 8, 16, 17])),
}

# -- odd Avro -----------------------------------------------------------------------------------------------------------


class _OddWriter:
    """Avro with the freedom that the format leaves to a writer, and where hostile beyond it."""

    def __init__(self, rng: random.Random, odd: float, *, hostile: bool) -> None:
        self._rng, self._odd, self._hostile = rng, odd, hostile

    def write(self, kind: Any, value: Any) -> bytes:
        if isinstance(kind, list):
            index = 0 if value is None else 1
            written = b"" if value is None else self.write(kind[1], value)
            return self._long(self._wrong(index, [2, -1, 1, 0, 64, -(2**63), 2**63 - 1])) + written
        shape = kind["type"] if isinstance(kind, dict) else kind
        if shape == "record":
            return b"".join(self.write(_known(field["type"]), value[field["name"]]) for field in kind["fields"])
        if shape == "array":
            return self._blocks([self.write(kind["items"], each) for each in value])
        if shape == "map":
            return self._blocks([self.write("string", k) + self.write(kind["values"], v) for k, v in value.items()])
        if shape == "double":
            return struct.pack("<d", value)
        if shape == "boolean":
            return bytes([self._wrong(int(value), [2, 0x80, 0xFF])])
        if shape in ("string", "bytes"):
            return self._text(value.encode() if isinstance(value, str) else value)
        return self._long(value)

    def _text(self, text: bytes) -> bytes:
        if self._hostile and self._rng.random() < self._odd:
            text += self._rng.choice(_NOT_UTF8)
        size = len(text)
        return self._long(self._wrong(size, [size + 1, size - 1, -size, -1, 2**31, 2**63 - 1, -(2**63), 2**40])) + text

    def _blocks(self, items: list[bytes]) -> bytes:
        written = b""
        while items:
            count = self._rng.randint(1, len(items)) if self._rng.random() < self._odd else len(items)
            block, items = b"".join(items[:count]), items[count:]
            said = self._wrong(count, [count + 1, 2**31, 2**63 - 1, -(2**63), 2**40, -(2**62), 2**58])
            if self._rng.random() < self._odd:
                size = len(block)
                written += self._long(-said if said > -(2**63) else said)
                written += self._long(self._wrong(size, [0, -1, size + 1, 2**63 - 1])) + block
            else:
                written += self._long(said) + block
        return written + self._long(0)

    def _wrong(self, right: int, wrong: list[int]) -> int:
        return self._rng.choice(wrong) if self._hostile and self._rng.random() < self._odd else right

    def _long(self, value: int) -> bytes:
        rest = (value << 1) ^ (value >> 63)
        written = bytearray()
        while rest > 0x7F:
            written.append(rest & 0x7F | 0x80)
            rest >>= 7
        written.append(rest)
        if self._rng.random() < self._odd:  # longer than it needs to be
            written[-1] |= 0x80
            written += b"\x80" * self._rng.choice([0, 0, 1, 12 if self._hostile else 0]) + b"\0"
        return bytes(written)


# -- JSON ---------------------------------------------------------------------------------------------------------------


def _json(fields: dict[str, Any], rng: random.Random) -> bytes:
    """The fields as JSON, half of the time with some field missing, doubled, of another type, or not alone."""
    items = [(json.dumps(name), json.dumps(each, ensure_ascii=rng.random() < 0.5)) for name, each in fields.items()]
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        at = rng.randrange(len(items))
        name = rng.choice([items[at][0], items[at][0], '"other"', '"\\ud800"'])
        items[at : at + rng.choice([0, 1, 1, 1])] = [(name, rng.choice(_JSON_VALUES))] * rng.choice([0, 1, 1, 1])
        items = items or [('"a"', "1")]
    text = "{" + ", ".join(f"{name}: {value}" for name, value in items) + "}"
    around = rng.choice(
        [*["{}"] * 20, "[{}]", "\ufeff{}", " \n{}\t", "\v\f{}", "{}x", "{},", "\u00a0{}", "{{{}", "\0{}"]
    )
    text = around.replace("{}", text)
    coding = rng.choice([*["utf-8"] * 40, "utf-16-le", "utf-16", "utf-32-le", "latin-1"])
    return text.encode(coding, "replace")


# -- changes ------------------------------------------------------------------------------------------------------------


def _bit(value: bytes, _: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value) or 1)
    return value[:at] + bytes([byte ^ 1 << rng.randrange(8) for byte in value[at : at + 1]]) + value[at + 1 :]


def _byte(value: bytes, _: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value) or 1)
    return value[:at] + bytes([rng.choice(_BYTES)]) + value[at + 1 :]


def _cut(value: bytes, _: bytes, rng: random.Random) -> bytes:
    return value[: rng.randrange(len(value) + 1)]


def _delete(value: bytes, _: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value) + 1)
    return value[:at] + value[at + rng.choice([1, 1, 2, 8]) :]


def _insert(value: bytes, _: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value) + 1)
    return (
        value[:at]
        + rng.choice([bytes([rng.choice(_BYTES)]), rng.randbytes(rng.randint(1, 9)), *_NOT_UTF8])
        + value[at:]
    )


def _double_part(value: bytes, _: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value) + 1)
    part = value[at : at + rng.choice([1, 4, 20, 400])]
    return value[:at] + part * rng.choice([2, 2, 3, 30]) + value[at + len(part) :]


def _splice(value: bytes, other: bytes, rng: random.Random) -> bytes:
    return value[: rng.randrange(len(value) + 1)] + other[rng.randrange(len(other) + 1) :]


def _varint(value: bytes, _: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value) + 1)
    return value[:at] + rng.choice(_VARINTS) + value[at + rng.choice([0, 1, 1, 2]) :]


def _behind(value: bytes, other: bytes, rng: random.Random) -> bytes:
    return value + rng.choice([b"\0", b"\n", b" ", b"{", b"\0" * 9, rng.randbytes(3), other])


def _head(value: bytes, _: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(10)
    return rng.choice(
        [
            value[:at] + bytes([rng.randrange(256)]) + value[at + 1 :],
            head(rng.choice([*MANY.values(), *FEW["metrics"]])) + value[10:],
            b"\x00\x00\x00\x00\x01" + value[10:],
            value[10:],
            b"{" + value,
        ]
    )


_CHANGES = [_bit, _byte, _byte, _cut, _delete, _insert, _double_part, _splice, _varint, _varint, _behind, _head]
