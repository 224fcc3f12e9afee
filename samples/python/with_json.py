"""Ask, read the prediction, tell the outcome, read the incident: a Kafka client and the module json, topics in JSON."""

import json
import os
import uuid
from datetime import UTC, datetime

from confluent_kafka import Consumer, KafkaException, Producer

PREFIX = os.environ.get("LEADLINE_PREFIX", "leadline")
MODEL, ORDER = os.environ["MODEL"], f"order-{uuid.uuid4()}"
KAFKA = {"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP"]}
producer = Producer(KAFKA | {"partitioner": "murmur2_random"})  # keys go where the Java client sends them
consumer = Consumer(
    KAFKA | {"group.id": "with-json", "auto.offset.reset": "earliest", "isolation.level": "read_committed"}
)
consumer.subscribe([f"{PREFIX}.predictions", f"{PREFIX}.alerts"])


def send(topic, **record):
    producer.produce(f"{PREFIX}.{topic}", json.dumps(record), key=record["request_id"])
    producer.flush()


def now():
    return datetime.now(UTC).isoformat()


send("prediction-requests", request_id=ORDER, model=MODEL, event_time=now(), features={"amount": 250.0})
while True:
    message = consumer.poll(1.0)
    if message is None:
        continue
    if message.error():
        raise KafkaException(message.error())
    record = json.loads(message.value())
    if record.get("request_id") == ORDER:
        print("prediction", ORDER, record["model_version"], record["score"], flush=True)
        send("outcomes", request_id=ORDER, outcome=1, outcome_time=now())
        print("outcome", ORDER, 1, flush=True)
    elif "alert_id" in record and record["model"] == MODEL:
        print("incident", record["alert_id"], record["state"], record["kind"], record["severity"], flush=True)
        break
consumer.close()
