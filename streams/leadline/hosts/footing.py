"""What a lane stands on: the topics of its step. They are looked at when it starts, when it opens tasks, and every ten seconds."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import structlog

from leadline.hosts.contract import Installation
from leadline.kafka.errors import KafkaError
from leadline.kafka.inspector import existing
from leadline.topology import Step
from leadline.wire.origins import Origin
from leadline.wire.plan import disagreements, topics_of

log = structlog.get_logger("leadline.topics")

LOOK_EVERY_S = 10.0
AGAIN_S = 2.0
WHAT = "topics"

Standing = Mapping[str, Origin]
"""The origin of each topic of a step, by its name without prefix."""


class Footing:
    """The topics of a step as they were seen last.

    ``standing`` is the same object until one of the topics is another one, or has other partitions; None while nobody has looked yet, and
    while the topics do not agree. A lane works on one standing, and begins anew with the next.
    """

    def __init__(self, step: Step, installation: Installation) -> None:
        self._step = step
        self._installation = installation
        self._names = {topic.name: installation.topic_name(topic.name) for topic in topics_of(step)}
        self._known: Standing = {}
        self._said = ""
        self.standing: Standing | None = None

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """The topics are looked at again and again until the context ends."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def look(self) -> None:
        """Look now. Raises KafkaError where no broker answers; then ``standing`` is what it was."""
        seen = await self._installation.inspector.look(self._names.values())
        prefix = self._installation.settings.prefix
        found = {f"{prefix}.{topic}": seen[name] for topic, name in self._names.items() if name in seen}
        wrong = disagreements(self._step, existing(found), prefix)
        self._say("; ".join(wrong))
        if wrong:
            self.standing = None
        else:
            self._stand({topic: seen[name].origin for topic, name in self._names.items()})

    def _stand(self, found: Standing) -> None:
        other = sorted(topic for topic, known in self._known.items() if found[topic].is_other(known))
        if other:
            log.warning("topics were made anew: the stage begins anew with them", step=self._step.name, topics=other)
        if found != self._known or self.standing is None:
            self._known = self.standing = found

    def _say(self, message: str) -> None:
        """Say what is wrong, once, or that nothing is any more."""
        if message:
            self._installation.health.stuck(self._step.name, WHAT, message)
        else:
            self._installation.health.freed(self._step.name, WHAT)
        if message and message != self._said:
            log.error("the stage waits: its topics do not agree", step=self._step.name, error=message)
        elif self._said and not message:
            log.warning("the topics of the stage agree again", step=self._step.name)
        self._said = message

    async def _watch(self) -> None:
        failing = False
        while True:
            try:
                await self.look()
                failing = False
            except KafkaError as error:
                if not failing:
                    log.warning("not looked at", step=self._step.name, error=str(error))
                failing = True
            await asyncio.sleep(AGAIN_S if self.standing is None else LOOK_EVERY_S)
