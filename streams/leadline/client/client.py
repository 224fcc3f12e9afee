"""The client for asyncio."""

import asyncio
import math
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self, overload

from aiokafka import AIOKafkaProducer

from leadline.client.asking import Answers
from leadline.client.opened import Opened
from leadline.client.reading import NOW, Records, Since, checked_topic
from leadline.kafka.connections import connection
from leadline.kafka.metadata import refuse_missing
from leadline.kafka.stop import stop_producer
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
from leadline.wire.conversion import moment, outcome_fields, request_fields
from leadline.wire.limits import REQUEST_ID_BYTES
from leadline.wire.partitions import partition_of
from leadline.wire.single import value_of

Moment = datetime | int | None
"""With a zone, or milliseconds since the epoch; None is now."""
NO_CATEGORIES: Mapping[str, str] = {}
SEND_S = 60.0
"""So long a broker that is away is waited for."""
_STOP_S = 10.0


class Client:
    """A connection to the topics of one installation; use it as a context.

    ``bootstrap`` and ``prefix``: where they are not given, ``KAFKA_BOOTSTRAP`` and ``LEADLINE_PREFIX`` of the environment, which also says
    how clients prove themselves (``KAFKA_SECURITY_PROTOCOL`` and the others). It connects when it is first asked something, and belongs to
    that process and that event loop.

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
        self._seen: set[str] = set()
        self._producer = Opened(self._start_producer, lambda producer: stop_producer(producer, _STOP_S))
        self._answers = Opened(self._start_answers, Answers.stop, lambda answers: answers.follows)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Send what is still to be sent, and close the connections; a broker that is away is waited for ten seconds."""
        await self._answers.close()
        await self._producer.close()

    # -- asking and telling -------------------------------------------------------------------------------------------

    async def send_request(
        self,
        model: str,
        features: Mapping[str, float | None],
        categories: Mapping[str, str] = NO_CATEGORIES,
        *,
        user_id: str = "",
        request_id: str = "",
        event_time: Moment = None,
    ) -> str:
        """Ask a model, and return as soon as the broker has the request; its id, which is made where none is given.

        Values are those of JSON on the topic: None and NaN are missing. Raises ValueError for what no request can hold, TimeoutError where
        no broker takes it.
        """
        request_id = _id(request_id or uuid.uuid4().hex)
        given = {
            "request_id": request_id, "model": model, "user_id": user_id, "event_time": _now_or(event_time),
            "features": {name: _plain(value) for name, value in features.items()},
            "categories": {name: _plain(value) for name, value in categories.items()},
        }  # fmt: skip
        await self._send("prediction-requests", PredictionRequest(**request_fields(given)), request_id)
        return request_id

    async def predict(
        self,
        model: str,
        features: Mapping[str, float | None],
        categories: Mapping[str, str] = NO_CATEGORIES,
        *,
        user_id: str = "",
        request_id: str = "",
        event_time: Moment = None,
        within_s: float = 10.0,
    ) -> Prediction:
        """Ask a model, and await what it says.

        Raises TimeoutError where nothing came in time, connecting included (the answer may still come, and its label counts), and
        `RefusedError` where the request became a dead letter; else as `send_request`.
        """
        request_id = _id(request_id or uuid.uuid4().hex)
        try:
            async with asyncio.timeout(within_s):
                answers = await self._answers.get()
                expected = answers.expect(request_id)
                try:
                    await self.send_request(
                        model, features, categories, user_id=user_id, request_id=request_id, event_time=event_time
                    )
                    return await expected
                finally:
                    expected.cancel()
        except TimeoutError:
            raise TimeoutError(f"no prediction of {request_id} within {within_s:g} s; it may still come") from None

    async def send_outcome(
        self, request_id: str, outcome: float | bool | str | None, *, outcome_time: Moment = None
    ) -> None:
        """Tell what really happened: a number, a boolean, the name of a class; None takes back what was said before.

        Raises as `send_request`.
        """
        given = {
            "request_id": _id(request_id),
            "outcome": _plain(outcome),
            "outcome_time": _now_or(outcome_time),
        }
        made = Outcome(**outcome_fields(given))
        if made.outcome is not None and not math.isfinite(made.outcome):
            raise ValueError(f"the outcome of {request_id} is {made.outcome}: give a finite number, or None")
        await self._send("outcomes", made, request_id)

    async def _send(self, topic: str, record: Record, key: str) -> None:
        name, route = f"{self._prefix}.{topic}", key.encode()
        try:
            async with asyncio.timeout(SEND_S):
                producer = await self._producer.get()
                await self._see(producer, name)
                partition = partition_of(route, len(await producer.partitions_for(name)))
                await producer.send_and_wait(name, value_of(record), route, partition)
        except TimeoutError:
            raise TimeoutError(f"no broker took {key} for {name} within {SEND_S:g} s; it may still be sent") from None

    async def _see(self, producer: AIOKafkaProducer, name: str) -> None:
        """Raise NoTopicError where a topic is not there: a broker may make what it is asked for, with partitions of its own choice."""
        if name not in self._seen:
            refuse_missing((await producer.client.fetch_all_metadata()).topics(), [name])
            self._seen.add(name)

    async def _start_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(**connection(self._bootstrap), acks="all", enable_idempotence=True)
        try:
            await producer.start()
        except BaseException:
            await stop_producer(producer, _STOP_S)
            raise
        return producer

    async def _start_answers(self) -> Answers:
        answers = Answers(self._bootstrap, self._prefix)
        try:
            await answers.start()
        except BaseException:
            await answers.stop()
            raise
        return answers

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
        return Records(self._bootstrap, self._prefix, checked_topic(topic), since, group, by_hand)


def _id(text: str) -> str:
    """A request id that the topics take."""
    if not 0 < len(text.encode()) <= REQUEST_ID_BYTES:
        raise ValueError(f"a request id has 1 to {REQUEST_ID_BYTES} bytes, this one has {len(text.encode())}")
    return text


def _now_or(given: Moment) -> int:
    return int(time.time() * 1000) if given is None else moment(given)


def _plain(value: Any) -> Any:
    """A number of numpy is one of Python."""
    return value.item() if hasattr(value, "item") else value
