"""Routing: who answers the requests of a model, as the table of rollouts says."""

from typing import NamedTuple

from leadline.core.models import LoadedVersion, Models
from leadline.core.tables import Table
from leadline.records import Rollout

CHAMPION = "champion"


class Route(NamedTuple):
    """A version that scores requests, and as what."""

    version: str
    role: str


def route(rollout: Rollout) -> list[Route]:
    """Who scores requests under a rollout: so far the champion alone.

    >>> route(Rollout("fraud", "v2", 0, "ada", "better"))
    [Route(version='v2', role='champion')]
    """
    return [Route(rollout.champion, CHAMPION)]


class Deployments:
    """What the table of rollouts says of each model. A version that it names may still be one that nobody can load."""

    def __init__(self, rollouts: Table) -> None:
        self._rollouts = rollouts

    def newest(self, model: str) -> Rollout | None:
        """The rollout that holds: the same object until another one comes."""
        newest = self._rollouts.newest(model.encode())
        return newest if isinstance(newest, Rollout) else None

    def newest_first(self, model: str, before_ms: int | None = None) -> list[Rollout]:
        """The rollouts of a model that arrived before a time (None: all)."""
        held = self._rollouts.newest_first(model.encode(), before_ms)
        return [rollout for rollout in held if isinstance(rollout, Rollout)]

    def champion(self, model: str, before_ms: int | None = None) -> str | None:
        """The version that answered just before a time (None: that answers now); None before the first rollout."""
        rollouts = self.newest_first(model, before_ms)
        return rollouts[0].champion if rollouts else None


def loaded_routes(models: Models, deployments: Deployments, model: str) -> list[tuple[LoadedVersion, str]]:
    """Who answers here, with their roles: a rollout of what cannot be loaded here leaves the one before it in force."""
    for rollout in deployments.newest_first(model):
        versions = [(models.loaded(model, version, rollout.event_time), role) for version, role in route(rollout)]
        found = [(version, role) for version, role in versions if version is not None]
        if len(found) == len(versions):
            return found
    return []
