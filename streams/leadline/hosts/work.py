"""A task of a stateful step at work: what a run brings, or the passing of time, is one transaction."""

from leadline.core.processor import Effects, drain
from leadline.hosts.changelog import check_new
from leadline.hosts.contract import Installation
from leadline.hosts.decoding import decode_run, refused_records
from leadline.kafka.sender import Sender, TooLargeError
from leadline.state.task import HostedTask
from leadline.wire.dead_letters import to_record
from leadline.wire.run import DeadLetter, Run


class OpenTask:
    """A task whose state is here, and whose producer has fenced its former owner.

    What does not fit into one transaction is done in several: a run in halves, the passing of time in two steps.
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

    async def work(self, run: Run, committed: int) -> None:
        """Work on what the state does not contain yet of a run. ``committed`` is the offset that the group has for its source.

        Raises ChangelogError where the state should contain some of it.
        """
        unseen, most = self.hosted.unseen(run), self._installation.settings.run_records
        check_new(self.hosted, self._changelog, unseen, committed)
        for start in range(0, len(unseen), most):
            await self._run(unseen.part(start, start + most) if len(unseen) > most else unseen)

    async def pass_time(self, now_ms: int, idle: frozenset[str]) -> None:
        """Let time come to ``now_ms`` for the topics that have nothing left to read."""
        await self._installation.tables.catch_up(self.hosted.step)
        try:
            await self._finish(self.hosted.processor.on_time(now_ms, idle), [])
        except TooLargeError:
            self.hosted.undo()
            if self.wake_at_ms is None or self.wake_at_ms >= now_ms:
                raise
            await self.pass_time((self.wake_at_ms + now_ms) // 2, idle)
            await self.pass_time(now_ms, idle)
        await self._drain()

    async def _run(self, run: Run, caught_up: bool = False) -> None:
        """Decide on a run and write what comes of it. ``caught_up``: nothing is due before its records."""
        installation, hosted = self._installation, self.hosted
        await installation.tables.catch_up(hosted.step)
        await self._drain()
        batch, letters = decode_run(run, installation.settings, installation.wire)
        effects = hosted.processor.on_batch(batch)
        letters += refused_records(run, batch, effects.rejects)
        hosted.apply(hosted.source(run.topic, run.partition), run.offsets[-1])
        try:
            await self._finish(effects, letters)
        except TooLargeError:
            hosted.undo()
            if len(run) > 1:
                for part in (run.part(0, len(run) // 2), run.part(len(run) // 2, len(run))):
                    await self._run(part)
            elif caught_up:
                raise
            else:  # one record is not too much, but what was due before it may be
                await self.pass_time(batch.arrival_max_ms - 1, frozenset({run.topic}))
                await self._run(run, caught_up=True)
        await self._drain()

    async def _drain(self) -> None:
        """Do what has fallen due and was too much for one transaction; where a worker died before it had done all, the next one goes on."""
        for effects in drain(self.hosted.processor):
            await self._finish(effects, [])

    async def _finish(self, effects: Effects, letters: list[DeadLetter]) -> None:
        """Write outputs, dead letters and state changes in one transaction, and then keep the changes on this disk."""
        hosted, prefix = self.hosted, self._installation.settings.prefix
        changes = hosted.store.changes()
        if not changes:
            return
        rows = [to_record(letter, prefix, hosted.step.name) for letter in letters]
        batch = self._sender.whole(changes)
        end = await self._sender.send_run(effects.outputs, rows, self._changelog, hosted.partition, batch)
        hosted.commit(end)
