"""How clients are stopped, whatever they are in the middle of."""

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from leadline.kafka.private import abandon, give_up

log = structlog.get_logger("leadline.stop")

_STOP_S = 10.0


def is_cancelled() -> bool:
    """Whether somebody cancelled the running task. A CancelledError alone does not say so: aiokafka lets out those of its own tasks."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def stop(consumer: AIOKafkaConsumer, within_s: float = _STOP_S) -> None:
    """Leave the group and close the connections; what is not closed within so many seconds is abandoned.

    aiokafka's own ``stop`` cancels and awaits its tasks one after the other. A fetch that failed and waits for its next try ends cancelled,
    and ``stop`` with it, as if its caller were meant. Then its heartbeats would go on, and its connections stay open.
    """
    try:
        async with asyncio.timeout(within_s):
            await consumer.stop()
    except (TimeoutError, KafkaError) as error:
        log.warning("a consumer did not stop cleanly", error=repr(error))
        await abandon(consumer)
    except asyncio.CancelledError:
        await abandon(consumer)
        if is_cancelled():
            raise


async def stop_producer(producer: AIOKafkaProducer, within_s: float = _STOP_S) -> None:
    """Send what waits, and close the connections; what no broker takes within so many seconds is given up.

    Else an idempotent producer waits for its broker for ever.
    """
    try:
        async with asyncio.timeout(within_s):
            await producer.stop()
    except TimeoutError:
        log.warning("a producer gave up what it had not sent yet", waited_s=within_s)
        await give_up(producer)
