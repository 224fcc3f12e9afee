"""The client for programs without asyncio: the same, in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any, Self, TypeVar

from leadline.client.client import NO_CATEGORIES, Client, Moment
from leadline.client.reading import NOW, Received, Records, Since
from leadline.records import Prediction

T = TypeVar("T")


class SyncClient:
    """`Client` with methods that wait; use it as a context. Threads may share it.

    >>> def example() -> None:
    ...     with SyncClient("localhost:9092") as client:
    ...         prediction = client.predict("fraud", {"amount": 250.0})
    ...         client.send_outcome(prediction.request_id, True)
    ...         with client.records("metrics") as metrics:
    ...             for each in metrics:
    ...                 print(each.record)
    """

    def __init__(self, bootstrap: str | None = None, prefix: str | None = None) -> None:
        self._client = Client(bootstrap, prefix)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="leadline-client", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def send_request(
        self,
        model: str,
        features: Mapping[str, float],
        categories: Mapping[str, str] = NO_CATEGORIES,
        *,
        user_id: str = "",
        request_id: str = "",
        event_time: Moment = None,
    ) -> str:
        """As `Client.send_request`."""
        asked = self._client.send_request(
            model, features, categories, user_id=user_id, request_id=request_id, event_time=event_time
        )
        return self._run(asked)

    def predict(
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
        """As `Client.predict`."""
        asked = self._client.predict(
            model, features, categories,
            user_id=user_id, request_id=request_id, event_time=event_time, within_s=within_s,
        )  # fmt: skip
        return self._run(asked)

    def send_outcome(self, request_id: str, outcome: float | bool | str | None, *, outcome_time: Moment = None) -> None:
        """As `Client.send_outcome`."""
        self._run(self._client.send_outcome(request_id, outcome, outcome_time=outcome_time))

    def records(
        self, topic: str, *, since: Since = NOW, group: str | None = None, by_hand: bool = False
    ) -> "SyncRecords":
        """As `Client.records`."""
        return SyncRecords(
            self, self._call(lambda: self._client.records(topic, since=since, group=group, by_hand=by_hand))
        )

    def _call(self, made: Any) -> Any:
        """What a function gives in the thread of the loop: consumers belong to the loop in which they are made."""

        async def call() -> Any:
            return made()

        return self._run(call())

    def _run(self, awaited: Coroutine[Any, Any, T]) -> T:
        running = asyncio.run_coroutine_threadsafe(awaited, self._loop)
        try:
            return running.result()
        except BaseException:
            running.cancel()
            raise


class SyncRecords:
    """`Records` for a ``for`` loop."""

    def __init__(self, client: SyncClient, records: Records[Any]) -> None:
        self._client = client
        self._records = records
        self._iterator: Any = None

    def __enter__(self) -> Self:
        self._client._run(self._records.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._client._run(self._records.__aexit__())

    def __iter__(self) -> Iterator[Received[Any]]:
        return self

    def __next__(self) -> Received[Any]:
        if self._iterator is None:
            self._iterator = self._client._call(self._records.__aiter__)
        found: Received[Any] = self._client._run(self._iterator.__anext__())
        return found

    @property
    def unreadable(self) -> int:
        """As `Records.unreadable`."""
        return self._records.unreadable

    def commit(self) -> None:
        """As `Records.commit`."""
        self._client._run(self._records.commit())
