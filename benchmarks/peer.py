"""``scripts/bench peer``: Leadline's worker as one of several stream processors that do the same job, run by somebody else's runner.

The runner names the job, the topics and a folder in the environment (``PEER_*``), and looks at the output topics alone. Job S: requests to
predictions. Job J: predictions and outcomes to matches, and to the counts of each minute. Its records are Avro without a header and JSON;
here is their form. All else is the product's: worker, lane, scoring, join and window partials, changelog, transactions, RocksDB.
"""

import asyncio
import io
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyruhvro

from benchmarks.measure import PARTITIONS, BenchError, publish
from leadline.core.processor import Batch, Effects, Output, Processor
from leadline.hosts.worker import worker
from leadline.kafka.admin import apply_topics
from leadline.learning.add import add_version
from leadline.logs import configure_logs
from leadline.records import PredictionRequest, Rollout, WindowPartial
from leadline.settings import ModelSettings, Settings, load_settings
from leadline.topology import Step, step
from leadline.wire.codec import FEW_REQUESTS, WIRE, Wire, encode, unusual
from leadline.wire.glances import NO_GLANCES, Glances
from leadline.wire.rules import broken, broken_record
from leadline.wire.run import DeadLetter, Run
from leadline.wire.schemas import HEAD_BYTES

MODEL, VERSION = "peers", "v1"
FEATURES = [f"f{i}" for i in range(10)]
MEAN = [0.5, -1.0, 2.0, 0.0, 10.0, -3.0, 1.5, 0.25, -0.75, 4.0]
SCALE = [1.0, 2.0, 0.5, 1.5, 5.0, 1.25, 0.75, 2.5, 1.0, 3.0]
COEFFICIENTS = [0.8, -0.5, 0.3, 1.1, -0.7, 0.2, -0.9, 0.4, 0.6, -0.1]
INTERCEPT = -0.2

_FIELDS: dict[str, dict[str, Any]] = {
    "Request": {"request_id": "string", "user_id": "string", "event_time": "long", "features": {"type": "map", "values": "double"}},
    "Prediction": {
        "request_id": "string", "user_id": "string", "event_time": "long", "model_version": "string", "score": "double", "label": "int",
    },
    "Outcome": {"request_id": "string", "outcome": "int", "outcome_time": "long"},
}  # fmt: skip
SCHEMAS = {
    name: {"type": "record", "name": name, "fields": [{"name": each, "type": kind} for each, kind in fields.items()]}
    for name, fields in _FIELDS.items()
}
_READ = {
    "prediction-requests": ("Request", "PredictionRequest"),
    "predictions": ("Prediction", "Prediction"),
    "outcomes": ("Outcome", "Outcome"),
}
"""Of each input the record's name there, and here."""


def main() -> int:
    """Work until SIGTERM; the exit code."""
    asked = os.environ
    job = _JOBS[asked["PEER_JOB"]]
    folder = Path(asked["PEER_STATE_DIR"])
    settings = load_settings(prefix=asked["PEER_RUN"], models=folder / "models", state=folder / "state")
    configure_logs()
    (add_settings if job.step.stateful else add_model)(settings.models)
    asyncio.run(_prepare(settings, asked["PEER_BOOTSTRAP"], job.step))
    names = {topic: asked[variable] for topic, variable in job.topics.items()}
    return worker([job.step], settings, asked["PEER_BOOTSTRAP"], wire(names, Path(asked["PEER_MARK"])))


async def _prepare(settings: Settings, bootstrap: str, work: Step) -> None:
    """The topics that the runner knows nothing of, and which version answers, where one is asked."""
    kept = [work.name] if work.stateful else []
    beside = ["rollouts", "shadow-predictions", "pair-partials", "dead-letters"]
    await apply_topics(bootstrap, settings.prefix, PARTITIONS, 1, None, kept, beside)
    if work.stateful:
        return
    rollout = Rollout(MODEL, VERSION, int(time.time() * 1000), "scripts/bench", "measured")
    await publish(bootstrap, settings.prefix, [Output("rollouts", [MODEL.encode()], records=[rollout])])


def add_settings(models: Path) -> None:
    """What the join needs to know of the model."""
    folder = models / MODEL
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(f'name = "{MODEL}"\nwindow = "1m"\n', "utf-8")


