"""Records that cannot be used: each of them becomes one dead letter."""

import json
import random
from dataclasses import asdict, replace

from leadline.records import Outcome, PredictionRequest
from leadline.wire.codec import value_of

KeyAndValue = tuple[bytes, bytes]
_DAY_MS = 86_400_000


def garbage(rng: random.Random, value: bytes) -> bytes:
    """A record that is cut, or bytes that are none."""
    return rng.choice(
        [value[: rng.randrange(1, len(value))], rng.randbytes(rng.randint(1, 200)), b"\xc3\x01" + rng.randbytes(50)]
    )


def larger_as_letter(rng: random.Random, number: int) -> KeyAndValue:
    """A model's name that is six times as long in a message about it; nearly as many bytes as the topic takes."""
    key = b"letter-%d" % number
    if rng.random() < 0.5:
        return key, rng.randbytes(64) * (61 << 10)
    named = {"request_id": key.decode(), "model": "\x7f" * 900_000, "event_time": 1_700_000_000_000, "features": {}}
    return key, json.dumps(named, ensure_ascii=False).encode()


def fat(rng: random.Random, request: PredictionRequest) -> KeyAndValue:
    """A request of which one part is far too long."""
    long = rng.choice(
        [
            replace(request, categories=request.categories | {"kind": "k" * 900_000}),
            replace(request, user_id="u" * 900_000),
            replace(request, request_id=request.request_id + "r" * 2_000),
            replace(request, features=request.features | {"f" * 2_000: 1.0}),
            replace(request, model="m" * 2_000),
        ]
    )
    return long.request_id.encode(), value_of(long)


def ahead(rng: random.Random, record: PredictionRequest | Outcome, now_ms: int) -> KeyAndValue:
    """A record whose time is days or a year ahead, or in seconds, or in microseconds."""
    field = "event_time" if isinstance(record, PredictionRequest) else "outcome_time"
    at = rng.choice([now_ms + 2 * _DAY_MS, now_ms + 400 * _DAY_MS, now_ms * 1000, now_ms // 1000])
    return record.request_id.encode(), value_of(type(record)(**(asdict(record) | {field: at})))
