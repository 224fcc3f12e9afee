"""How a consumer is stopped, whatever it is in the middle of."""

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

log = structlog.get_logger("leadline.stop")

_STOP_S, _ABANDON_S = 10.0, 1.0


def is_cancelled() -> bool:
    """Whether a CancelledError means the running task; aiokafka lets out those of its own tasks too."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def stop(consumer: AIOKafkaConsumer, within_s: float = _STOP_S) -> None:
    """Leave the group and close the connections; what cannot be done properly within so many seconds is given up.

    aiokafka's own ``stop`` cancels and awaits its tasks one after the other. A fetch that failed and waits for its next try ends cancelled,
    and ``stop`` with it, as if its caller were meant. What was still to be ended goes on: heartbeats of a member that does nothing, open
    connections.
    """
    try:
        async with asyncio.timeout(within_s):
            await consumer.stop()
    except (TimeoutError, KafkaError) as error:
        log.warning("a consumer did not stop cleanly", error=repr(error))
        await _abandon(consumer)
    except asyncio.CancelledError:
        await _abandon(consumer)
        if is_cancelled():
            raise


async def _abandon(consumer: AIOKafkaConsumer) -> None:
    """End what a consumer left running."""
    parts = [part for part in (consumer._coordinator, consumer._fetcher) if part is not None]
    tasks = {task for part in parts for task in vars(part).values() if isinstance(task, asyncio.Task)}
    if consumer._fetcher is not None:
        tasks |= consumer._fetcher._pending_tasks
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_ABANDON_S)
    await asyncio.wait([asyncio.ensure_future(consumer._client.close())], timeout=_ABANDON_S)
