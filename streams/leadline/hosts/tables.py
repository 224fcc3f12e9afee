"""Tables of a worker: each compacted topic that its steps name is read once, to its end before any lane starts, and then followed."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import structlog

from leadline.core.tables import Table
from leadline.hosts.health import Health
from leadline.hosts.patience import Patience
from leadline.kafka.errors import HOPELESS, KafkaError, RefusedError, is_lasting, said
from leadline.kafka.inspector import Inspector
from leadline.kafka.metadata import NoTopicError
from leadline.kafka.reader import Reader, is_behind
from leadline.records import LEAD_MS
from leadline.settings import Settings
from leadline.wire.codec import Wire
from leadline.wire.origins import Origin
from leadline.wire.run import Run
from leadline.wire.topics import ROLLOUTS, WORKERS, Stage

log = structlog.get_logger("leadline.tables")

_WAIT_MS = 200
_LOOK_EVERY_S = 10.0
_WATCH_S = 0.5


class HostedTable:
    """A table and the reader of its topic.

    `follow` alone takes records. Who wants to know all that is there now (`catch_up`) asks for the end, and waits until `follow` is there:
    ``applied``, by partition, is the offset behind what the table contains, which may be the end of a transaction. A topic that was made
    anew under its name is read from its beginning, into a table that takes the place of what was there; until then that stays.
    """

    def __init__(
        self, topic: str, settings: Settings, bootstrap: str, wire: Wire, health: Health | None = None
    ) -> None:
        self.topic = topic
        self.table = Table()
        self._settings = settings
        self._bootstrap = bootstrap
        self._wire = wire
        self._health = health or Health()
        self._patience = Patience("tables", self._health)
        self._reader: Reader | None = None
        self._applied: dict[int, int] = {}
        self._inspector = Inspector(bootstrap)
        self._origin: Origin | None = None
        self._whole = False
        self._looked_at = 0.0
        self._moved = asyncio.Condition()
        self._heard_ms = 0
        self._is_late = False

    async def read_to_end(self) -> None:
        """Read all that is there now, however long a batch is refused; then it takes the place of what the table held.

        Raises other errors of Kafka.
        """
        await self.stop()
        self._whole, self._applied, table = False, {}, Table()
        reader = await self._open()
        ends = await reader.ends()
        self._applied = await reader.positions()
        while not is_behind(self._applied, ends):
            try:
                await self._take(self._reader or await self._open(), table)
            except RefusedError as error:
                await self._wait(error)
        self.table.become(table)
        self._whole = True
        self._heard_ms = _now_ms()
        await self._tell()
        self._patience.over(self.topic)

    async def follow(self) -> None:
        """Go on reading until cancelled. A reader that fails is opened again where it was."""
        while True:
            try:
                if self._reader is None or time.monotonic() - self._looked_at > _LOOK_EVERY_S:
                    await self._look()  # a reader of a topic that is gone would ask for it all the time
                if not self._whole:
                    await self.read_to_end()
                await self._take(self._reader or await self._open(), self.table)
                self._patience.calm(self.topic)
            except HOPELESS:
                raise
            except (KafkaError, NoTopicError) as error:
                await self._wait(error)

    async def watch(self) -> None:
        """Say so, until cancelled, where the table may lack what is in force: nobody has heard of its topic for as long as a lead is."""
        while True:
            silent_ms = _now_ms() - self._heard_ms
            if (silent_ms > LEAD_MS) != self._is_late:
                self._is_late = not self._is_late
                self._tell_late(silent_ms)
            await asyncio.sleep(_WATCH_S)

    def _tell_late(self, silent_ms: int) -> None:
        what = f"{self.topic} up to date"
        if not self._is_late:
            log.info("the table is up to date again", topic=self.topic)
            self._health.freed("tables", what)
            return
        log.warning("nothing was heard of a table for longer than its lead", topic=self.topic, silent_ms=silent_ms)
        message = (
            f"nothing was heard of {self.topic} for longer than {LEAD_MS // 1000} s: who answers may be another version elsewhere; "
            "look whether this worker reaches the broker of that topic, and has the time to"
        )
        self._health.stuck("tables", what, message)

    async def _wait(self, error: KafkaError | NoTopicError) -> None:
        await self.stop()
        await asyncio.sleep(self._patience.failed(self.topic, said(error), is_lasting(error)))

    async def catch_up(self) -> None:
        """Wait until `follow` has read all that is there now. Raises KafkaError where nobody knows how much that is."""
        if self._reader is None:
            raise KafkaError(f"the table {self.topic} cannot be read for now")
        ends = await self._reader.ends()
        async with self._moved:
            await self._moved.wait_for(lambda: self._whole and is_behind(self._applied, ends))

    async def stop(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.stop()

    async def _look(self) -> None:
        """Look which topic has the name now. Where it is another one than before, what the table holds is not whole any more."""
        name = self._wire.topic(self._settings.prefix, self.topic)
        seen = (await self._inspector.look([name])).get(name)
        self._looked_at = time.monotonic()
        if seen is None:
            raise KafkaError(f"there is no topic {name}")
        if seen.origin.is_other(self._origin):
            log.warning("the topic of a table was made anew: it is read from its beginning", topic=self.topic)
            self._whole = False
        self._origin = seen.origin

    async def _open(self) -> Reader:
        if self._origin is None:
            await self._look()
        reader = Reader(self._bootstrap, self._wire.topic(self._settings.prefix, self.topic), self.topic)
        await reader.start()
        await reader.from_beginning()
        for partition, offset in self._applied.items():
            reader.from_offset(partition, offset)
        self._reader = reader
        return reader

    async def _take(self, reader: Reader, table: Table) -> None:
        """Apply what has come; records that cannot be read are left out."""
        for run in await reader.take(_WAIT_MS):
            self._apply(run.without_headers() if self._settings.clock == "wall" else run, table)
            self._health.news()
            self._applied[run.partition] = run.offsets[-1] + 1
        self._applied = await reader.positions()
        self._heard_ms = await reader.heard_ms() or self._heard_ms
        await self._tell()

    def _apply(self, run: Run, table: Table) -> None:
        batch, left_out = self._wire.decode(run, self._settings.record_bytes, None)
        table.apply(batch, [(letter.key or b"", letter.offset) for letter in left_out])
        for letter in left_out:
            if letter.value is None and self.topic == WORKERS:  # a worker that is long gone
                table.forget(letter.key or b"")
                continue
            wrong = run.unreadable.get(letter.offset, letter.detail)
            log.warning(
                "left out of a table", topic=self.topic, offset=letter.offset, reason=letter.reason, detail=wrong
            )

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()


class Tables:
    """The tables that the steps of a worker name."""

    def __init__(self, hosted: Sequence[HostedTable] = ()) -> None:
        self._hosted = {each.topic: each for each in hosted}

    def of(self, step: Stage) -> dict[str, Table]:
        """The tables of a step's tasks, by topic."""
        return {topic: self._hosted[topic].table for topic in step.tables}

    async def catch_up(self, step: Stage) -> None:
        """Wait until the tables of a step hold all that is in their topics now."""
        for topic in step.tables:
            await self._hosted[topic].catch_up()

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """All tables are read to their end before the context begins, and followed until it ends."""
        try:
            await asyncio.gather(*(each.read_to_end() for each in self._hosted.values()))
            async with asyncio.TaskGroup() as group:
                following = [group.create_task(each.follow()) for each in self._hosted.values()]
                following += [
                    group.create_task(each.watch()) for each in self._hosted.values() if each.topic == ROLLOUTS
                ]
                yield
                for task in following:
                    task.cancel()
        finally:
            await asyncio.gather(*(each.stop() for each in self._hosted.values()))


def tables_of(
    steps: Iterable[Stage], settings: Settings, bootstrap: str, wire: Wire, health: Health | None = None
) -> Tables:
    """The tables that some steps name, and whoever hears of what stops them; connects to nothing yet."""
    topics = sorted({topic for step in steps for topic in step.tables})
    return Tables([HostedTable(topic, settings, bootstrap, wire, health) for topic in topics])


def _now_ms() -> int:
    return int(time.time() * 1000)
