"""The jobs as Quix Streams applications. State is in RocksDB with changelogs.

scoring: ``apply`` is for one event and cannot batch, so a sink takes the events of a checkpoint, 1,000, and calls ``predict_proba`` once
for each partition. For latency, ``apply`` scores each request alone.
join: predictions and outcomes are concatenated and met in a stateful function; the matches are grouped by version, and counted in windows
of a minute. The framework has no timers: each match tells its window's counts.
"""

import os
from datetime import timedelta
from typing import Any

from confluent_kafka import KafkaException
from quixstreams import Application
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.dataframe.windows import Count, Sum
from quixstreams.sinks import BatchingSink, SinkBatch

from benchmarks.avro import MATCH, OUTCOME, PREDICTION, REQUEST, Avro
from benchmarks.model import predictions, trained
from benchmarks.shapes import tell_start

_PREFIX = os.environ["LEADLINE_PREFIX"]
_JOB = os.environ["LEADLINE_BENCH_JOB"]
_LATENCY = os.environ.get("LEADLINE_BENCH_LATENCY") == "1"
_BATCHES = _JOB == "scoring" and not _LATENCY


class _Scores(BatchingSink):
    """Scores a partition's requests of a checkpoint at once; the checkpoint waits until all predictions have arrived."""

    def __init__(self, app: Application) -> None:
        super().__init__()
        self._model, self._producer = trained(), app.get_producer()

    def write(self, batch: SinkBatch) -> None:
        for made in predictions(self._model, [item.value for item in batch]):
            key, value = made["request_id"].encode(), PREDICTION.dumps(made)
            self._producer.produce(f"{_PREFIX}.predictions", value, key, on_delivery=_delivered)

    def flush(self) -> None:
        super().flush()
        self._producer.flush()


def _delivered(error: Any, _: Any) -> None:
    if error is not None:
        raise KafkaException(error)


def _source(app: Application, topic: str, avro: Avro) -> StreamingDataFrame:
    def loads(value: bytes) -> Any:
        tell_start()
        return avro.loads(value)

    return app.dataframe(app.topic(f"{_PREFIX}.{topic}", value_deserializer="bytes")).apply(loads)


def scoring(app: Application) -> None:
    """Requests to predictions."""
    requests = _source(app, "prediction-requests", REQUEST)
    if _BATCHES:
        requests.sink(_Scores(app))
    else:
        model = trained()
        made = requests.apply(lambda row: PREDICTION.dumps(predictions(model, [row])[0]))
        made.to_topic(app.topic(f"{_PREFIX}.predictions", value_serializer="bytes"))


def join(app: Application) -> None:
    """Predictions and outcomes to matches and counts."""
    either = _source(app, "predictions", PREDICTION).concat(_source(app, "outcomes", OUTCOME))
    matches = either.apply(_match, stateful=True).filter(lambda match: match is not None)
    matches.apply(MATCH.dumps).to_topic(app.topic(f"{_PREFIX}.matches", value_serializer="bytes"))
    counts = (
        matches.apply(_counted)
        .group_by("version")
        .set_timestamp(lambda counted, *_: counted["event_time"])
        .tumbling_window(timedelta(minutes=1), grace_ms=timedelta(hours=12))
        .agg(total=Count(), right=Sum("right"))
        .current()
        .apply(
            lambda emitted, key, *_: [f"{key}|{emitted['start']}", emitted["total"], emitted["right"]], metadata=True
        )
    )
    counts.to_topic(
        app.topic(f"{_PREFIX}.counts", key_serializer="str", value_serializer="json"), key=lambda emitted: emitted[0]
    )


def _match(value: dict[str, Any], state: Any) -> dict[str, Any] | None:
    """A match where both are known; the first outcome counts. Of a request the state is what came first, or True once matched."""
    held = state.get("known")
    known = (
        value["outcome"]
        if "outcome" in value
        else [value["model_version"], value["event_time"], value["predicted_label"]]
    )
    if held is None:
        state.set("known", known)
    if held is None or held is True or isinstance(held, list) == isinstance(known, list):
        return None
    state.set("known", True)
    (version, event_time, label), outcome = (held, known) if isinstance(held, list) else (known, held)
    return {
        "request_id": value["request_id"],
        "model_version": version,
        "event_time": event_time,
        "label": label,
        "outcome": outcome,
    }


def _counted(match: dict[str, Any]) -> dict[str, Any]:
    right = int(match["label"] == match["outcome"])
    return {"version": match["model_version"], "event_time": match["event_time"], "right": right}


def main() -> None:
    """Run until stopped."""
    app = Application(
        broker_address=os.environ["KAFKA_BOOTSTRAP"], consumer_group=f"{_PREFIX}.quix", auto_offset_reset="earliest",
        state_dir=f"{os.environ['LEADLINE_STATE']}/quix", loglevel="WARNING", commit_every=1000 if _BATCHES else 0,
        producer_extra_config={"linger.ms": 0} if _LATENCY else {},
        processing_guarantee=os.environ.get("QUIX_GUARANTEE", "at-least-once"),  # type: ignore[arg-type]
    )  # fmt: skip
    {"scoring": scoring, "join": join}[_JOB](app)
    app.run()


if __name__ == "__main__":
    main()
