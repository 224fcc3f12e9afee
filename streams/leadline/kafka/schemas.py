"""Makes the ids of a schema registry known to this process: those of its own topics when it starts, others when they come.

Everybody who reads records of Kafka lets `learn` see them before they are decoded. An id means one schema for ever, so each is asked for
once. A registry that is away holds up no lane for longer than some seconds: then records of unknown ids are dead letters
(``schema-registry-away``), which `leadline dead-letters replay` sends again, and it is not waited for until it may be back.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain

import structlog

from leadline.kafka.schema_registry import (
    RegistryAwayError,
    RegistryError,
    RegistryRefusesError,
    SchemaRegistry,
    UnknownError,
)
from leadline.settings import Settings, SettingsError, load_settings
from leadline.wire.registered import KNOWN, Known, ids_of, schema_of
from leadline.wire.run import Run
from leadline.wire.topics import BY_NAME, TOPICS

log = structlog.get_logger("leadline.schemas")

WAIT_S = 5.0
"""So long a registry that is away is waited for."""
AGAIN_S = 30.0
"""So long it is then not asked, and an id that could not be read is not asked for again."""
MOST_UNKNOWN = 20
"""Ids that the registry may not know in that time: then no more are asked for. Producers have one or two each, and those are known."""
_TRY_S = 0.5
_MOST_TRIED = 10_000
_LARGEST_ID = 2**31 - 1


class Learner:
    """Asks for the schemas of ids that nobody here knows yet."""

    def __init__(self, known: Known = KNOWN, clock: Callable[[], float] = time.monotonic) -> None:
        self._known = known
        self._clock = clock
        self._asking = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Know nothing of what was asked."""
        self._again_at: dict[int, float] = {}
        self._back_at = 0.0
        self._unknown_at: deque[float] = deque(maxlen=MOST_UNKNOWN)

    def lacks(self, values: Iterable[bytes | None]) -> list[int]:
        """The ids of some values that may be asked for now."""
        ids = ids_of(values)
        return [each for each in sorted(ids) if self._may_ask(each)] if ids else []

    def _may_ask(self, schema_id: int) -> bool:
        return schema_id not in self._known and self._clock() >= self._again_at.get(schema_id, 0.0)

    def ask(self, ids: Iterable[int]) -> None:
        """Ask the registry of the environment for ids."""
        with self._asking:
            asked = [each for each in ids if self._may_ask(each)]
            url = load_settings().schema_registry
            if url is None:
                self._refuse(asked, "no-schema-registry", "set LEADLINE_SCHEMA_REGISTRY to the registry that knows it")
                return
            registry = SchemaRegistry(url)
            for schema_id in asked:
                if schema_id > _LARGEST_ID:
                    self._refuse([schema_id], "schema-unknown", f"no registry gives an id above {_LARGEST_ID}")
                elif self._are_by_chance():
                    self._refuse([schema_id], "schema-unknown", "it is not asked for: too many before it were unknown")
                else:
                    self._ask(registry, schema_id)

    def _are_by_chance(self) -> bool:
        """Whether so many ids were unknown lately that somebody may send any: each question takes milliseconds of everybody's time."""
        return len(self._unknown_at) == MOST_UNKNOWN and self._clock() < self._unknown_at[0] + AGAIN_S

    def _ask(self, registry: SchemaRegistry, schema_id: int) -> None:
        try:
            self._known.learn(schema_id, self._schema(registry, schema_id))
            self._again_at[schema_id] = self._clock() + AGAIN_S  # where the schema cannot be read by
        except RegistryAwayError as error:
            self._refuse([schema_id], "schema-registry-away", f"{error}: replay these when it is back")
            self._again_at[schema_id] = self._back_at
        except UnknownError as error:
            self._unknown_at.append(self._clock())
            self._refuse([schema_id], "schema-unknown", str(error))
        except RegistryRefusesError as error:
            self._refuse([schema_id], "schema-registry-refuses", str(error))
        except RegistryError as error:
            self._refuse([schema_id], "schema-not-usable", str(error))

    def _schema(self, registry: SchemaRegistry, schema_id: int) -> str:
        """The schema, once the registry answers; it is waited for a little."""
        if self._clock() < self._back_at:
            raise RegistryAwayError(f"{registry.shown} does not answer")
        until = self._clock() + WAIT_S
        while True:
            try:
                return registry.schema(schema_id)
            except RegistryAwayError as error:
                if self._clock() >= until:
                    self._back_at = self._clock() + AGAIN_S
                    log.warning("the schema registry is away", error=str(error), asked_again_after_s=AGAIN_S)
                    raise
                time.sleep(_TRY_S)

    def _refuse(self, ids: Iterable[int], reason: str, detail: str) -> None:
        if len(self._again_at) > _MOST_TRIED:
            self._again_at.clear()
        for each in ids:
            self._known.refuse(each, reason, detail)
            self._again_at[each] = self._clock() + AGAIN_S


