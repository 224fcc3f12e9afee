"""A process that takes one piece of work after another, so that a piece that kills it, or never ends, is known and costs no more."""

import multiprocessing
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

MEMORY_BYTES = 4 << 30
"""Address space that a child may use: what is claimed by a hostile count must fail in the child, not take the machine."""


class DiedError(Exception):
    """The child died, or was killed because it did not answer in time; the message says which."""


class Child:
    """A process for one importable function; it is started with its first piece of work, and again after it died."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self._work = work
        self._process: Any = None

    def ask(self, *given: Any, seconds: float) -> Any:
        """What the work returns for these arguments; raises DiedError."""
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs, self._work), daemon=True)
            self._process.start()
            theirs.close()
        try:
            self._pipe.send(given)
            if self._pipe.poll(seconds):
                return self._pipe.recv()
            end = f"no answer within {seconds:.0f} s"
            self._process.kill()
            self._process.join()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join()
            end = f"the process ended with {self._process.exitcode}"
        self._process = None
        raise DiedError(end)

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _serve(pipe: Connection, work: Callable[..., Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    with suppress(ValueError, OSError):  # not every system has this limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with suppress(EOFError):
        while True:
            pipe.send(work(*pipe.recv()))