def add_model(models: Path) -> None:
    """The fixed model, registered like any other; once, since a worker that was killed comes back to its folder."""
    if (models / MODEL / VERSION).exists():
        return
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    matrix = np.array(MEAN) + np.array(SCALE) * np.random.default_rng(5).standard_normal((1000, len(FEATURES)))
    truth = np.arange(len(matrix)) % 2
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, truth)
    scaler, regression = (part for _, part in model.steps)
    scaler.mean_, scaler.scale_, scaler.var_ = np.array(MEAN), np.array(SCALE), np.array(SCALE) ** 2
    regression.coef_, regression.intercept_ = np.array([COEFFICIENTS]), np.array([INTERCEPT])
    reference = pa.table({name: matrix[:, i] for i, name in enumerate(FEATURES)} | {"outcome": truth})
    settings = ModelSettings(name=MODEL, numeric=FEATURES, window=60_000)
    add_version(models, settings, VERSION, model, reference, "outcome")


# -- the form of the records ----------------------------------------------------------------------------------------------


def wire(names: Mapping[str, str], mark: Path) -> Wire:
    """The runner's form; with the first records the time is written into the file ``mark``."""

    def decode(
        run: Run, max_bytes: int, max_ahead_ms: int | None = None, glances: Glances = NO_GLANCES
    ) -> tuple[Batch, list[DeadLetter]]:
        if run.topic not in names:  # a table, which is in the product's own form
            return WIRE.decode(run, max_bytes, max_ahead_ms, glances)
        if not mark.exists():
            mark.write_text(repr(time.time()), "utf-8")
        return to_batch(run, max_bytes), []

    return Wire(decode, to_bytes, names)


def to_batch(run: Run, max_bytes: int) -> Batch:
    """What the stages want to see, with the same checks as `leadline.wire.codec`; raises BenchError where any record is not whole."""
    keys, bodies = [key or b"" for key in run.keys], [value or b"" for value in run.values]
    offsets, times = np.array(run.offsets, np.int64), np.array(run.timestamps, np.int64)
    batch = Batch(run.topic, run.partition, offsets, times, keys, run.offsets[-1], int(times.max()))
    if run.topic == "prediction-requests" and len(run) <= FEW_REQUESTS:
        return replace(batch, records=[_request(key, body) for key, body in zip(keys, bodies, strict=True)])
    return replace(batch, columns=_to_columns(run, bodies, max_bytes), bodies=bodies)


def _request(key: bytes, body: bytes) -> PredictionRequest:
    stream = io.BytesIO(body)
    given: dict[str, Any] = fastavro.schemaless_reader(stream, _parsed("Request"))  # type: ignore[assignment]
    made = PredictionRequest(model=MODEL, **given)
    rule = broken_record("prediction-requests", made, key)
    if stream.tell() < len(body) or rule is not None:
        raise BenchError(f"{key!r} is no Request: {rule}")
    return made


def _to_columns(run: Run, bodies: list[bytes], max_bytes: int) -> pa.RecordBatch:
    theirs, ours = _READ[run.topic]
    columns = pyruhvro.deserialize_array(bodies, _text(theirs))
    columns.validate(full=True)
    if max(map(len, bodies)) > max_bytes or unusual(columns, bodies, _text(theirs)):
        raise BenchError(f"{run.topic}/{run.partition}: from offset {run.offsets[0]} on a record is no {theirs}")
    columns = _widened(run.topic, columns)
    for rows, reason, _ in broken(ours, columns, run.keys, np.array(run.timestamps), None):
        if rows.any():
            raise BenchError(f"{run.topic}/{run.partition}: from offset {run.offsets[0]} on: {reason}")
    return columns


