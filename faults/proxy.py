"""A TCP proxy that makes a network bad: it stalls, slows, narrows and resets connections."""

import asyncio
import random
import threading
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

_CHUNK = 1 << 16


class Proxy:
    """Passes ``port`` of 127.0.0.1 on to ``target``, in a thread of its own; its attributes may change at any time.

    ``stalled``: the directions ("up" to the server, "down" from it) in which nothing moves; nothing is lost either, as on a link that is
    down. ``delay_s`` for each piece, ``rate`` in bytes a second (0: as fast as it goes), ``resets`` the chance that a piece ends its
    connection.
    """

    def __init__(self, port: int, target: int, seed: int) -> None:
        self.port, self.target = port, target
        self.stalled: frozenset[str] = frozenset()
        self.delay_s = self.rate = self.resets = 0.0
        self._rng = random.Random(seed)  # noqa: S311 - a simulation of bad luck
        self._loop = asyncio.new_event_loop()
        self._pumps: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def heal(self) -> None:
        """Be a good network again."""
        self.stalled = frozenset()
        self.delay_s = self.rate = self.resets = 0.0

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=_CHUNK)

    async def _close(self) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=_CHUNK)
        except OSError:
            writer.transport.abort()
            return
        ends = writer.transport, far_writer.transport
        for pump in (self._pump("up", reader, far_writer), self._pump("down", far_reader, writer)):
            task = asyncio.ensure_future(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)
            task.add_done_callback(partial(_abort, ends))

    async def _pump(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                while way in self.stalled:  # noqa: ASYNC110 - set from another thread
                    await asyncio.sleep(0.05)
                if self._rng.random() < self.resets:
                    return
                if wait := self.delay_s + (len(data) / self.rate if self.rate else 0):
                    await asyncio.sleep(wait)
                writer.write(data)
                await writer.drain()


def _abort(ends: Iterable[asyncio.WriteTransport], _: object) -> None:
    for end in ends:
        end.abort()
