"""The client for programs without asyncio: the same, in a thread of its own."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from typing import Any, Generic, Self, TypeVar

from leadline.client.client import NO_CATEGORIES, Client, Moment
from leadline.client.opened import ClosedError, check_process
from leadline.client.reading import NOW, R, Received, Records, Since
from leadline.errors import LeadlineError
from leadline.records import Prediction

T = TypeVar("T")
_CLOSED = "this SyncClient is not open: use it as a context, `with SyncClient() as client:`"


class _Thread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._process, self._asking, self._closed = os.getpid(), threading.Lock(), False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="leadline-client", daemon=True)
        self._thread.start()

    def run(self, awaited: Coroutine[Any, Any, T]) -> T:
        """What it gives. Raises ClosedError where the thread is closed, also meanwhile, and LeadlineError in another process."""
        try:
            running = self._begin(awaited)
        except LeadlineError:
            awaited.close()
            raise
        try:
            return running.result()
        except CancelledError:
            raise ClosedError("the client was closed meanwhile") from None
        except BaseException:
            running.cancel()
            raise

    def _begin(self, awaited: Coroutine[Any, Any, T]) -> "Future[T]":
        check_process(self._process)
        with self._asking:
            if self._closed:
                raise ClosedError(_CLOSED)
            return asyncio.run_coroutine_threadsafe(awaited, self._loop)

    def call(self, made: Callable[[], T]) -> T:
        """What a function gives in the thread of the loop: consumers belong to the loop in which they are made."""

        async def call() -> T:
            return made()

        return self.run(call())

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Run the last; whoever still waits is told that it is closed. A process that was forked has nothing to close."""
        if self._process != os.getpid():
            last.close()
            return
        with self._asking:
            self._closed = True
            ending = asyncio.run_coroutine_threadsafe(_end(last), self._loop)
        try:
            ending.result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


async def _end(last: Coroutine[Any, Any, None]) -> None:
    try:
        await last
    finally:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        if others:
            await asyncio.wait(others, timeout=1)


class SyncClient:
    """`Client` with methods that wait; use it as a context. Threads may share it, processes that fork may not.

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
        self._thread: _Thread | None = None

    def __enter__(self) -> Self:
        self._thread = _Thread()
        return self

    def __exit__(self, *_: object) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.close(self._client.close())

    def send_request(
        self,
        model: str,
        features: Mapping[str, float | None],
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
        features: Mapping[str, float | None],
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
    ) -> "SyncRecords[Any]":
        """As `Client.records`."""
        thread = self._open()
        made = thread.call(lambda: self._client.records(topic, since=since, group=group, by_hand=by_hand))
        return SyncRecords(thread, made)

    def _run(self, awaited: Coroutine[Any, Any, T]) -> T:
        try:
            thread = self._open()
        except ClosedError:
            awaited.close()
            raise
        return thread.run(awaited)

    def _open(self) -> _Thread:
        if self._thread is None:
            raise ClosedError(_CLOSED)
        return self._thread


class SyncRecords(Generic[R]):
    """`Records` for a ``for`` loop, which ends when they are closed."""

    def __init__(self, thread: _Thread, records: Records[R]) -> None:
        self._thread = thread
        self._records = records

    def __enter__(self) -> Self:
        self._thread.run(self._records.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._thread.run(self._records.__aexit__())
        except ClosedError:  # and the consumer with the client
            return

    def __iter__(self) -> Iterator[Received[R]]:
        return self

    def __next__(self) -> Received[R]:
        try:
            return self._thread.run(self._records.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    @property
    def unreadable(self) -> int:
        """As `Records.unreadable`."""
        return self._records.unreadable

    def commit(self) -> None:
        """As `Records.commit`."""
        self._thread.run(self._records.commit())
