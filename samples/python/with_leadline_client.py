"""Ask, read the prediction, tell the outcome, read the incident: the client of the package, topics in any form."""

import asyncio
import os

from leadline.client import Client

MODEL = os.environ["MODEL"]


async def main():
    async with Client() as client, client.records("alerts") as alerts:
        prediction = await client.predict(MODEL, {"amount": 250.0}, within_s=60)
        order = prediction.request_id
        print("prediction", order, prediction.model_version, prediction.score, flush=True)
        await client.send_outcome(order, True)
        print("outcome", order, 1, flush=True)
        async for each in alerts:
            incident = each.record
            if incident.model == MODEL:
                print("incident", incident.alert_id, incident.state, incident.kind, incident.severity, flush=True)
                return


asyncio.run(main())
