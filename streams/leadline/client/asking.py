"""Awaits the predictions of requests: by one consumer, however many are asked for at once."""

import asyncio
import logging
from typing import Any

from aiokafka import AIOKafkaConsumer

from leadline.client.opened import ClosedError
from leadline.errors import LeadlineError
from leadline.kafka.connections import connection
from leadline.kafka.metadata import partitions
from leadline.kafka.schemas import learn_while_others_work
from leadline.kafka.stop import stop
from leadline.records import Prediction
from leadline.wire.single import read
from leadline.wire.topics import DEAD_LETTERS

_log = logging.getLogger(__name__)
_REASON, _DETAIL, _TOPIC = "leadline-reason", "__connect.errors.exception.message", "__connect.errors.topic"


class RefusedError(LeadlineError):
    """A request became a dead letter; ``reason`` is a short constant."""

    def __init__(self, request_id: str, reason: str, detail: str) -> None:
        super().__init__(f"the request {request_id} was refused ({reason}): {detail}")
        self.reason = reason


class Answers:
    """Follows predictions and dead letters from when it was started, and tells who waits."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._prefix = prefix
        self._consumer = AIOKafkaConsumer(
            **connection(bootstrap), isolation_level="read_committed", enable_auto_commit=False
        )
        self._waiting: dict[str, asyncio.Future[Prediction]] = {}
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Be at the end of both topics. Raises NoTopicError."""
        await self._consumer.start()
        names = [f"{self._prefix}.{topic}" for topic in ("predictions", DEAD_LETTERS)]
        assigned = [each for name in names for each in await partitions(self._consumer, name)]
        self._consumer.assign(assigned)
        await self._consumer.seek_to_end()
        for each in assigned:
            await self._consumer.position(each)
        self._following = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Nobody is waited for any more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        self._tell(ClosedError("the client was closed: the prediction may still come"))
        await stop(self._consumer)

    @property
    def follows(self) -> bool:
        """Whether what comes is still told."""
        return self._following is not None and not self._following.done()

    def expect(self, request_id: str) -> asyncio.Future[Prediction]:
        """What will be the prediction of a request, which is not sent yet. Raises ValueError where it is awaited already."""
        if request_id in self._waiting:
            raise ValueError(f"the prediction of {request_id} is awaited already")
        found = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        found.add_done_callback(lambda done: self._forget(request_id, done))
        return found

    def _forget(self, request_id: str, done: asyncio.Future[Prediction]) -> None:
        self._waiting.pop(request_id, None)
        if not done.cancelled():
            done.exception()  # else asyncio complains where nobody waits any more

    async def _follow(self) -> None:
        try:
            async for record in self._consumer:
                await learn_while_others_work([record.value])
                self._take(record)
        except Exception as error:  # noqa: BLE001 - whoever asks next begins anew
            _log.warning("predictions are not followed any more: %r", error)
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        """Everybody who waits."""
        for each in list(self._waiting.values()):
            if not each.done():
                each.set_exception(error)

    def _take(self, record: Any) -> None:
        waiting = self._waiting.get((record.key or b"").decode(errors="replace"))
        if waiting is None or waiting.done():
            return
        if record.topic == f"{self._prefix}.{DEAD_LETTERS}":
            self._refuse(record, waiting)
            return
        try:
            found = read("predictions", record.value)
        except ValueError as error:
            why = LeadlineError(
                f"the prediction of {record.key.decode(errors='replace')} is there, and cannot be read: {error}"
            )
            waiting.set_exception(why)
            return
        if isinstance(found, Prediction):
            waiting.set_result(found)

    def _refuse(self, record: Any, waiting: asyncio.Future[Prediction]) -> None:
        headers = {name: value.decode(errors="replace") for name, value in record.headers if value is not None}
        if headers.get(_TOPIC) == f"{self._prefix}.prediction-requests":
            key = record.key.decode(errors="replace")
            waiting.set_exception(RefusedError(key, headers.get(_REASON, "unknown"), headers.get(_DETAIL, "")))
