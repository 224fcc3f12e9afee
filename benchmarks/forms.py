"""What a record takes in each form: bytes of its value, and processor time to write and to read it, as a stage does; no broker.

Topics of many events in runs of 8,192, as a lane reads a backlog; topics of few in runs of 500. The best of several rounds.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
from rich.table import Table

from benchmarks.data import feature_names, features, join_logs
from leadline.core.models import Models, Signature
from leadline.core.processor import Output
from leadline.records import Alert, Metric, Record, WindowMetrics
from leadline.settings import load_settings
from leadline.wire.codec import WIRE, Wire, decode, keys_of
from leadline.wire.registered import KNOWN, schema_of
from leadline.wire.run import Run
from leadline.wire.schemas import HEAD_BYTES
from leadline.wire.topics import TOPICS
from leadline.wire.writing import wire_of

FORMS = ("avro", "confluent", "json")
_MANY, _FEW = 8192, 500
_IDS = {topic.name: number for number, topic in enumerate(TOPICS, 1) if topic.has_form}
_SIGNATURE = "0123456789abcdef"
_HOUR = 3_600_000


class Figures(NamedTuple):
    """Of one record."""

    bytes: float
    write_us: float
    read_us: float


def measure(rounds: int) -> dict[tuple[str, str], Figures]:
    """The figures by topic and form."""
    for topic, schema_id in _IDS.items():
        KNOWN.learn(schema_id, json.dumps(schema_of(topic)))
    return {
        (output.topic, form): _measured(output, wire, rounds)
        for output in (_predictions(), _labeled(), _of_few("metrics", _metrics()), _of_few("alerts", _alert()))
        for form, wire in wires().items()
    }


def wires() -> Mapping[str, Wire]:
    """How each form is written, where the names of features are known."""
    names = feature_names(features(1).shape[1])
    version = SimpleNamespace(signature=Signature(_SIGNATURE, names, [], {}))
    models = cast(Models, SimpleNamespace(version=lambda *_: version))
    with_registry = {"schema_registry": "http://127.0.0.1:1"}
    return {form: wire_of(load_settings(format=form, **with_registry), _IDS, models) for form in FORMS}


def table(found: dict[tuple[str, str], Figures]) -> Table:
    """The figures for people."""
    made = Table("topic", "form", "bytes", "write, CPU us", "read, CPU us", title="a record in each form")
    for (topic, form), each in found.items():
        made.add_row(topic, form, f"{each.bytes:,.0f}", f"{each.write_us:.2f}", f"{each.read_us:.2f}")
    return made


def _measured(output: Output, wire: Wire, rounds: int) -> Figures:
    values, keys = wire.encode(output), keys_of(output)
    count = len(values)
    run = Run(output.topic, 0, list(range(count)), [2**41] * count, [*keys], [*values], [()] * count)
    batch, letters = decode(run, 1 << 20)
    assert len(batch) == count, letters
    write, read = (_best(work, rounds) / count for work in (lambda: wire.encode(output), lambda: decode(run, 1 << 20)))
    return Figures(sum(map(len, values)) / count, write, read)


def _best(work: Callable[[], Any], rounds: int) -> float:
    """Microseconds of processor time, of all threads."""
    spent = []
    for _ in range(rounds):
        before = time.process_time_ns()
        work()
        spent.append(time.process_time_ns() - before)
    return min(spent) / 1000


def _predictions() -> Output:
    return join_logs(_MANY)[0]


def _labeled() -> Output:
    """As the join writes them: each prediction with the bytes in which it came."""
    made = _predictions()
    assert made.columns is not None
    bodies = [value[HEAD_BYTES:] for value in WIRE.encode(made)]
    tail = {
        "outcome": pa.array(np.ones(_MANY)),
        "outcome_time": made.columns["event_time"],
        "label_delay_ms": pa.array(np.full(_MANY, _HOUR)),
        "revision": pa.array(np.ones(_MANY, np.int64)),
        "assumed": pa.array(np.zeros(_MANY, bool)),
    }
    return Output("labeled-predictions", made.keys, columns=pa.record_batch(tail), bodies=bodies)


def _of_few(topic: str, record: Record) -> Output:
    return Output(topic, records=[record] * _FEW)


def _metrics() -> WindowMetrics:
    """A window of a binary model, with its three numbers."""
    one = Metric(0.9512345, 0.934, 0.962)
    realised = WindowMetrics(
        "fraud", "v2", "country=de", 0, _HOUR, 7, 2 * _HOUR, "provisional", "binary", 1200, 900, 300, 0, 310, 25, 20, 545, 0.75,
        one, one, one, one, one, one, one, one, one, None, None, None, 0.001, 560,
    )  # fmt: skip
    more = ("accuracy", "precision", "recall", "f1", "auc")
    beside: dict[str, Any] = {f"{kind}_{each}": one for kind in ("estimated", "nowcast") for each in more}
    return replace(realised, **beside)


def _alert() -> Alert:
    evidence = {
        "accuracy": "0.81",
        "limit": "0.90",
        "labels": "900 of 1200",
        "estimate": "0.86",
        "features": "amount, age",
    }
    return Alert(
        "9f1c5a7e0b2d4c61", "performance", "warning", "opened", "fraud", "v2", "*", 0, _HOUR, 7, evidence, "notes/fraud.md",
        cause="worse than its limit", segments=["country=de"], features=["amount"], error_rate="proven", at=2 * _HOUR,
    )  # fmt: skip
