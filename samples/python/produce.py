"""Ask for a prediction, and say later what really happened, by aiokafka."""

import asyncio
import json
import os
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer

PREFIX = os.environ.get("LEADLINE_PREFIX", "leadline")


def now():
    return datetime.now(UTC).isoformat()


async def main():
    async with AIOKafkaProducer(bootstrap_servers=os.environ["KAFKA_BOOTSTRAP"]) as kafka:

        async def send(topic, record):
            key = record["request_id"].encode()
            await kafka.send_and_wait(f"{PREFIX}.{topic}", json.dumps(record).encode(), key=key)

        order = {
            "request_id": "order-4711",
            "model": "returns",
            "event_time": now(),
            "features": {"price": 79.9, "items": 2},
            "categories": {"country": "de", "channel": "web"},
        }
        await send("prediction-requests", order)
        # ... days later
        await send("outcomes", {"request_id": "order-4711", "outcome": 1, "outcome_time": now()})


asyncio.run(main())
