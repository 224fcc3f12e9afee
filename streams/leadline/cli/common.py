"""What the commands share."""

import asyncio
import os
import signal
import textwrap
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from leadline.foreign_text import as_json, shown
from leadline.settings import Settings, SettingsError, duration_ms, load_settings

T = TypeVar("T")
ANSWERS_S = 15.0
out = Console(emoji=False)
"""Names from outside may hold what is the code of an emoji, such as ``:key:``."""
err = Console(stderr=True, emoji=False)
LINE = 2000
COLUMNS = 80

Json = Annotated[bool, typer.Option("--json", help="Print it as one line of JSON.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print a line of JSON for each.")]
JsonAlways = Annotated[
    bool, typer.Option("--json", help="As it does anyhow: every command that shows something takes it.")
]


def say(line: str) -> None:
    """A line for the person at the terminal, on standard error; names and paths in it may be foreign."""
    err.print(shown(line, LINE), markup=False, highlight=False, soft_wrap=True)


def put(line: str) -> None:
    """A line of what was asked for, whole, on standard output."""
    out.print(shown(line, len(line)), markup=False, highlight=False, soft_wrap=True)


def put_wrapped(line: str) -> None:
    """A sentence for a person, on standard output: on as many lines as it needs at 80 columns, the later ones indented."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    for part in textwrap.wrap(shown(line, len(line)), COLUMNS, subsequent_indent=indent, break_on_hyphens=False):
        put(part)


def put_json(value: Any) -> None:
    """A value as one line of JSON, on standard output."""
    put(as_json(value))


def keep_private() -> None:
    """What this process writes from now on is for its user alone: state, models and logs hold what came in."""
    os.umask(0o077)


def broker() -> tuple[Settings, str]:
    """The settings, and the broker that they name, which answers; raises SettingsError where they name none."""
    settings = load_settings()
    if settings.kafka_bootstrap is None:
        raise SettingsError("KAFKA_BOOTSTRAP is not set: name your broker's host:port, or start one with `leadline up`")
    wait_for(reach(settings.kafka_bootstrap))
    return settings, settings.kafka_bootstrap


def models_of(settings: Settings, model: str | None = None, sets: bool = False) -> Path:
    """The folder of the models, with a model (None: all) in it as it is in the store, where there is one; with its training ``sets``.

    Raises RegistryError.
    """
    if settings.store is not None:
        from leadline.learning.store import have_here

        have_here(settings, model, sets)
    return settings.models


async def reach(bootstrap: str) -> None:
    """Raise SettingsError, or KafkaConnectionError, where the broker does not answer in time."""
    from leadline.kafka.cluster import check_topics

    try:
        async with asyncio.timeout(ANSWERS_S):
            await check_topics(bootstrap, ())
    except TimeoutError:
        raise SettingsError(unreachable(f"not within {ANSWERS_S:.0f} s")) from None


def moment_ms(text: str) -> int:
    """A moment of ISO-8601 with zone; raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{text!r} is not ISO-8601 with zone: write for example 2013-12-31T00:00:00Z")
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def moment_or_ago(option: str, text: str) -> int | None:
    """A moment, or how long ago it was; None where nothing is said. Raises BadParameter that names the option."""
    if not text:
        return None
    try:
        return int(time.time() * 1000) - duration_ms(text) if text[-1] in "smhdw" else moment_ms(text)
    except ValueError as error:
        raise typer.BadParameter(f"--{option}: {error}") from None


def duration(option: str, text: str) -> int:
    """Milliseconds of an option; raises BadParameter that names it."""
    try:
        return duration_ms(text)
    except ValueError as error:
        raise typer.BadParameter(f"--{option}: {error}") from None


def check_places(*files: Path) -> None:
    """Raise BadParameter where a file cannot be written, before any work is done for it."""
    for file in files:
        if file.is_dir() or not file.absolute().parent.is_dir():
            raise typer.BadParameter(f"{file} cannot be written: name a file in a folder that is there")


def unreachable(why: str = "") -> str:
    """What to say where the broker does not answer."""
    from leadline.logs import why_refused

    where = load_settings().kafka_bootstrap or "the embedded broker"
    return (
        f"{where} does not answer ({why or why_refused()}): set KAFKA_BOOTSTRAP to your broker's host:port, and KAFKA_SECURITY_PROTOCOL, "
        "KAFKA_SASL_* and KAFKA_SSL_* as it wants them; or start one with `leadline up`"
    )


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; Ctrl-C ends it quietly."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


async def until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run until it ends, or SIGTERM comes."""
    running = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        return
