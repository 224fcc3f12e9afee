"""Ask, read the prediction, tell the outcome, page somebody: a Faust app, topics in any form."""

import os
import time
import uuid

import faust

from leadline.client.faust import topic
from leadline.records import Outcome, PredictionRequest

MODEL, ORDER = os.environ["MODEL"], f"order-{uuid.uuid4()}"
app = faust.App(
    "with-faust",
    broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP']}",
    store="memory://",
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
    worker_redirect_stdouts=False,
)
requests, outcomes = topic(app, "prediction-requests"), topic(app, "outcomes")


def now():
    return time.time_ns() // 1_000_000


@app.task
async def ask():
    await requests.send(key=ORDER.encode(), value=PredictionRequest(ORDER, MODEL, now(), {"amount": 250.0}))


@app.agent(topic(app, "predictions"))
async def tell(predictions):
    async for each in predictions:
        if each.request_id == ORDER:
            print("prediction", ORDER, each.model_version, each.score, flush=True)
            await outcomes.send(key=ORDER.encode(), value=Outcome(ORDER, 1.0, now()))
            print("outcome", ORDER, 1, flush=True)


@app.agent(topic(app, "alerts"))
async def page(incidents):
    async for each in incidents:
        if each.model == MODEL and each.state == "opened" and each.severity == "critical":  # here, call your pager
            print("incident", each.alert_id, each.state, each.kind, each.severity, flush=True)


if __name__ == "__main__":
    faust.Worker(app, quiet=True, loglevel="INFO").execute_from_commandline()
