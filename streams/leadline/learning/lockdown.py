"""A process that has read all it needs, and from now on opens nothing, calls nobody and writes nothing."""

import os
import resource
import sys
import sysconfig
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import Any

Refusals = list[str]
"""What was tried: a library may swallow the error."""
_FORBIDDEN = frozenset(
    {
        "ctypes", "fcntl", "ftplib", "glob", "http", "imaplib", "mmap", "nntplib", "os", "poplib", "pty", "shutil", "signal",
        "smtplib", "socket", "sqlite3", "subprocess", "syslog", "tempfile", "telnetlib", "urllib", "webbrowser",
    }
)  # fmt: skip
"""First words of audit events."""
_LOOKS = frozenset({"os.listdir", "os.scandir"})
_QUIET = frozenset(
    {
        "ctypes.addressof", "ctypes.cdata", "ctypes.cdata/buffer", "ctypes.create_string_buffer", "ctypes.dlsym", "ctypes.dlsym/handle",
    }
)  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class RefusedError(PermissionError):
    """The process tried what it may not."""


class Audit:
    """A hook for `sys.addaudithook`. Below ``folders`` and where modules come from, files may be read.

    ``refusals`` says what was refused while it was ``on``.
    """

    def __init__(self, *folders: str) -> None:
        libraries = {each for each in sys.path if each} | {sysconfig.get_path("stdlib")}
        self._folders = tuple(os.path.realpath(each) for each in {*libraries, *folders})
        self._packages = {name.partition(".")[0] for name in sys.modules} | sys.stdlib_module_names
        self.refusals: Refusals = []
        self.on = True

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            self._open(args[0], args[2])
        elif event == "import" and str(args[0]).partition(".")[0] not in self._packages:
            raise ModuleNotFoundError(f"No module named {args[0]!r} in a locked process", name=str(args[0]))
        elif event in _LOOKS:
            self._open(args[0], 0)
        elif event == "ctypes.dlopen":
            self._open(args[0], 0) if args[0] is not None else None
        elif event.partition(".")[0] in _FORBIDDEN and event not in _QUIET:
            self._refuse(f"{event} {args[:1]!r}"[:200])

    def _open(self, path: Any, flags: Any) -> None:
        writes = isinstance(flags, int) and flags & _WRITES
        name = os.fsdecode(path) if isinstance(path, (str, bytes)) else ""
        if writes or not name or not self._is_below(os.path.realpath(name)):
            self._refuse(f"to {'write' if writes else 'open'} {path!r}"[:200])

    def _is_below(self, path: str) -> bool:
        return any(path == folder or path.startswith(folder + os.sep) for folder in self._folders)

    def _refuse(self, what: str) -> None:
        self.refusals.append(what)
        raise RefusedError(f"a locked process tried {what}")


def warm_up(trusted: Iterable[str] = (), packages: Iterable[str] = ()) -> None:
    """Import what models are made of, ``trusted`` types and ``packages``; what asks the system once, asks now."""
    for name in ("pandas", *packages, *(each.rpartition(".")[0] for each in trusted)):
        with suppress(ImportError):  # for a data frame, or a type, that is missing there are words later
            import_module(name)
    import skops.io  # noqa: F401 - imports all of scikit-learn's estimators
    from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
    from sklearn.utils.parallel import _get_threadpool_controller

    _openmp_effective_n_threads()
    with _get_threadpool_controller().limit(limits=1):
        pass


def confine(memory_bytes: int, seconds: int) -> Refusals:
    """From now on so much memory and processor time, no new files, and no calls. Returns what is refused, as it comes."""
    for limit, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # not every system has each
            resource.setrlimit(limit, (most, most))
    audit = Audit()
    sys.addaudithook(audit)
    return audit.refusals
