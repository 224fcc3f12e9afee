"""The peer: the same jobs as plain Faust agents, written as its documentation shows. Started as a process of its own.

scoring: ``take(1000, within=0.05)``, one ``predict_proba`` a batch, one ``send`` a prediction.
join: two agents share a Table keyed by request id, in RocksDB with a changelog; a second Table holds the counts, told once a second.
"""

import os
from pathlib import Path
from typing import Any

import faust
import numpy as np

from benchmarks.avro import MATCH, OUTCOME, PREDICTION, REQUEST, Avro
from benchmarks.data import FAUST_STARTS, FEATURES, MINUTE_MS, MODEL, VERSION

PARTITIONS = 2
_PREFIX = os.environ["LEADLINE_PREFIX"]
_STATE = Path(os.environ["LEADLINE_STATE"])
_STATE.mkdir(parents=True, exist_ok=True)

app = faust.App(
    f"{_PREFIX}.faust",
    broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP']}",
    store="rocksdb://",
    datadir=str(_STATE / "faust"),
    web_enabled=False,
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    topic_disable_leader=True,
    key_serializer="raw",
    value_serializer="raw",
    consumer_auto_offset_reset="earliest",
    producer_linger=0.005,
)
_told: list[bool] = []


def _topic(noun: str, codec: Avro) -> Any:
    return app.topic(
        f"{_PREFIX}.{noun}", partitions=PARTITIONS, key_type=str, key_serializer="raw", value_serializer=codec
    )


def _tell_start() -> None:
    if not _told:
        _told.append(True)
        os.write(1, FAUST_STARTS.encode() + b"\n")  # with --quiet, print is silenced


def scoring() -> None:
    """Requests to predictions."""
    from benchmarks.model import trained

    model, predictions = trained(), _topic("predictions", PREDICTION)

    @app.agent(_topic("prediction-requests", REQUEST))  # type: ignore[untyped-decorator]
    async def score(stream: Any) -> None:
        async for rows in stream.take(1000, within=0.05):
            _tell_start()
            matrix = np.array([[row["features"][name] for name in FEATURES] for row in rows])
            for row, values, value in zip(
                rows, matrix.tolist(), model.predict_proba(matrix)[:, 1].tolist(), strict=True
            ):
                await predictions.send(key=row["request_id"], value=_prediction(row, values, value))


def _prediction(row: dict[str, Any], values: list[float], score: float) -> dict[str, Any]:
    return {
        "request_id": row["request_id"],
        "model": MODEL,
        "model_version": VERSION,
        "role": "champion",
        "user_id": row["user_id"],
        "event_time": row["event_time"],
        "scored_at": row["event_time"],
        "score": score,
        "predicted_label": int(score >= 0.5),
        "features": values,
        "signature": "",
        "segments": [],
        "feature_age_ms": None,
    }


def join() -> None:
    """Predictions and outcomes to matches and counts."""
    options = {"driver": "rocksdict"}
    pending = app.Table("pending", key_type=str, partitions=PARTITIONS, options=options)
    counts = app.Table("counts", key_type=str, partitions=PARTITIONS, options=options)
    matches = _topic("matches", MATCH)
    metrics = app.topic(
        f"{_PREFIX}.counts", partitions=PARTITIONS, key_type=str, key_serializer="raw", value_serializer="json"
    )
    changed: dict[tuple[str, int], list[int]] = {}

    async def matched(key: str, version: str, event_time: int, label: int, outcome: float, partition: int) -> None:
        pending[key] = [True]
        match = {
            "request_id": key,
            "model_version": version,
            "event_time": event_time,
            "label": label,
            "outcome": outcome,
        }
        await matches.send(key=key, value=match)
        window = f"{version}|{event_time // MINUTE_MS * MINUTE_MS}"
        total, right = counts.get(window) or (0, 0)
        counts[window] = changed[window, partition] = [total + 1, right + (label == outcome)]

    @app.agent(_topic("predictions", PREDICTION))  # type: ignore[untyped-decorator]
    async def on_prediction(stream: Any) -> None:
        async for event in stream.events():
            _tell_start()
            made = event.value
            key, known = made["request_id"], (made["model_version"], made["event_time"], made["predicted_label"])
            held = pending.get(key)
            if held is None:
                pending[key] = known
            elif len(held) == 2:
                await matched(key, *known, held[0], event.message.partition)

    @app.agent(_topic("outcomes", OUTCOME))  # type: ignore[untyped-decorator]
    async def on_outcome(stream: Any) -> None:
        async for event in stream.events():
            _tell_start()
            given = event.value
            key = given["request_id"]
            held = pending.get(key)
            if held is None:
                pending[key] = [given["outcome"], None]
            elif len(held) == 3:
                await matched(key, *held, given["outcome"], event.message.partition)

    @app.timer(1.0)  # type: ignore[untyped-decorator]
    async def tell() -> None:
        rows = list(changed.items())
        changed.clear()
        for (window, partition), (total, right) in rows:
            await metrics.send(key=f"{window}|{partition}", value=[window, total, right])


if __name__ == "__main__":
    {"scoring": scoring, "join": join}[os.environ["LEADLINE_BENCH_JOB"]]()
    app.main()
