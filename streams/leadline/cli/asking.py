"""Commands to the workers: one is sent, and its answer waited for."""

import asyncio
import getpass
from typing import TYPE_CHECKING

from leadline.records import Command, CommandAnswer

if TYPE_CHECKING:
    from leadline.wire.run import Run

ANSWERS = "command-answers"


async def ask(bootstrap: str, prefix: str, command: Command, within_s: float) -> CommandAnswer | None:
    """Send a command; its answer, or None where no worker gives one in time. Raises NoTopicError."""
    from leadline.kafka.cluster import check_topics
    from leadline.kafka.reader import Reader
    from leadline.kafka.sender import publish

    await check_topics(bootstrap, [f"{prefix}.commands", f"{prefix}.{ANSWERS}"])
    async with Reader(bootstrap, f"{prefix}.{ANSWERS}", ANSWERS) as reader:
        await reader.from_newest(0)
        await publish(bootstrap, prefix, "commands", command)
        try:
            async with asyncio.timeout(within_s):
                async for run in reader.follow():
                    if (answer := _answer(run, command)) is not None:
                        return answer
        except TimeoutError:
            pass
    return None


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
