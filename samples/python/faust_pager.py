"""Page somebody, by a Faust app, when an incident of a model is critical: python faust_pager.py worker."""

import os

import faust

from leadline.client.faust import topic
from leadline.records import Alert

app = faust.App(
    "pager",
    broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP']}",
    store="memory://",
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
)
alerts = topic(app, "alerts")


@app.agent(alerts)
async def page(incidents):
    async for incident in incidents:
        assert isinstance(incident, Alert)
        if incident.state == "opened" and incident.severity == "critical":
            print(
                f"page: {incident.model} {incident.model_version}: {incident.kind} ({incident.severity}), {incident.runbook}",
                flush=True,
            )


if __name__ == "__main__":
    app.main()
