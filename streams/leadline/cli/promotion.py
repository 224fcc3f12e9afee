"""A champion by hand: it is asked for, and what the workers make of it is seen."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from leadline.cli.asking import ask, check_commands, leave
from leadline.cli.checkup.findings import Seen
from leadline.cli.checkup.judge_workers import alive, decides, scorers, scores
from leadline.cli.newest import rollouts
from leadline.errors import LeadlineError
from leadline.foreign_text import shown
from leadline.hosts.health_record import told
from leadline.kafka.cluster import records
from leadline.kafka.errors import KafkaError
from leadline.kafka.metadata import NoTopicError
from leadline.kafka.reader import Reader
from leadline.records import ACCEPTED, Command, CommandAnswer, Rollout, WorkerHealth, iso
from leadline.settings import Settings
from leadline.wire.codec import read
from leadline.wire.topics import WORKERS

_SETTLED_S = 0.1
"""So long after a rollout a worker that refused the version before may still tell of that."""
_NAMES, _CHARS = 5, 300
_LOOKS, _LOOK_S = 10, 0.2


class NotTakenError(LeadlineError):
    """A champion is made, and some workers do not answer with it; the message says which, and why."""


@dataclass
class Promotion:
    """A rollout that was made, and by worker what it makes of it: empty where it answers with it, else why it does not.

    ``before``: who answered until then. ``asked``: whether anybody waited for the workers. ``unseen``: why nobody knows of them.
    """

    rollout: Rollout
    before: str | None
    asked: bool
    workers: dict[str, str] = field(default_factory=dict)
    unseen: str = ""

    @property
    def missing(self) -> dict[str, str]:
        return {name: why for name, why in self.workers.items() if why}

    def as_fields(self) -> dict[str, Any]:
        """What happened, for `as_json`."""
        return {
            "model": self.rollout.model, "version": self.rollout.champion, "before": self.before,
            "time": iso(self.rollout.event_time), "actor": self.rollout.actor, "reason": self.rollout.reason,
            "answering": [name for name, why in self.workers.items() if not why], "not_answering": self.missing,
            "unseen": self.unseen or None,
        }  # fmt: skip

    def lines(self) -> Iterable[str]:
        """What happened, for a person."""
        instead = f"instead of {self.before}" if self.before else "the first one"
        again = " again" if self.before == self.rollout.champion else ""
        yield f"{self.rollout.model} {self.rollout.champion} is champion{again or f', {instead}'}: {self.rollout.reason}"
        for name, why in self.workers.items():
            yield f"  worker {name} does not answer with it: {why}" if why else f"  worker {name} answers with it"
        if self.unseen:
            yield f"  whether workers took it cannot be seen: {self.unseen}"
        elif self.asked and not self.workers:
            yield "  no worker scores now: the next one that does begins with it"

    def check(self) -> None:
        """Raise NotTakenError where a worker does not answer with it."""
        if self.missing:
            some = "; ".join(f"{name}: {why}" for name, why in list(self.missing.items())[:_NAMES])
            number = f"{len(self.missing)} of {len(self.workers)} workers"
            raise NotTakenError(
                f"{self.rollout.model} {self.rollout.champion} is champion, but {number} do not answer with it ({some}): look at "
                "`leadline doctor`, and promote it again when that is mended"
            )


@dataclass
class Asked:
    """A command that was to make a champion: what was answered, and what came of it.

    ``answer``: None where it has ``timed_out``, or nobody waited. ``made``: None where no champion came of it (yet). ``nobody``: no
    worker that could answer works now.
    """

    command: Command
    answer: CommandAnswer | None = None
    made: Promotion | None = None
    nobody: bool = False
    timed_out: bool = False


async def ask_for_champion(
    command: Command, settings: Settings, bootstrap: str, within_s: float, tell: Callable[[str], None]
) -> Asked:
    """Send a command, and where a champion comes of it, wait until all workers that score answer with it, or refuse it.

    Where nobody is there to answer, or ``within_s`` is 0, it is only left. ``tell`` says what is waited for.
    Raises KafkaError, NoTopicError.
    """
    prefix, asked, began = settings.prefix, Asked(command), time.monotonic()
    await check_commands(bootstrap, prefix)
    before = (await rollouts(bootstrap, prefix)).get(command.model)
    async with AsyncExitStack() as stack:
        seen, reader, unseen = await _look(stack, bootstrap, f"{prefix}.{WORKERS}")
        asked.nobody = not unseen and not any(decides(each.health) for each in alive(seen))
        if asked.nobody or not within_s:
            await leave(bootstrap, prefix, command)
            return asked
        asked.answer = await ask(bootstrap, prefix, command, within_s)
        asked.timed_out = asked.answer is None
        made = await _made(bootstrap, prefix, command) if asked.answer and asked.answer.answer == ACCEPTED else None
        if made is not None:
            asked.made = Promotion(made, before.champion if before else None, asked=True, unseen=unseen)
            if reader is not None:
                watch = _Watch(asked.made, reader, [each.health for each in scorers(seen)])
                await watch.wait(max(within_s - (time.monotonic() - began), 1.0), tell)
    return asked


async def _look(stack: AsyncExitStack, bootstrap: str, topic_name: str) -> tuple[Seen, Reader | None, str]:
    """What workers have told, a reader of what they tell from now on, and why neither can be seen."""
    try:
        known = list((await told(bootstrap, topic_name)).values())
        reader = await stack.enter_async_context(Reader(bootstrap, topic_name))
        await reader.from_newest(0)
    except (NoTopicError, KafkaError) as error:
        return Seen(0), None, shown(str(error) or type(error).__name__, _CHARS)
    return Seen(int(time.time() * 1000), known), reader, ""


async def _made(bootstrap: str, prefix: str, command: Command) -> Rollout | None:
    """The champion that came of a command; None where persons have to agree first, or its rollout begins. It may be seen later."""
    for _ in range(_LOOKS):
        found = (await rollouts(bootstrap, prefix)).get(command.model)
        if found is not None and found.cause == command.command_id:
            return found if found.champion == command.arguments.get("version", found.champion) else None
        await asyncio.sleep(_LOOK_S)
    return None


class _Watch:
    """Follows what workers tell after a rollout, until all that score have said what they make of it."""

    def __init__(self, made: Promotion, reader: Reader, scoring: list[WorkerHealth]) -> None:
        self._made = made
        self._reader = reader
        self._waiting = {each.worker_id for each in scoring}
        self._refused_before = {each.worker_id for each in scoring if self._refusal(each)}

    async def wait(self, within_s: float, tell: Callable[[str], None]) -> None:
        """Wait so long at most; says for how many."""
        began = time.monotonic()
        self._made.workers = dict.fromkeys(sorted(self._waiting), f"it has not said so within {within_s:g} s")
        if self._waiting:
            tell(f"waiting for {len(self._waiting)} worker(s)")
        while self._waiting and time.monotonic() - began < within_s:
            for run in await self._reader.take():
                for record in records(run):
                    with suppress(ValueError):
                        health = read(WORKERS, record.value)
                        assert isinstance(health, WorkerHealth)
                        self.hear(health, time.monotonic() - began)

    def hear(self, health: WorkerHealth, after_s: float) -> None:
        """What a worker tells, so long after the rollout."""
        name, refusal = health.worker_id, self._refusal(health)
        if not scores(health) or health.state != "running":
            self._made.workers.pop(name, None)
            self._waiting.discard(name)
        elif health.answers.get(self._made.rollout.model) == self._made.rollout.champion:
            self._made.workers[name] = ""
            self._waiting.discard(name)
        elif refusal:
            self._made.workers[name] = refusal
            if name not in self._refused_before or after_s > _SETTLED_S:
                self._waiting.discard(name)

    def _refusal(self, health: WorkerHealth) -> str:
        rollout = self._made.rollout
        return health.unusable.get(f"{rollout.model} {rollout.champion}") or health.unusable.get(rollout.model) or ""
