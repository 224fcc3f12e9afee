"""What every lane does, and which steps it can host. A step that its lane cannot host is refused before any client is made."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol, runtime_checkable

from leadline.core.models import Models
from leadline.hosts.health import Health
from leadline.hosts.tables import Tables
from leadline.kafka.inspector import Inspector
from leadline.settings import Settings, SettingsError
from leadline.topology import Step
from leadline.wire.codec import WIRE, Wire
from leadline.wire.topics import BY_NAME


class Need(StrEnum):
    """What a step may ask of its lane."""

    STATE = "keeps state"
    LOOKUPS = "looks features up"
    TABLES = "needs tables"
    SEVERAL_TOPICS = "reads several topics"
    GATHERING = "gathers all partitions"
    RAW = "reads records as they are in the log"
    ROUTES = "writes to partitions other than those of the keys"


class UnsupportedStepError(SettingsError):
    """A lane cannot host a step; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What the lanes of a worker share."""

    settings: Settings
    bootstrap: str
    models: Models
    wire: Wire = WIRE
    tables: Tables = field(default_factory=Tables)
    health: Health = field(default_factory=Health)
    inspector: Inspector = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inspector", Inspector(self.bootstrap))

    def topic_name(self, topic: str) -> str:
        """The full name of a topic."""
        return self.wire.topic(self.settings.prefix, topic)

    def group(self, step: Step) -> str:
        """The name of a step's consumer group."""
        return f"{self.settings.prefix}.{step.name}"


@runtime_checkable
class Lane(Protocol):
    """Hosts one step on the partitions that its group gives to this worker."""

    supports: ClassVar[frozenset[Need]]
    step: Step

    async def run(self) -> None:
        """Work until stopped; raises what makes going on impossible, with nothing acknowledged that was not done."""

    def stop(self) -> None:
        """Finish the run at hand, commit, and leave the group."""


def needs(step: Step) -> frozenset[Need]:
    """What a step asks of its lane."""
    asked = {
        Need.STATE: step.stateful,
        Need.LOOKUPS: step.lookups,
        Need.TABLES: bool(step.tables),
        Need.SEVERAL_TOPICS: len(step.reads) > 1,
        Need.GATHERING: step.gathers,
        Need.RAW: step.raw,
        Need.ROUTES: any(BY_NAME[topic].route is not None for topic in step.writes if topic in BY_NAME),
    }
    return frozenset(need for need, is_asked in asked.items() if is_asked)


def refuse_unsupported(step: Step, lane: type[Lane]) -> None:
    """Raise UnsupportedStepError where a lane cannot host a step."""
    unsupported = sorted(needs(step) - lane.supports)
    if unsupported:
        raise UnsupportedStepError(f"{lane.__name__} cannot host the step {step.name}, which {_and(unsupported)}")


def _and(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
