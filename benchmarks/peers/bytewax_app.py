"""The jobs as Bytewax dataflows of one worker. State is in memory; a snapshot of what changed goes to SQLite each epoch, which is ten
seconds by default.

scoring: ``flat_map_batch``, one ``predict_proba`` for the records that one poll of a partition brings, 1,000 at most.
join: predictions and outcomes merged, met by ``stateful_flat_map`` with the request id as key; counts emitted once a second.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.avro import MATCH, OUTCOME, PREDICTION, REQUEST
from benchmarks.model import predictions, trained
from benchmarks.shapes import MINUTE_MS, tell_start

_BROKERS = [os.environ["KAFKA_BOOTSTRAP"]]
_PREFIX = os.environ["LEADLINE_PREFIX"]
_PRODUCER = {"linger.ms": "0"} if os.environ.get("LEADLINE_BENCH_LATENCY") == "1" else {}

Message = KafkaSourceMessage[bytes, bytes]
Made = tuple[str, int, int]
"""Of a prediction: the model's version, the event time, the label."""


def _source(flow: Dataflow, topic: str) -> Stream[Message]:
    return op.input(topic, flow, KafkaSource(_BROKERS, [f"{_PREFIX}.{topic}"]))


def _sink(topic: str, messages: Stream[KafkaSinkMessage[bytes, bytes]]) -> None:
    op.output(topic, messages, KafkaSink(_BROKERS, f"{_PREFIX}.{topic}", add_config=_PRODUCER))


def scoring(flow: Dataflow) -> None:
    """Requests to predictions."""
    model = trained()

    def score(messages: list[Message]) -> list[KafkaSinkMessage[bytes, bytes]]:
        tell_start()
        made = predictions(model, [REQUEST.loads(message.value) for message in messages])
        return [KafkaSinkMessage(each["request_id"].encode(), PREDICTION.dumps(each)) for each in made]

    _sink("predictions", op.flat_map_batch("score", _source(flow, "prediction-requests"), score))


def join(flow: Dataflow) -> None:
    """Predictions and outcomes to matches and counts."""
    made = op.map("made", _source(flow, "predictions"), _made)
    given = op.map("given", _source(flow, "outcomes"), _given)
    matches = op.stateful_flat_map("match", op.merge("either", made, given), _match)
    _sink("matches", op.map("match-record", matches, _match_record))
    counts = op.stateful_batch("count", op.map("window", matches, _window), _Counts)
    _sink("counts", op.map("count-record", counts, _count_record))


def _made(message: Message) -> tuple[str, Made]:
    tell_start()
    made = PREDICTION.loads(message.value)
    return made["request_id"], (made["model_version"], made["event_time"], made["predicted_label"])


def _given(message: Message) -> tuple[str, float]:
    tell_start()
    given = OUTCOME.loads(message.value)
    return given["request_id"], given["outcome"]


def _match(held: Made | float | None, came: Made | float) -> tuple[Any, list[tuple[Made, float]]]:
    """A match where both are known; the first outcome counts. Of a request the state is what came first, or True once matched."""
    if held is None:
        return came, []
    if held is True or isinstance(held, tuple) == isinstance(came, tuple):
        return held, []
    return True, [(held, came) if isinstance(held, tuple) else (came, held)]


def _match_record(match: tuple[str, tuple[Made, float]]) -> KafkaSinkMessage[bytes, bytes]:
    request_id, ((version, event_time, label), outcome) = match
    record = {"model_version": version, "event_time": event_time, "label": label, "outcome": outcome}
    return KafkaSinkMessage(request_id.encode(), MATCH.dumps({"request_id": request_id} | record))


def _window(match: tuple[str, tuple[Made, float]]) -> tuple[str, bool]:
    (version, event_time, label), outcome = match[1]
    return f"{version}|{event_time // MINUTE_MS * MINUTE_MS}", label == outcome


class _Counts(StatefulBatchLogic[bool, tuple[int, int], tuple[int, int]]):
    """Matches of a window and how many were right, emitted a second after a change, and once more after a restart."""

    def __init__(self, restored: tuple[int, int] | None) -> None:
        self._total, self._right = restored or (0, 0)
        self._due = datetime.now(UTC) if restored else None

    def on_batch(self, values: list[bool]) -> tuple[list[tuple[int, int]], bool]:
        self._total += len(values)
        self._right += sum(values)
        self._due = self._due or datetime.now(UTC) + timedelta(seconds=1)
        return [], StatefulBatchLogic.RETAIN

    def on_notify(self) -> tuple[list[tuple[int, int]], bool]:
        self._due = None
        return [(self._total, self._right)], StatefulBatchLogic.RETAIN

    def notify_at(self) -> datetime | None:
        return self._due

    def snapshot(self) -> tuple[int, int]:
        return self._total, self._right


def _count_record(count: tuple[str, tuple[int, int]]) -> KafkaSinkMessage[bytes, bytes]:
    window, (total, right) = count
    return KafkaSinkMessage(window.encode(), json.dumps([window, total, right]).encode())


def main() -> None:
    """Run until stopped."""
    flow = Dataflow("leadline-bench")
    {"scoring": scoring, "join": join}[os.environ["LEADLINE_BENCH_JOB"]](flow)
    snapshots = Path(os.environ["LEADLINE_STATE"]) / "bytewax"
    snapshots.mkdir(parents=True, exist_ok=True)
    if not any(snapshots.iterdir()):
        init_db_dir(snapshots, 1)
    cli_main(flow, recovery_config=RecoveryConfig(snapshots))


if __name__ == "__main__":
    main()
