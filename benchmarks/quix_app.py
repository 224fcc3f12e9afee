"""The peer: the join as a Quix Streams application, written as its documentation shows. Started as a process of its own.

Predictions and outcomes are concatenated and met in a stateful function; the matches are grouped by version, and counted in windows of a
minute. State is in RocksDB with changelogs. Runs in any Python with quixstreams, which is none of our dependencies.
"""

import io
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import fastavro
from quixstreams import Application
from quixstreams.dataframe.windows import Count, Sum
from quixstreams.models import Deserializer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.shapes import HEADER, OUTCOME, PREDICTION

_PREFIX = os.environ["LEADLINE_PREFIX"]


class _Avro(Deserializer):
    """Avro behind the ten bytes of the single-object header."""

    def __init__(self, schema: dict[str, Any]) -> None:
        super().__init__()
        self._schema = fastavro.parse_schema(schema)

    def __call__(self, value: bytes, ctx: Any) -> Any:  # noqa: ARG002 - given by the caller
        return fastavro.schemaless_reader(io.BytesIO(value[HEADER:]), self._schema)


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
        "right": int(label == outcome),
    }


def main() -> None:
    """Run until stopped."""
    app = Application(
        broker_address=os.environ["KAFKA_BOOTSTRAP"], consumer_group=f"{_PREFIX}.quix", auto_offset_reset="earliest",
        state_dir=f"{os.environ['LEADLINE_STATE']}/quix", loglevel="WARNING",
        processing_guarantee=os.environ.get("QUIX_GUARANTEE", "at-least-once"),  # type: ignore[arg-type]
    )  # fmt: skip
    predictions, outcomes = (
        app.dataframe(app.topic(f"{_PREFIX}.{noun}", key_deserializer="str", value_deserializer=_Avro(schema)))
        for noun, schema in (("predictions", PREDICTION), ("outcomes", OUTCOME))
    )
    matches = predictions.concat(outcomes).apply(_match, stateful=True).filter(lambda match: match is not None)
    matches.to_topic(app.topic(f"{_PREFIX}.matches", key_serializer="str", value_serializer="json"))
    counted = (
        matches.group_by("model_version")
        .set_timestamp(lambda match, *_: match["event_time"])
        .tumbling_window(timedelta(minutes=1), grace_ms=timedelta(hours=12))
        .agg(total=Count(), right=Sum("right"))
        .current()
        .apply(lambda told, key, *_: [f"{key}|{told['start']}", told["total"], told["right"]], metadata=True)
    )
    counted.to_topic(
        app.topic(f"{_PREFIX}.counts", key_serializer="str", value_serializer="json"), key=lambda told: told[0]
    )
    app.run()


if __name__ == "__main__":
    main()
