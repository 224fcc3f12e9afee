"""The late-label join: predictions meet their outcomes, in whatever order and however late they come.

Most requests are simple: each version predicts once, and there is one outcome. Their records are handled a whole run at once
(`leadline.core.join.by_columns`); requests with repeats, corrections or retractions are looked at as they were and as they now are
(`leadline.core.join.one_by_one`). Both go by the rules in `leadline.core.join.label_rules`. Each new prediction counts in the live
profile of its window too.

What versions say in shadow is part of the same requests, and makes pairs with what others say of them: that is all that it counts in
(docs/decisions/0033). Stage time is of predictions and outcomes alone, so a shadow that lags or stops holds up nothing of what a version
is measured by; the windows of pairs wait for what is left to read of shadows (`leadline.core.columnar.progress.Progress`), and each shadow
is in the counts at maturity by the time of its own log.
"""

import numpy as np

from leadline.core.columnar.columns import Ints, pick
from leadline.core.columnar.progress import Progress
from leadline.core.join import by_columns, no_class, one_by_one
from leadline.core.join.changes import Changes
from leadline.core.join.cohorts import Cohorts
from leadline.core.join.reading import outcomes_of, predictions_of
from leadline.core.join.requests import Requests
from leadline.core.join.schedule import Schedule
from leadline.core.models import HeldModels, Models
from leadline.core.processor import Batch, Effects, Store
from leadline.core.store_keys import JoinKeys
from leadline.core.windows.keys import VersionWindow, WindowKey
from leadline.core.windows.live_profiles import LiveProfiles
from leadline.core.windows.pair_partials import PairKey, PairPartials
from leadline.core.windows.partials import Partials

_SOURCES = ("predictions", "shadow-predictions", "outcomes")


class Join:
    """The join of one partition. Its state is in the store alone."""

    def __init__(self, partition: int, store: Store, models: Models) -> None:
        self._partition = partition
        self._store = store
        models = HeldModels(models, store, JoinKeys.SETTINGS)
        self._cohorts = Cohorts(store, models)
        self._schedule = Schedule(store, models, self._cohorts)
        self._partials = Partials(partition, store, models)
        self._pairs = PairPartials(partition, store, models)
        self._profiles = LiveProfiles(partition, store, models)
        value = store.get(JoinKeys.PROGRESS)
        self._progress = Progress.unpack(value) if value else Progress()

    @property
    def wake_at_ms(self) -> int | None:
        """When the next prediction expires, window changes state or ends, or request is forgotten."""
        times = [timed.first() for timed in (self._schedule, self._partials, self._pairs, self._profiles)]
        return min((time for time in times if time is not None), default=None)

    @property
    def has_due(self) -> bool:
        """Whether something has fallen due that was too much for one step."""
        progress = self._progress
        stage_due = self._schedule.is_due(progress.stage_ms) or self._partials.is_due(progress.stage_ms)
        return stage_due or self._pairs.is_due(progress.pairs_ms) or self._profiles.is_due(progress.predictions_ms)

    def on_batch(self, batch: Batch) -> Effects:
        """Take in a run of predictions, of shadows or of outcomes, when nothing `has_due` any more."""
        assert not self.has_due
        changes, reprofiled = self._begin(), list[VersionWindow]()
        if len(batch) and batch.topic == "outcomes":
            self._outcomes(batch, changes)
        elif len(batch):
            reprofiled = self._predictions(batch, changes)
        return self._end(changes, {batch.topic: batch.arrival_max_ms}, reprofiled)

    def on_time(self, now_ms: int, idle: frozenset[str]) -> Effects:
        """Let time pass for the sources that have nothing left to read."""
        return self._end(self._begin(), dict.fromkeys(idle & set(_SOURCES), now_ms), [])

    def _begin(self) -> Changes:
        self._progress.sequence += 1
        return Changes(self._cohorts, self._progress.stage_ms)

    def _end(self, changes: Changes, arrivals: dict[str, int], reprofiled: list[VersionWindow]) -> Effects:
        progress = self._progress
        self._schedule.file(changes, progress)
        for source, arrival_ms in arrivals.items():
            progress.arrive(source, arrival_ms)
        turned, turned_pairs = set[WindowKey](), set[PairKey]()
        # a window is mature when all of it has expired that will, and counts as a no where no outcome means no
        drained = self._schedule.expire(changes, progress) and self._schedule.assume(changes, progress)
        if drained:
            self._schedule.forget(progress)
            turned, turned_pairs = self._partials.turn(progress), self._pairs.turn(progress)
        self._store.put(JoinKeys.PROGRESS, progress.pack())
        deltas = changes.deltas
        partials = self._partials.outputs(deltas.windows(self._cohorts), deltas.classes, turned, progress, drained)
        pairs = self._pairs.outputs(changes.pairs.windows(self._cohorts), turned_pairs, progress, drained)
        profiles = self._profiles.outputs(reprofiled, progress)
        return Effects([*changes.labeled.outputs(self._partition), *partials, *pairs, *profiles], changes.rejects)

    def _predictions(self, batch: Batch, changes: Changes) -> list[VersionWindow]:
        """Take in predictions, or shadows; the windows that had ended and whose live profile has changed."""
        log_ms = self._progress.log_times(batch.topic, batch.arrival_ms)
        rows, predictions = predictions_of(batch, log_ms, changes)
        requests = Requests.read(self._store, pick(batch.keys, rows))
        predictions = predictions._replace(request=requests.request)
        bodies, store = _bodies(batch, rows), self._store
        simple = by_columns.simple_for_predictions(requests, predictions, bodies, self._cohorts)
        by_columns.add_predictions(requests, simple, predictions, bodies, store, changes)
        part, others = requests.part(~simple)
        rest = predictions.take(others, part.request)
        new = one_by_one.add_predictions(part, rows[others], rest, pick(bodies, others), store, changes)
        if predictions.shadow.any():
            return []
        counted = np.concatenate([np.flatnonzero(simple[requests.request]), others[new]])
        versions, version = self._cohorts.versions(predictions.cohort[counted])
        return self._profiles.count(batch.columns, rows[counted], versions, version, self._progress)

    def _outcomes(self, batch: Batch, changes: Changes) -> None:
        rows, outcomes = outcomes_of(batch, self._progress.log_times("outcomes", batch.arrival_ms), changes)
        requests = Requests.read(self._store, pick(batch.keys, rows))
        assert batch.columns is not None
        no_class.refuse(requests, batch.columns, rows, outcomes, changes)
        simple = by_columns.simple_for_outcomes(requests, self._cohorts)
        by_columns.add_outcomes(requests, simple, outcomes, self._store, changes)
        part, others = requests.part(~simple)
        one_by_one.add_outcomes(part, rows[others], outcomes[others], self._store, changes)


def _bodies(batch: Batch, rows: Ints) -> list[bytes]:
    """What is kept of predictions to be emitted with their label: of shadows nothing."""
    return [b""] * len(rows) if batch.topic == "shadow-predictions" else pick(batch.bodies, rows)
