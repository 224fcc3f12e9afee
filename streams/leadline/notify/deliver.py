"""From the alert topic to one target: at least once, in order, again after every failure, and never in the way of another target.

Each target is a consumer group of its own, so one that is away holds up nobody else. An offset is committed when what lies before it was
delivered. What was delivered to a target is not delivered again in the life of the process.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import structlog

from leadline.hosts.health import Health
from leadline.hosts.patience import Patience
from leadline.kafka.group import GroupConsumer, Source
from leadline.notify.target import Sink, UndeliveredError, wants
from leadline.records import Alert
from leadline.settings.notify import Target
from leadline.wire.codec import read
from leadline.wire.run import Run

TOPIC = "alerts"
_log = structlog.get_logger("leadline.notify")
_WAIT_MS = 500
_MOST = 100
_REMEMBERED = 10_000


class Delivered:
    """The newest revision of each incident that a target took; of very many the newest ones."""

    def __init__(self) -> None:
        self._revisions: OrderedDict[str, int] = OrderedDict()

    def has(self, alert: Alert) -> bool:
        """Whether this state of the incident, or a later one, was taken."""
        return self._revisions.get(alert.alert_id, 0) >= alert.revision

    def add(self, alert: Alert) -> None:
        self._revisions[alert.alert_id] = alert.revision
        self._revisions.move_to_end(alert.alert_id)
        if len(self._revisions) > _REMEMBERED:
            self._revisions.popitem(last=False)


class Delivery:
    """One target and what it has taken. ``sleep`` waits between attempts."""

    def __init__(
        self, target: Target, sink: Sink, health: Health, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._target = target
        self._sink = sink
        self._sleep = sleep
        self._delivered = Delivered()
        self._patience = Patience("notify", health)

    async def hand_over(self, alert: Alert) -> None:
        """Deliver a state of an incident, however long it takes; nothing where the target does not want it, or has it."""
        if not wants(self._target, alert) or self._delivered.has(alert):
            return
        await self._until_taken(lambda: self._sink.deliver(alert))
        self._delivered.add(alert)

    async def tend(self) -> None:
        """Repeat to the target what has to be repeated."""
        await self._until_taken(self._sink.tend)

    async def _until_taken(self, attempt: Callable[[], Awaitable[None]]) -> None:
        name = self._target.name
        while True:
            try:
                await attempt()
            except UndeliveredError as error:
                if error.refused:
                    _log.error("an incident was refused and is left out", target=name, error=str(error))
                    return
                await self._sleep(self._patience.failed(name, str(error), lasting=True))
            else:
                self._patience.over(name)
                return


def alerts(run: Run) -> list[tuple[int, Alert | None]]:
    """The records of a run with the offset behind each; None for one that cannot be read, which is told."""
    return [(offset + 1, _alert(run, value)) for offset, value in zip(run.offsets, run.values, strict=True)]


def _alert(run: Run, value: object) -> Alert | None:
    try:
        found = read(TOPIC, value) if isinstance(value, bytes) else None
    except ValueError as error:
        _log.error("a record of the alert topic cannot be read", partition=run.partition, error=str(error))
        return None
    return found if isinstance(found, Alert) else None


async def follow(
    bootstrap: str, prefix: str, target: Target, sink: Sink, health: Health, session_ms: int, replays: bool
) -> None:
    """Deliver all incidents to one target until cancelled. ``replays``: the sink wants the topic from its beginning at each start."""
    delivery = Delivery(target, sink, health)
    position = _Position(replays)
    consumer = GroupConsumer(
        bootstrap,
        f"{prefix}.notify.{target.name}",
        {TOPIC: f"{prefix}.{TOPIC}"},
        session_ms,
        position.assigned,
        position.revoked,
        one_member=True,
    )
    await consumer.start()
    try:
        while True:
            position.begin(consumer)
            for run in (await consumer.fetch([], _WAIT_MS, _MOST)).runs:
                for offset, alert in alerts(run):
                    if alert is not None:
                        await delivery.hand_over(alert)
                    await consumer.commit({Source(TOPIC, run.partition): (offset, "")})
            if await position.caught_up(consumer):
                await delivery.tend()
    finally:
        await consumer.stop()
        await sink.close()


class _Position:
    """The partitions that the group gave to this process, and which of them have not begun."""

    def __init__(self, replays: bool) -> None:
        self._replays = replays
        self._new: frozenset[Source] = frozenset()
        self._held: frozenset[Source] = frozenset()

    def assigned(self, sources: frozenset[Source]) -> None:
        self._new = self._held = sources

    async def revoked(self) -> None:
        self._new = self._held = frozenset()

    async def caught_up(self, consumer: GroupConsumer) -> bool:
        """Whether this process has partitions, and has taken all that is in them."""
        if self._new or not all(map(consumer.is_known, self._held)):
            return False
        return bool(self._held) and not any([await consumer.left(source) for source in self._held])

    def begin(self, consumer: GroupConsumer) -> None:
        """Start to read what was given: from the beginning where the sink wants all of it, else where the group is."""
        for source in self._new if self._replays else ():
            consumer.seek(source, 0)
        consumer.resume(self._new)
        self._new = frozenset()
