"""The client for asyncio."""

import asyncio
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self, overload

from aiokafka import AIOKafkaProducer

from leadline.client.asking import Answers
from leadline.client.reading import NOW, Records, Since
from leadline.kafka.connections import connection
from leadline.records import (
    Alert,
    Comparison,
    DriftReport,
    JoinCounts,
    LabeledPrediction,
    Outcome,
    Prediction,
    PredictionRequest,
    Record,
    Rollout,
    Verdict,
    WindowMetrics,
)
from leadline.settings import SettingsError, load_settings
from leadline.wire.partitions import partition_of
from leadline.wire.single import value_of
from leadline.wire.topics import BY_NAME

Moment = datetime | int | None
"""With a zone, or milliseconds since the epoch; None is now."""
NO_CATEGORIES: Mapping[str, str] = {}


class Client:
    """A connection to the topics of one installation; use it as a context.

    ``bootstrap`` and ``prefix``: where they are not given, ``KAFKA_BOOTSTRAP`` and ``LEADLINE_PREFIX`` of the environment, which also says
    how clients prove themselves (``KAFKA_SECURITY_PROTOCOL`` and the others).

    >>> async def example() -> None:
    ...     async with Client("localhost:9092") as client:
    ...         prediction = await client.predict("fraud", {"amount": 250.0}, {"country": "de"}, within_s=2)
    ...         await client.send_outcome(prediction.request_id, True)
    ...         async with client.records("alerts", since=ORIGIN) as alerts:
    ...             async for each in alerts:
    ...                 print(each.record.kind, each.record.state)
    """

    def __init__(self, bootstrap: str | None = None, prefix: str | None = None) -> None:
        settings = load_settings(kafka_bootstrap=bootstrap, prefix=prefix)
        if settings.kafka_bootstrap is None:
            raise SettingsError("no broker: give Client its host:port, or set KAFKA_BOOTSTRAP")
        self._bootstrap, self._prefix = settings.kafka_bootstrap, settings.prefix
        self._producer: AIOKafkaProducer | None = None
        self._answers: Answers | None = None
        self._beginning = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Send what is still to be sent, and close the connections."""
        producer, self._producer = self._producer, None
        answers, self._answers = self._answers, None
        if producer is not None:
            await producer.stop()
        if answers is not None:
            await answers.stop()

    # -- asking and telling -------------------------------------------------------------------------------------------

    async def send_request(
        self,
        model: str,
        features: Mapping[str, float],
        categories: Mapping[str, str] = NO_CATEGORIES,
        *,
        user_id: str = "",
        request_id: str = "",
        event_time: Moment = None,
    ) -> str:
        """Ask a model, and return as soon as the broker has the request; its id, which is made where none is given."""
        request_id = request_id or uuid.uuid4().hex
        request = PredictionRequest(
            request_id, model, _ms(event_time), dict(features), user_id, categories=dict(categories)
        )
        await self._send("prediction-requests", request, request_id)
        return request_id

    async def predict(
        self,
        model: str,
        features: Mapping[str, float],
        categories: Mapping[str, str] = NO_CATEGORIES,
        *,
        user_id: str = "",
        request_id: str = "",
        event_time: Moment = None,
        within_s: float = 10.0,
    ) -> Prediction:
        """Ask a model, and await what it says.

        Raises TimeoutError where nothing came in time (the answer may still come, and its label counts), `RefusedError` where the request
        became a dead letter.
        """
        request_id = request_id or uuid.uuid4().hex
        answers = await self._open_answers()
        expected = answers.expect(request_id)
        try:
            async with asyncio.timeout(within_s):
                await self.send_request(
                    model, features, categories, user_id=user_id, request_id=request_id, event_time=event_time
                )
                return await expected
        finally:
            expected.cancel()

    async def send_outcome(
        self, request_id: str, outcome: float | bool | str | None, *, outcome_time: Moment = None
    ) -> None:
        """Tell what really happened: a number, a boolean, the name of a class; None takes back what was said before."""
        name = outcome if isinstance(outcome, str) else None
        value = None if outcome is None or name is not None else float(outcome)
        await self._send("outcomes", Outcome(request_id, value, _ms(outcome_time), name), request_id)

    async def _send(self, topic: str, record: Record, key: str) -> None:
        producer, name, route = await self._open_producer(), f"{self._prefix}.{topic}", key.encode()
        partition = partition_of(route, len(await producer.partitions_for(name)))
        await producer.send_and_wait(name, value_of(record), route, partition)

    async def _open_producer(self) -> AIOKafkaProducer:
        async with self._beginning:
            if self._producer is None:
                producer = AIOKafkaProducer(**connection(self._bootstrap), acks="all", enable_idempotence=True)
                await producer.start()
                self._producer = producer
            return self._producer

    async def _open_answers(self) -> Answers:
        async with self._beginning:
            if self._answers is None:
                answers = Answers(self._bootstrap, self._prefix)
                try:
                    await answers.start()
                except BaseException:
                    await answers.stop()
                    raise
                self._answers = answers
            return self._answers

    # -- reading ------------------------------------------------------------------------------------------------------

    @overload
    def records(
        self, topic: Literal["predictions"], *, since: Since = ..., group: str | None = ..., by_hand: bool = ...
    ) -> Records[Prediction]: ...

    @overload
    def records(
        self, topic: Literal["labeled-predictions"], *, since: Since = ..., group: str | None = ..., by_hand: bool = ...
    ) -> Records[LabeledPrediction]: ...

    @overload
    def records(
        self, topic: Literal["metrics"], *, since: Since = ..., group: str | None = ..., by_hand: bool = ...
    ) -> Records[WindowMetrics | JoinCounts]: ...

    @overload
    def records(
        self, topic: Literal["drift"], *, since: Since = ..., group: str | None = ..., by_hand: bool = ...
    ) -> Records[DriftReport]: ...

    @overload
    def records(
        self, topic: Literal["alerts"], *, since: Since = ..., group: str | None = ..., by_hand: bool = ...
    ) -> Records[Alert]: ...

    @overload
    def records(
        self, topic: Literal["verdicts"], *, since: Since = ..., group: str | None = ..., by_hand: bool = ...
    ) -> Records[Verdict]: ...

    @overload
    def records(
        self, topic: Literal["rollouts"], *, since: Since = ..., group: str | None = ..., by_hand: bool = ...
    ) -> Records[Rollout]: ...

    @overload
    def records(
        self, topic: Literal["comparisons"], *, since: Since = ..., group: str | None = ..., by_hand: bool = ...
    ) -> Records[Comparison]: ...

    @overload
    def records(
        self, topic: str, *, since: Since = ..., group: str | None = ..., by_hand: bool = ...
    ) -> Records[Any]: ...

    def records(
        self, topic: str, *, since: Since = NOW, group: str | None = None, by_hand: bool = False
    ) -> Records[Any]:
        """The records of a topic (its name without prefix) from a moment on. Raises ValueError where there is no such topic."""
        found = BY_NAME.get(topic)
        if found is None or not found.records:
            raise ValueError(f"there is no topic {topic!r}: choose from {', '.join(sorted(BY_NAME))}")
        return Records(self._bootstrap, self._prefix, topic, since, group, by_hand)


def _ms(moment: Moment) -> int:
    if moment is None:
        return int(time.time() * 1000)
    if isinstance(moment, int):
        return moment
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no zone")
    return int(moment.timestamp() * 1000)
