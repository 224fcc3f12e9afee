"""The jobs as plain Faust agents.

scoring: ``take(1000, within=0.05)``, one ``predict_proba`` a batch, one ``send`` a prediction; for latency, each request alone.
join: two agents share a Table keyed by request id, in RocksDB with a changelog; a second Table holds the counts, emitted once a second.
"""

import os
from pathlib import Path
from typing import Any

import faust
from faust.serializers import codecs

from benchmarks.avro import MATCH, OUTCOME, PREDICTION, REQUEST, Avro
from benchmarks.shapes import MINUTE_MS, tell_start

PARTITIONS = 2
_PREFIX = os.environ["LEADLINE_PREFIX"]
_STATE = Path(os.environ["LEADLINE_STATE"])
_STATE.mkdir(parents=True, exist_ok=True)
_LATENCY = os.environ.get("LEADLINE_BENCH_LATENCY") == "1"

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
    producer_linger=0.0 if _LATENCY else 0.005,
)


class _Codec(codecs.Codec):  # type: ignore[misc]
    def __init__(self, avro: Avro) -> None:
        super().__init__()
        self._loads, self._dumps = avro.loads, avro.dumps


def _topic(topic: str, avro: Avro) -> Any:
    return app.topic(
        f"{_PREFIX}.{topic}", partitions=PARTITIONS, key_type=str, key_serializer="raw", value_serializer=_Codec(avro)
    )


def scoring() -> None:
    """Requests to predictions."""
    from benchmarks.model import predictions, trained

    model, topic = trained(), _topic("predictions", PREDICTION)

    @app.agent(_topic("prediction-requests", REQUEST))  # type: ignore[untyped-decorator]
    async def score(stream: Any) -> None:
        batches = ([row] async for row in stream) if _LATENCY else stream.take(1000, within=0.05)
        async for rows in batches:
            tell_start()
            for made in predictions(model, rows):
                await topic.send(key=made["request_id"], value=made)


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
            tell_start()
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
            tell_start()
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
