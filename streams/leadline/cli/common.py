"""What the commands share."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from rich.console import Console

from leadline.foreign_text import shown
from leadline.settings import Settings, SettingsError, load_settings

T = TypeVar("T")
out = Console()
err = Console(stderr=True)
LINE = 2000


def say(line: str) -> None:
    """A line for the person at the terminal, on standard error; names and paths in it may be foreign."""
    err.print(shown(line, LINE), markup=False, highlight=False, soft_wrap=True)


def broker() -> tuple[Settings, str]:
    """The settings, and the broker that they name; raises SettingsError where they name none."""
    settings = load_settings()
    if settings.kafka_bootstrap is None:
        raise SettingsError("KAFKA_BOOTSTRAP is not set: name your broker's host:port, or start one with `leadline up`")
    return settings, settings.kafka_bootstrap


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; Ctrl-C ends it quietly."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