def _widened(topic: str, columns: pa.RecordBatch) -> pa.RecordBatch:
    """Their columns, with those that only we have; all is of one model, and has no categories and no segments."""
    count = columns.num_rows
    given = dict(zip(columns.schema.names, columns.columns, strict=True))
    nothing, none = pa.array(np.zeros(count + 1, np.int32)), pa.array([], pa.string())
    match topic:
        case "prediction-requests":
            more = {"model": pa.repeat(MODEL, count), "categories": pa.MapArray.from_arrays(nothing, none, none)}
        case "predictions":
            more = dict.fromkeys(("role", "signature"), pa.repeat("", count)) | {
                "model": pa.repeat(MODEL, count),
                "scored_at": given["event_time"],
                "predicted_label": given["label"].cast(pa.int64()),
                "features": pa.ListArray.from_arrays(nothing, pa.array([], pa.float64())),
                "segments": pa.ListArray.from_arrays(nothing, none),
                "categories": pa.ListArray.from_arrays(nothing, none),
                "rollout_id": pa.repeat("", count),
                "sample": pa.repeat(1.0, count),
            }
        case _:
            more = {"outcome": given["outcome"].cast(pa.float64()), "class_name": pa.nulls(count, pa.string())}
    return pa.record_batch(given | more)


def to_bytes(output: Output) -> list[bytes]:
    """Predictions in their schema; labeled predictions as ours without the header; counts of windows as JSON."""
    match output.topic:
        case "predictions" if output.columns is None:
            return [_prediction(record) for record in output.records]
        case "predictions":
            columns = output.columns
            assert columns is not None
            label = columns["predicted_label"].cast(pa.int32())
            given = {name: columns[name] for name in _FIELDS["Prediction"] if name != "label"} | {"label": label}
            written: list[bytes] = pyruhvro.serialize_record_batch(pa.record_batch(given), _text("Prediction"), 1)[
                0
            ].to_pylist()
            return written
        case "labeled-predictions":
            return [value[HEAD_BYTES:] for value in encode(output)]
        case _:
            return [_counts(record) for record in output.records]


def _prediction(record: Any) -> bytes:
    stream = io.BytesIO()
    given = {name: getattr(record, name) for name in _FIELDS["Prediction"] if name != "label"}
    fastavro.schemaless_writer(stream, _parsed("Prediction"), given | {"label": record.predicted_label})
    return stream.getvalue()


def _counts(partial: Any) -> bytes:
    """How many predictions of a window are matched, and how many of these are right."""
    return json.dumps(
        {
            "model_version": partial.model_version,
            "window_start": partial.window_start,
            "n": partial.matched,
            "correct": partial.tp + partial.tn,
        }
    ).encode()


@cache
def _text(name: str) -> str:
    return json.dumps(SCHEMAS[name])


@cache
def _parsed(name: str) -> Any:
    return fastavro.parse_schema(json.loads(_text(name)))


# -- the jobs ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _WindowsAlone:
    """The join, without its counts of classes of records: the job has no topic for them."""

    join: Processor

    @property
    def wake_at_ms(self) -> int | None:
        return self.join.wake_at_ms

    @property
    def has_due(self) -> bool:
        return self.join.has_due

    def on_batch(self, batch: Batch) -> Effects:
        return self._alone(self.join.on_batch(batch))

    def on_time(self, now_ms: int, idle: frozenset[str]) -> Effects:
        return self._alone(self.join.on_time(now_ms, idle))

    @staticmethod
    def _alone(effects: Effects) -> Effects:
        return Effects([_of_windows(output) for output in effects.outputs], effects.rejects)


def _of_windows(output: Output) -> Output:
    if output.topic != "window-partials":
        return output
    return replace(output, records=[record for record in output.records if isinstance(record, WindowPartial)])


@dataclass(frozen=True, slots=True)
class _Job:
    """A stage, and by which variable the runner names each of its topics."""

    step: Step
    topics: dict[str, str]


_JOIN = step("join")
_JOBS = {
    "S": _Job(
        replace(step("scoring"), lookups=False),
        {"prediction-requests": "PEER_IN_REQUESTS", "predictions": "PEER_OUT_PREDICTIONS"},
    ),
    "J": _Job(
        replace(
            _JOIN,
            writes=("labeled-predictions", "window-partials"),
            processor=lambda task: _WindowsAlone(_JOIN.processor(task)),
        ),
        {
            "predictions": "PEER_IN_PREDICTIONS",
            "outcomes": "PEER_IN_OUTCOMES",
            "labeled-predictions": "PEER_OUT_MATCHES",
            "window-partials": "PEER_OUT_METRICS",
        },
    ),
}
