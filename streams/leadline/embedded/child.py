"""A server as a child process that never outlives this one."""

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from leadline.embedded.errors import EmbeddedError

_STOP_S = 15.0

# The server replaces the shell, so its pid is the one that we hold. The shell's other half waits on a pipe that only we
# hold open: a line means a clean stop, end of file means that we died, however that was.
_TIED = 'exec 3<&0 </dev/null; { read -r _ <&3 || kill -9 $$; } >/dev/null 2>&1 & exec "$@" 3<&-'


_LOCK_S = 2.0
"""The shell of a child that ended at once may hold the lock a moment longer."""


def _locked(log: BinaryIO) -> bool:
    """Take the lock of a log; False where somebody keeps it."""
    deadline = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True


class Child:
    """A started server process: its name for messages, its log, its pid."""

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start the command in a session of its own (Ctrl-C is ours to handle), with its output at the end of the log.

        The server holds its log's lock while it lives: two Kafkas on one folder destroy its data before they notice.
        ``environment`` None is this process's own. Raises EmbeddedError when one runs there already.
        """
        self.name = name
        self.log = log
        with log.open("ab") as out:
            if not _locked(out):
                message = f"{name} already runs in {log.parent}: use that one, stop it, or name another folder"
                raise EmbeddedError(message)
            self._begin = out.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _TIED, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def killed(self) -> bool:
        """Whether somebody killed it (kill -9), rather than that it failed."""
        return self._process.poll() == -signal.SIGKILL

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Wait until the server answers; when it ends or stays silent, stop it and raise EmbeddedError with the end of its log."""
        deadline = time.monotonic() + timeout_s
        while self.running and time.monotonic() < deadline:
            with suppress(OSError):
                if ready():
                    return
            time.sleep(0.02)
        code = self._process.returncode
        problem = f"did not answer within {timeout_s:.0f} s" if code is None else f"ended with exit code {code}"
        self.stop()
        raise EmbeddedError(f"{self.name} {problem}; the end of its log {self.log}:\n{self.last_lines()}")

    def terminate(self) -> None:
        """Ask the server to end (SIGTERM), and do not wait."""
        self._process.terminate()

    def stop(self) -> None:
        """Stop the server (SIGTERM, after 15 s SIGKILL) and wait for its end; again is no error."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):
            self._process.stdin.write(b"\n")
            self._process.stdin.close()

    def last_lines(self, count: int = 12) -> str:
        """The last lines of its log since it started, without the JVM's own warnings and the frames of stack traces."""
        with self.log.open("rb") as log:
            log.seek(self._begin)
            lines = (line.decode(errors="replace") for line in log)
            return "".join(
                deque((line for line in lines if not line.startswith(("WARNING:", "\tat "))), count)
            ).rstrip()


def free_ports(*wanted: int) -> list[int]:
    """The wanted ports of 127.0.0.1, all different, with a free one for each 0; raises EmbeddedError for one in use."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in wanted]
        for each, port in zip(sockets, wanted, strict=True):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                each.bind(("127.0.0.1", port))
            except (OSError, OverflowError) as error:
                why = getattr(error, "strerror", error)
                raise EmbeddedError(f"port {port} of 127.0.0.1: {why}; name another, or 0 for a free one") from None
        return [int(each.getsockname()[1]) for each in sockets]


def ask(port: int, request: bytes, timeout_s: float = 1.0) -> bytes:
    """The first bytes that a server on 127.0.0.1 answers to a request; raises OSError when it does not."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        connection.sendall(request)
        return connection.recv(4096)
