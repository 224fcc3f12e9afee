"""Commands to the workers: one is sent, and its answer waited for."""

import asyncio
import getpass
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.common import broker, duration, put, put_json, say, wait_for
from leadline.records import ACCEPTED, Command, CommandAnswer

if TYPE_CHECKING:
    from leadline.wire.run import Run

ANSWERS = "command-answers"
TIMED_OUT = 3
"""The exit code where no worker answered in time."""
Reason = Annotated[str, typer.Option(help="Why: it stays with what is asked.")]
Actor = Annotated[str, typer.Option(help="Who asks. Default: your name on this machine.")]
Timeout = Annotated[str, typer.Option(help="How long to wait for the answer.")]
CommandId = Annotated[
    str, typer.Option("--id", help="Of the command: one that comes again changes nothing. Default: a new one.")
]


def new_command(
    kind: str, model: str, arguments: Mapping[str, str], reason: str, actor: str = "", command_id: str = ""
) -> Command:
    """A command of this user, or of who is said to give it."""
    now_ms = int(time.time() * 1000)
    return Command(command_id or uuid.uuid4().hex, kind, model, actor or user(), reason, dict(arguments), now_ms)


def send_and_tell(command: Command, stage: str, timeout: str, look: str, json: bool) -> None:
    """Send a command and print what ``stage`` (or the trainer) answers; ``look`` is the command that tells what became of it.

    Exit code 0: accepted; 1: refused; 3: no worker answered in time.
    """
    within_ms = duration("timeout", timeout)
    settings, bootstrap = broker()
    answer = wait_for(ask(bootstrap, settings.prefix, command, within_ms / 1000))
    if answer is None:
        who, one = ("trainer", "one") if stage == "trainer" else ("worker", f"one with the step {stage}")
        say(
            f"timed out: no {who} answered command {command.command_id} within {timeout}; it takes effect when {one} works on it. "
            f"Look with `leadline doctor`, and with `{look}`"
        )
        raise SystemExit(TIMED_OUT)
    if json:
        put_json({"command_id": command.command_id, "answer": answer.answer, "reason": answer.reason})
    else:
        put(f"{answer.answer}: {answer.reason}")
    if answer.answer != ACCEPTED:
        raise SystemExit(1)


async def ask(bootstrap: str, prefix: str, command: Command, within_s: float) -> CommandAnswer | None:
    """Send a command; its answer, or None where no worker gives one in time. Raises NoTopicError."""
    from leadline.kafka.reader import Reader

    await check_commands(bootstrap, prefix)
    async with Reader(bootstrap, f"{prefix}.{ANSWERS}", ANSWERS) as reader:
        await reader.from_newest(0)
        await leave(bootstrap, prefix, command)
        try:
            async with asyncio.timeout(within_s):
                async for run in reader.follow():
                    if (answer := _answer(run, command)) is not None:
                        return answer
        except TimeoutError:
            pass
    return None


async def check_commands(bootstrap: str, prefix: str) -> None:
    """Raise NoTopicError where the topics of commands are not there."""
    from leadline.kafka.cluster import check_topics

    await check_topics(bootstrap, [f"{prefix}.commands", f"{prefix}.{ANSWERS}"])


async def leave(bootstrap: str, prefix: str, command: Command) -> None:
    """Send a command, signed where this user has a key."""
    from leadline.kafka.sender import publish

    await publish(bootstrap, prefix, "commands", await _signed(bootstrap, prefix, command))


async def _signed(bootstrap: str, prefix: str, command: Command) -> Command:
    """A command with the signature of this user, for this cluster and prefix; as it is, where the user has no key."""
    from leadline.cli.keys import key_file, private_key

    private = private_key() if key_file().exists() else None
    if private is None:
        return command
    from leadline.core.release.signatures import public_key, signature
    from leadline.kafka.inspector import Inspector

    topic_name = f"{prefix}.commands"
    origin = (await Inspector(bootstrap).look([topic_name]))[topic_name].origin
    command = replace(command, public_key=public_key(private))
    return replace(command, signature=signature(command, origin.installation(prefix), private))


def _answer(run: "Run", command: Command) -> CommandAnswer | None:
    from leadline.wire.codec import decode

    asked = command.model, command.command_id
    found = [each for each in decode(run, 1 << 30)[0].records if isinstance(each, CommandAnswer)]
    return next((each for each in found if (each.model, each.command_id) == asked), None)


def user() -> str:
    """Who runs the command, as this machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        return "unknown"