_LEARNER = Learner()


def forget() -> None:
    """Know nothing, as at the start: for a process that is to use another registry, in which an id means something else."""
    KNOWN.forget()
    _LEARNER.forget()


def learn(values: Iterable[bytes | None]) -> None:
    """Make the ids of some values known, or why they are not; for a thread that may wait."""
    lacking = _LEARNER.lacks(values)
    if lacking:
        _LEARNER.ask(lacking)


async def learnt(runs: list[Run]) -> list[Run]:
    """The same runs, once the ids of their records are known. State is no record, whatever it begins with."""
    held = (run.values for run in runs if run.topic.rpartition(".")[2] in BY_NAME)
    await learn_while_others_work(chain.from_iterable(held))
    return runs


async def learn_while_others_work(values: Iterable[bytes | None]) -> None:
    """As `learn`, for a coroutine."""
    lacking = _LEARNER.lacks(values)
    if lacking:
        await asyncio.to_thread(_LEARNER.ask, lacking)


# -- at the start -------------------------------------------------------------------------------------------------------


async def known_ids(settings: Settings) -> dict[str, int]:
    """Learn what the registry, where one is named, has of the topics that people read; waits until it answers.

    Where they are written in Confluent's form their schemas are registered: the id of each topic. Raises SettingsError where the registry
    refuses one. Where they are written in another form it is said in the log: their ids are asked for when they come.
    """
    url, waited = settings.schema_registry, False
    while url is not None:
        try:
            return await asyncio.to_thread(_at_start, SchemaRegistry(url), settings)
        except RegistryAwayError as error:
            if not waited:
                log.warning("waits for the schema registry", error=str(error), look_at="LEADLINE_SCHEMA_REGISTRY")
            waited = True
            await asyncio.sleep(_TRY_S)
    return {}


def registered_ids(settings: Settings) -> dict[str, int]:
    """The same for a command, which does not wait. Raises SettingsError where the registry does not answer."""
    if settings.format != "confluent" or settings.schema_registry is None:
        return {}
    try:
        return _at_start(SchemaRegistry(settings.schema_registry), settings)
    except RegistryAwayError as error:
        raise SettingsError(f"{error}: check LEADLINE_SCHEMA_REGISTRY") from None


def subject_of(prefix: str, topic: str) -> str:
    """The subject of the values of a topic.

    >>> subject_of("leadline", "alerts")
    'leadline.alerts-value'
    """
    return f"{prefix}.{topic}-value"


def _at_start(registry: SchemaRegistry, settings: Settings) -> dict[str, int]:
    ids = {}
    for topic in (each.name for each in TOPICS if each.has_form):
        subject = subject_of(settings.prefix, topic)
        try:
            if settings.format == "confluent":
                ids[topic] = registry.register(subject, schema_of(topic))
            for schema_id, text in registry.versions(subject).items():
                KNOWN.learn(schema_id, text)
        except RegistryAwayError:
            raise
        except RegistryError as error:
            if settings.format == "confluent":
                raise SettingsError(f"subject {subject}: {error}") from None
            log.warning("the ids of a topic are not known before they come", subject=subject, error=str(error))
    return ids
