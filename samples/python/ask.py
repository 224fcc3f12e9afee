"""Ask a model, tell what really happened, and print what the metrics say, by the client of the package."""

import asyncio

from leadline.client import Client


async def main():
    async with Client() as client, client.records("metrics") as metrics:
        prediction = await client.predict("fraud", {"x": 2.5}, within_s=30)
        print("prediction", prediction.request_id, prediction.score, flush=True)
        await client.send_outcome(prediction.request_id, True)
        async for each in metrics:
            accuracy = getattr(each.record, "accuracy", None)
            if accuracy is not None:
                print("accuracy", accuracy.value, accuracy.low, accuracy.high, flush=True)
                return


asyncio.run(main())
