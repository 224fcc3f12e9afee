"""A task of a stateful step at work: what a run brings, or the passing of time, is one transaction."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

from leadline.core.processor import Batch, Effects, drain
from leadline.hosts.changelog import check_new, restore
from leadline.hosts.contract import Installation
from leadline.hosts.decoding import decode_run, letter_of, log_lost, refused_records
from leadline.kafka.sender import LETTER, STATE, Sender, TooLargeError, new_producer
from leadline.state.task import HostedTask
from leadline.wire.dead_letters import stub, to_record
from leadline.wire.limits import RUN_BYTES
from leadline.wire.run import DeadLetter, Run


class Attempt(NamedTuple):
    """How a run is worked on. When one record alone has proved too much, each attempt differs from the one before.

    ``caught_up``: nothing is due before the record. ``too_large``: why all that comes of the record is a dead letter. ``letters``: as they
    are, then without the bytes, and at last none.
    """

    caught_up: bool = False
    too_large: TooLargeError | None = None
    letters: Literal["whole", "stubs", "none"] = "whole"

    def after(self, error: TooLargeError) -> "Attempt":
        """What to try next. Raises the error where nothing is left."""
        if error.reason == LETTER and self.letters != "none":
            return self._replace(letters="stubs" if self.letters == "whole" else "none")
        if error.reason == STATE and not self.caught_up:
            return self._replace(caught_up=True)
        if self.too_large is None:
            return self._replace(too_large=error)
        raise error


class OpenTask:
    """A task whose state is here, and whose producer has fenced its former owner.

    What does not fit into one transaction is done in several: a run in halves, the passing of time in two steps. One record that still
    does not fit becomes a dead letter, and changes nothing else.
    """

    def __init__(self, hosted: HostedTask, sender: Sender, changelog: str, installation: Installation) -> None:
        self.hosted = hosted
        self._sender = sender
        self._changelog = changelog
        self._installation = installation

    @property
    def wake_at_ms(self) -> int | None:
        """The earliest time at which its processor has something to do."""
        return self.hosted.processor.wake_at_ms

    @property
    def is_empty(self) -> bool:
        """Whether its state contains nothing of what it reads."""
        return not self.hosted.applied

    def parts(self, run: Run, committed: int) -> Iterator[Run]:
        """What the state does not contain yet of a run, in parts of a transaction each.

        ``committed`` is the offset that the group has for its source. Raises ChangelogError where the state should contain some of it.
        """
        unseen = self.hosted.unseen(run)
        check_new(self.hosted, self._changelog, unseen, committed)
        return unseen.parts(self._installation.settings.run_records, RUN_BYTES)

    async def work(self, part: Run) -> None:
        """Work on a part of a run."""
        await self._run(part, Attempt())

    async def pass_time(self, now_ms: int, idle: frozenset[str]) -> None:
        """Let time come to ``now_ms`` for the topics that have nothing left to read."""
        await self._installation.tables.catch_up(self.hosted.step)
        try:
            await self._finish(self.hosted.processor.on_time(now_ms, idle), [], Attempt())
        except TooLargeError as error:
            await self._undo(error)
            if self.wake_at_ms is None or self.wake_at_ms >= now_ms:
                raise
            await self.pass_time((self.wake_at_ms + now_ms) // 2, idle)
            await self.pass_time(now_ms, idle)
        await self._drain()

    async def _run(self, run: Run, attempt: Attempt) -> None:
        """Decide on what the state does not contain yet of a run, and write what comes of it."""
        hosted = self.hosted
        await self._installation.tables.catch_up(hosted.step)
        await self._drain()
        run = hosted.unseen(run)
        if not len(run):
            return
        effects, letters = self._decide(run, attempt)
        hosted.apply(hosted.source(run.topic, run.partition), run.offsets[-1])
        try:
            await self._finish(effects, letters, attempt)
        except TooLargeError as error:
            await self._undo(error)
            await self._run_again(run, attempt, error)
        await self._drain()

    def _decide(self, run: Run, attempt: Attempt) -> tuple[Effects, list[DeadLetter]]:
        """The effects of a run, and its dead letters."""
        if attempt.too_large is not None:
            return Effects(), [letter_of(run, 0, attempt.too_large.reason, str(attempt.too_large))]
        batch, letters = self._decoded(run)
        effects = self.hosted.processor.on_batch(self.hosted.in_order(batch))
        return effects, letters + refused_records(run, batch, effects.rejects)

    def _decoded(self, run: Run) -> tuple[Batch, list[DeadLetter]]:
        batch, letters = decode_run(run, self._installation.settings, self._installation.wire, self.hosted.step)
        if self._installation.settings.clock == "wall":
            batch = replace(batch, now_ms=int(time.time() * 1000))
        return batch, letters

    async def _run_again(self, run: Run, attempt: Attempt, error: TooLargeError) -> None:
        """Work on a run that was too much: in halves, or, where it is one record, in another way."""
        if len(run) > 1:
            for part in (run.part(0, len(run) // 2), run.part(len(run) // 2, len(run))):
                await self._run(part, attempt)
            return
        following = attempt.after(error)
        if following.caught_up and not attempt.caught_up:
            # one record is not too much, but what was due before it may be
            batch, _ = self._decoded(run)
            await self.pass_time(batch.arrival_max_ms - 1, frozenset({run.topic}))
        await self._run(run, following)

    async def _undo(self, error: TooLargeError) -> None:
        """Forget what was too much. After a refusal begin as when a task is opened: others may have had it meanwhile."""
        hosted, bootstrap = self.hosted, self._installation.bootstrap
        hosted.undo()
        if error.refused:
            transactional_id = f"{self._installation.group(hosted.step)}.{hosted.partition}"
            await self._sender.replace(new_producer(bootstrap, transactional_id))
            await restore(hosted, self._changelog, bootstrap, lambda: True)

    async def _drain(self) -> None:
        """Do what has fallen due and was too much for one transaction; where a worker died before it had done all, the next one goes on."""
        for effects in drain(self.hosted.processor):
            await self._finish(effects, [], Attempt())

    async def _finish(self, effects: Effects, letters: list[DeadLetter], attempt: Attempt) -> None:
        """Write outputs, dead letters and state changes in one transaction, and then keep the changes on this disk."""
        hosted, prefix = self.hosted, self._installation.settings.prefix
        changes = hosted.store.changes()
        if not changes:
            return
        rows = [to_record(letter, prefix, hosted.step.name) for letter in letters]
        if attempt.letters == "stubs":
            rows = [stub(*row) for row in rows]
        elif attempt.letters == "none":
            for *_, headers in rows:
                log_lost(hosted.step.name, headers)
            rows = []
        batch = self._sender.whole(changes)
        end = await self._sender.send_run(effects.outputs, rows, self._changelog, hosted.partition, batch)
        hosted.commit(end)
