"""Ask, read the prediction, tell the outcome, read the incident: aiokafka, topics in Avro."""

import asyncio
import json
import os
import uuid
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from leadline_avro import read

PREFIX = os.environ.get("LEADLINE_PREFIX", "leadline")
MODEL, ORDER = os.environ["MODEL"], f"order-{uuid.uuid4()}"
KAFKA = os.environ["KAFKA_BOOTSTRAP"]


async def send(producer, topic, **record):
    key = record["request_id"].encode()
    await producer.send_and_wait(f"{PREFIX}.{topic}", json.dumps(record).encode(), key=key)


def now():
    return datetime.now(UTC).isoformat()


async def main():
    consumer = AIOKafkaConsumer(
        f"{PREFIX}.predictions",
        f"{PREFIX}.alerts",
        bootstrap_servers=KAFKA,
        group_id="with-aiokafka",
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    async with consumer, AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:
        asked = {"request_id": ORDER, "model": MODEL, "event_time": now(), "features": {"amount": 250.0}}
        await send(producer, "prediction-requests", **asked)
        async for message in consumer:
            record = read(message.value)
            if record.get("request_id") == ORDER:
                print("prediction", ORDER, record["model_version"], record["score"], flush=True)
                await send(producer, "outcomes", request_id=ORDER, outcome=1, outcome_time=now())
                print("outcome", ORDER, 1, flush=True)
            elif "alert_id" in record and record["model"] == MODEL:
                print("incident", record["alert_id"], record["state"], record["kind"], record["severity"], flush=True)
                return


asyncio.run(main())
