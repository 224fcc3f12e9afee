"""How a command ends: in one line, whatever went wrong."""

import os
import traceback
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console
from rich.text import Text
from typer import Abort, TyperException

from leadline.errors import LeadlineError
from leadline.foreign_text import lines_shown, shown

LINE = 2000
DEBUG = "LEADLINE_DEBUG"
"""The variable that asks for the traceback of an error."""


def exit_code(command: Callable[[], object], unreachable: Callable[[], str]) -> int:
    """Run a command; what goes wrong is one line on standard error, and the traceback before it where `DEBUG` is set.

    1: it failed; 2: it was called wrongly; 130: Ctrl-C. ``unreachable``: what to say where Kafka does not answer.
    """
    try:
        code = command()
    except TyperException as error:
        return _used_wrongly(error)
    except (KeyboardInterrupt, Abort):
        return 130
    except Exception as error:  # noqa: BLE001 - this is the end of the line for all of them
        if os.environ.get(DEBUG, "0") not in ("", "0"):
            _say(lines_shown(traceback.format_exc()))
        _say(f"error: {one_line(_said(error, unreachable))}")
        return 1
    return code if isinstance(code, int) else 0


def one_line(text: str) -> str:
    r"""A text that may have several lines, and may be foreign, in one.

    >>> print(one_line("it ended; the end of its log:\n  one\n\n  t\x1bo\n"))
    it ended; the end of its log: | one | t\x1bo
    """
    return shown(" | ".join(line.strip() for line in text.splitlines() if line.strip()), LINE)


def _used_wrongly(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if message:  # none where help was asked for, which is already there
        see = f"; see {context.command_path} --help" if context is not None else ""
        _say(f"error: {one_line(message.replace('Value error, ', '')).rstrip('.')}{see}")
    return error.exit_code


def _said(error: Exception, unreachable: Callable[[], str]) -> str:
    from leadline.kafka.errors import KafkaConnectionError, KafkaError

    match error:
        case LeadlineError():
            return str(error)
        case KafkaConnectionError():
            return unreachable()
        case KafkaError():
            return f"Kafka: {error}; look at the broker's log, and try again"
        case OSError(filename=str() | bytes() as name, strerror=str() as why):
            return f"{os.fsdecode(name)}: {why}; look at the path, the rights and the room there"
    text = str(error) or "without a word"
    return f"{type(error).__name__}: {text} (not foreseen: {DEBUG}=1 shows where)"


def _say(text: str) -> None:
    with suppress(OSError):  # whoever listened has gone
        said = Text(text)
        if text.startswith("error: "):
            said.stylize("red", 0, 6)
        Console(stderr=True).print(said, soft_wrap=True)
