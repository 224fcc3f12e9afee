"""A connection that is opened when somebody first needs it, and used by the process and the event loop that opened it alone."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

from leadline.errors import LeadlineError

T = TypeVar("T")
Owner = tuple[int, asyncio.AbstractEventLoop | None]


class ClosedError(LeadlineError):
    """The client was closed, before or while something was asked of it."""


def check_process(process: int) -> None:
    """Raise LeadlineError in a process that was forked from the one that opened a client: they would talk on one connection."""
    if process != os.getpid():
        raise LeadlineError(f"the process {process} opened this client: open one in each process, after it was forked")


class Opened(Generic[T]):
    """Who gives up waiting does not end the opening: whoever comes next finds it done."""

    def __init__(
        self,
        start: Callable[[], Coroutine[Any, Any, T]],
        stop: Callable[[T], Awaitable[None]],
        is_good: Callable[[T], bool] = lambda _: True,
    ) -> None:
        self._start, self._stop, self._is_good = start, stop, is_good
        self._opening: asyncio.Task[T] | None = None
        self._process = 0

    async def get(self) -> T:
        """What is open; what is not, or is not good any more, is opened. Raises as opening does, and LeadlineError for another owner."""
        self._check_owner()
        if self._opening is None or (self._opening.done() and not self._can_be_used(self._opening)):
            before, self._process = self._opening, os.getpid()
            self._opening = asyncio.create_task(self._anew(before))
            self._opening.add_done_callback(_look_at)
        return await asyncio.shield(self._opening)

    async def close(self) -> None:
        """Stop what is open; what another process or event loop opened is left to it."""
        opening, self._opening = self._opening, None
        if opening is None or self._process != os.getpid() or opening.get_loop() is not asyncio.get_running_loop():
            return
        opening.cancel()
        await asyncio.wait([opening])
        if _has_come(opening):
            await self._stop(opening.result())

    async def _anew(self, before: asyncio.Task[T] | None) -> T:
        if before is not None and _has_come(before):
            await self._stop(before.result())
        return await self._start()

    def _can_be_used(self, opening: asyncio.Task[T]) -> bool:
        return _has_come(opening) and self._is_good(opening.result())

    def _check_owner(self) -> None:
        if self._opening is None:
            return
        check_process(self._process)
        if self._opening.get_loop() is not asyncio.get_running_loop():
            raise LeadlineError("another event loop opened this client: open one in each, or use SyncClient")


def _has_come(opening: "asyncio.Task[T]") -> bool:
    return opening.done() and not opening.cancelled() and opening.exception() is None


def _look_at(opening: "asyncio.Task[T]") -> None:
    """Else asyncio complains of an error that nobody waits for any more."""
    _has_come(opening)
