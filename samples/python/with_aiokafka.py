"""Print predictions, live metrics and alerts as they come, by aiokafka."""

import asyncio
import contextlib
import os

from aiokafka import AIOKafkaConsumer
from leadline_avro import read

PREFIX = os.environ.get("LEADLINE_PREFIX", "leadline")


async def main():
    consumer = AIOKafkaConsumer(
        *(f"{PREFIX}.{topic}" for topic in ("predictions", "metrics", "alerts")),
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP"],
        group_id="my-other-service",
        auto_offset_reset="earliest",
        isolation_level="read_committed",  # the metrics of a run that was taken back are not metrics
    )
    async with consumer:
        async for message in consumer:
            name, record = read(message.value)
            if name == "Prediction":
                print("prediction", record["request_id"], record["model_version"], record["score"], flush=True)
            elif name == "WindowMetrics" and record["accuracy"]:
                of = record["accuracy"]
                shown = record["window_start"], record["segment"], of["value"], of["low"], of["high"]
                print("accuracy", *shown, flush=True)
            elif name == "Alert":
                print("alert", record["alert_id"], record["state"], record["kind"], record["evidence"], flush=True)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
