"""Print predictions, live metrics and alerts as they come, by confluent-kafka."""

import os

from confluent_kafka import Consumer, KafkaException
from leadline_avro import read

PREFIX = os.environ.get("LEADLINE_PREFIX", "leadline")
consumer = Consumer(
    {
        "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP"],
        "group.id": "my-service",
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",  # the metrics of a run that was taken back are not metrics
    }
)
consumer.subscribe([f"{PREFIX}.{topic}" for topic in ("predictions", "metrics", "alerts")])
try:
    while True:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        name, record = read(message.value())
        if name == "Prediction":
            print("prediction", record["request_id"], record["model_version"], record["score"], flush=True)
        elif name == "WindowMetrics" and record["accuracy"]:
            of = record["accuracy"]
            print("accuracy", record["window_start"], record["segment"], of["value"], of["low"], of["high"], flush=True)
        elif name == "Alert":
            print("alert", record["alert_id"], record["state"], record["kind"], record["evidence"], flush=True)
except KeyboardInterrupt:
    consumer.close()
