"""Log lines of the process: readable on a terminal, JSON elsewhere."""

import logging
import math
import sys
import time
from collections.abc import MutableMapping
from typing import Any

import structlog

from leadline.foreign_text import lines_shown, shown

_LIMIT = 2000
_AGAIN_S, _LINES = 10.0, 1000


def configure_logs(level: int = logging.INFO) -> None:
    """Send structlog's and the libraries' lines to standard error, one line an event."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    on_terminal = [_shown, structlog.dev.ConsoleRenderer()]
    last = on_terminal if sys.stderr.isatty() else [structlog.processors.JSONRenderer()]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            *last,
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    handler.addFilter(_Seldom())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("aiokafka", "faust", "mode"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Seldom(logging.Filter):
    """Lets a line of a library through once in ten seconds: while a broker or a topic is away they say the same hundreds of times a second.

    >>> line = logging.LogRecord("aiokafka", logging.ERROR, "", 0, "no node %s", (1,), None)
    >>> seldom = _Seldom()
    >>> seldom.filter(line), seldom.filter(line)
    (True, False)
    """

    def __init__(self) -> None:
        super().__init__()
        self._at: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("aiokafka"):
            return True
        line, now = (record.name, str(record.msg)[:_LIMIT]), time.monotonic()
        if now - self._at.get(line, -math.inf) < _AGAIN_S:
            return False
        if len(self._at) >= _LINES:
            self._at.clear()
        self._at[line] = now
        return True


def log_to_standard_error() -> None:
    """For a command: warnings as lines beside its other messages, since its standard output is for what was asked."""
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, _shown, structlog.dev.ConsoleRenderer(colors=False)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _shown(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What is said, as a terminal may show it; only a traceback keeps its lines."""
    return {name: lines_shown(str(value)) if name == "exception" else _value(value) for name, value in event.items()}


def _value(value: Any) -> Any:
    return value if isinstance(value, int | float | None) else shown(value, _LIMIT)


class _Refusals(logging.Handler):
    """Remembers why a broker could not be reached: aiokafka says it to its log, and raises without it."""

    newest = ""

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message.startswith("Unable connect"):
            self.newest = message.partition(": ")[2]


_refusals = _Refusals()


def why_refused() -> str:
    """Why the last attempt to reach a broker failed; empty where none did."""
    return _refusals.newest


def quiet_libraries() -> None:
    """Keep the libraries' warnings off the screen of a command; a worker, which configures its log, still has them."""
    for chatty in ("aiokafka", "asyncio"):
        logging.getLogger(chatty).addHandler(_refusals)
