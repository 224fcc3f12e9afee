"""Time in the rollout stage: how far each topic has come, and which approvals and steps of rollouts are over."""

import json
from collections.abc import Iterable

import numpy as np

from leadline.core.columnar.progress import NEVER
from leadline.core.columnar.timeline import Timeline
from leadline.core.processor import Store
from leadline.core.store_keys import RolloutKeys
from leadline.records import identity

_LATEST_MS = 2**62
_MOST = 1000
"""What is looked at in one step, however much is due at one instant."""


class Passing:
    """The stage time: the slowest topic's arrival time, or the clock's where nothing is left to read; and what falls due by it."""

    def __init__(self, store: Store, topics: Iterable[str]) -> None:
        self._store = store
        held = store.get(RolloutKeys.PROGRESS)
        self._reached: dict[str, int] = dict.fromkeys(topics, NEVER) | (json.loads(held) if held else {})
        self._deadlines = Timeline(store, RolloutKeys.DEADLINE)

    @property
    def stage_ms(self) -> int:
        """The time that every topic has come to."""
        return min(self._reached.values())

    @property
    def is_due(self) -> bool:
        """Whether something is over, and nobody has said so."""
        return self._deadlines.is_due(self.stage_ms)

    def first(self) -> int | None:
        """When the next thing is over."""
        return self._deadlines.first()

    def arrive(self, topics: Iterable[str], time_ms: int) -> None:
        """These topics have come to a time; `keep` makes it last."""
        for topic in self._reached.keys() & set(topics):
            self._reached[topic] = max(self._reached[topic], time_ms)

    def keep(self) -> None:
        """Keep how far the topics have come."""
        self._store.put(RolloutKeys.PROGRESS, json.dumps(self._reached, sort_keys=True).encode())

    def until(self, arrival_ms: int, for_ms: int) -> int:
        """When something that begins now and lasts so long is over."""
        return max(-_LATEST_MS, min(arrival_ms + for_ms, _LATEST_MS))

    def file(self, model: str, version: str, until_ms: int) -> None:
        """Have a version looked at when its approval is over, or (no version) the rollout of a model."""
        self._deadlines.add(np.array([until_ms], np.int64), [identity(model, version)], 0, 0)

    def over(self) -> list[tuple[str, str]]:
        """Models and versions (none: the rollout) to be looked at now, the first ones; what is left `is_due`."""
        _, keys = self._deadlines.take(self.stage_ms, 0, _MOST)
        return [tuple(json.loads(key)) for key in keys]
