"""What is seen of a rollout: pairs as they come, and at a look the guardrails and the evidence."""

from collections.abc import Iterator
from typing import NamedTuple

from leadline.core.models import Models
from leadline.core.processor import Store
from leadline.core.release.evidence import Pairs, Terms, look
from leadline.core.release.look import Look
from leadline.core.release.rollouts.estimates import Profiles
from leadline.core.release.rollouts.guardrails import Guarded, judge, remember_scores
from leadline.core.release.rollouts.told import STAGE, Said
from leadline.core.release.rollouts.under_way import OfModel, UnderWay
from leadline.core.store_keys import RolloutKeys
from leadline.core.tables import Table
from leadline.records import Comparison, PairPartial
from leadline.settings import ModelSettings

LOOK_MS = 10_000
"""A rollout is looked at so often, whatever comes of it; at corrections of what was due no more often."""


class Seen(NamedTuple):
    """What one look sees. ``look``: the evidence, None where nothing new was due; ``worse``: that of a version to be rolled back."""

    guarded: Guarded
    look: Look | None = None
    worse: Look | None = None

    def said(self, reason: str = "") -> Said:
        """By the stage: the reason that is given, or else what broke."""
        evidence = self.worse or self.look
        found = reason or self.guarded.broken or (evidence.reason if evidence is not None else "")
        return Said(STAGE, found, checks=[*self.guarded.checks, *(evidence.checks if evidence is not None else [])])


class Looking:
    """Keeps the pairs of the rollouts of a task, and judges them."""

    def __init__(self, store: Store, models: Models, workers: Table) -> None:
        self._models = models
        self._workers = workers
        self._pairs = Pairs(store, RolloutKeys.PAIRS)
        self._fresh: dict[str, int] = {}
        self._due: set[str] = set()
        self._corrected: set[str] = set()

    def forget(self, model: str) -> None:
        """No rollout of this model is under way."""
        self._pairs.forget(model)
        self._fresh.pop(model, None)
        self._due.discard(model)
        self._corrected.discard(model)

    def take(self, rollout: UnderWay, partial: PairPartial, settings: ModelSettings, at_ms: int) -> list[Comparison]:
        """Take in what one partition counted of two versions of the rollout, since it began."""
        if partial.window_start < rollout.began // settings.window * settings.window:
            return []
        found = [
            self._pairs.take(partial, rollout.champion, version, rollout.rollout_id)
            for version in rollout.arms
            if {partial.first, partial.second} == {rollout.champion, version}
        ]
        for comparison in found:
            remember_scores(rollout, comparison)
            self._fresh[partial.model] = max(at_ms, self._fresh.get(partial.model, at_ms))
            if comparison.mature is not None:
                (self._due if comparison.mature == comparison.counts else self._corrected).add(partial.model)
        return found

    def fresh(self) -> Iterator[tuple[str, int]]:
        """Models of which pairs have come since they were looked at, and when."""
        while self._fresh:
            yield self._fresh.popitem()

    def look(self, model: str, of: OfModel, settings: ModelSettings) -> Seen:
        """Guardrails, and where something was due or a cycle is over the evidence."""
        rollout = of.under_way
        assert rollout is not None
        guarded = judge(model, of, self._workers, self._profiles(model, rollout), settings)
        if not self._is_due(model, of, settings):
            return Seen(guarded)
        rollout.looked = of.clock
        self._due.discard(model)
        self._corrected.discard(model)
        looks = {version: self._look(model, of, version, settings) for version in rollout.arms}
        worse = next((each for each in looks.values() if each.verdict == "roll-back"), None)
        return Seen(guarded, looks[rollout.version], worse)

    def _profiles(self, model: str, rollout: UnderWay) -> Profiles:
        """The reference of each version of a rollout, where it is on this machine."""
        known = {name: self._models.version(model, name) for name in (rollout.champion, *rollout.arms)}
        return {name: None if found is None else found.profile for name, found in known.items()}

    def _is_due(self, model: str, of: OfModel, settings: ModelSettings) -> bool:
        """Whether windows have become due, or a cycle is over, or there are corrections and the last look is long enough ago."""
        assert of.under_way is not None
        began, looked = of.under_way.began, of.under_way.looked
        over = [Terms.of(settings, began, now).over for now in (of.clock, looked)]
        if model in self._due or over[0] != over[1]:
            return True
        return model in self._corrected and of.clock >= looked + LOOK_MS

    def margin(self, of: OfModel, settings: ModelSettings) -> float:
        """What a promotion by evidence may lose now."""
        return Terms.of(settings, 0, 0, of.spent).margin("*")

    def _look(self, model: str, of: OfModel, version: str, settings: ModelSettings) -> Look:
        assert of.under_way is not None
        terms = Terms.of(settings, of.under_way.began, of.clock, of.spent)
        return look(self._pairs.of(model, of.under_way.champion, version), terms)


def cycle_of(time_ms: int, settings: ModelSettings) -> int:
    """Which cycle a time is in."""
    return time_ms // (settings.alerts.cycle or settings.window)


def step_ms(rollout: UnderWay, settings: ModelSettings) -> int:
    """How long what is under way lasts at least."""
    if rollout.state == "watched":
        return settings.horizon + (settings.grace or 0) if settings.rollout.watch is None else settings.rollout.watch
    return settings.rollout.shadow if rollout.state == "shadow" else settings.rollout.bake
