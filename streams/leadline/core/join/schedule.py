"""Time in the join: which predictions expire, and which requests are forgotten."""

import numpy as np

from leadline.core.columnar.columns import Bools, Ints, pick
from leadline.core.columnar.progress import NEVER, Progress
from leadline.core.columnar.timeline import Timeline
from leadline.core.join import by_columns
from leadline.core.join.changes import Changes
from leadline.core.join.cohorts import Cohorts
from leadline.core.join.one_by_one import recount
from leadline.core.join.request_state import RequestState
from leadline.core.join.requests import Requests
from leadline.core.join.state_columns import States
from leadline.core.models import Models
from leadline.core.processor import Store
from leadline.core.store_keys import JoinKeys

_FAR = 2**61
"""Times from here on are those of a model whose predictions are never forgotten."""
_BLOCKS = 32
"""Blocks of a timeline in a horizon: what falls due within one is read at once."""


class Schedule:
    """Requests of one partition by the time when something is due."""

    def __init__(self, store: Store, models: Models, cohorts: Cohorts) -> None:
        self._store = store
        self._models = models
        self._cohorts = cohorts
        self._deadlines = Timeline(store, JoinKeys.DEADLINE)
        self._forgets = Timeline(store, JoinKeys.FORGET)

    def first(self) -> int | None:
        """When the next prediction expires, or request is forgotten."""
        times = [time for line in (self._deadlines, self._forgets) if (time := line.first()) is not None]
        return min(times, default=None)

    # -- what a run brings --------------------------------------------------------------------------------------------

    def file(self, changes: Changes, progress: Progress) -> None:
        """File new predictions under their deadline, and new requests under the time to forget them."""
        if changes.scheduled:
            self._file_predictions(changes, progress)
        retention = self._retention_ms() if changes.waiting else None
        if retention is not None:
            keys, arrival_ms = zip(*changes.waiting, strict=True)
            self._forgets.add(np.array(arrival_ms) + retention, keys, retention // _BLOCKS, progress.sequence)

    def _file_predictions(self, changes: Changes, progress: Progress) -> None:
        keys = [key for part, _ in changes.scheduled for key in part]
        cohort, event_time = (np.concatenate([part[i] for _, part in changes.scheduled]) for i in (2, 1))
        request = np.concatenate([part.request + (number << 32) for number, (_, part) in enumerate(changes.scheduled)])
        horizon, sequence = self._cohorts.horizon(cohort), progress.sequence
        width = int(horizon.min()) // _BLOCKS
        deadline, forgotten = event_time + horizon, self._cohorts.forgotten(cohort, event_time)
        waiting = _once(request, deadline, deadline >= changes.stage_ms)
        self._deadlines.add(deadline[waiting], pick(keys, waiting), width, sequence)
        ending = _once(request, forgotten, forgotten < _FAR)
        self._forgets.add(forgotten[ending], pick(keys, ending), width, sequence)

    def _retention_ms(self) -> int | None:
        """How long an outcome waits for its prediction: as long as the longest-lived model takes predictions; None: for ever."""
        settings = [self._models.settings(name) for name in self._models.names()]
        if any(s is None or s.grace is None for s in settings):
            return None
        return max((s.window + s.horizon + 2 * (s.grace or 0) for s in settings if s is not None), default=None)

    # -- what is due --------------------------------------------------------------------------------------------------

    def expire(self, changes: Changes, progress: Progress) -> None:
        """Count the predictions whose deadline has passed since the run began."""
        keys = sorted(set(self._deadlines.take(progress.stage_ms, progress.sequence)))
        if not keys:
            return
        states = Requests.read(self._store, keys).states
        simple = states.outcomes <= 1
        by_columns.expire(states.take(np.flatnonzero(simple)), changes.stage_ms, progress.stage_ms, changes)
        for value in pick(states.values, np.flatnonzero(~simple)):
            state = RequestState.unpack(value)
            recount(state, state, changes.stage_ms, progress.stage_ms, changes)

    def forget(self, progress: Progress) -> None:
        """Delete the requests whose time has come; those that got a later prediction meanwhile are filed again."""
        due = self._forgets.take(progress.stage_ms, progress.sequence)
        if not due:
            return
        requests = Requests.read(self._store, due)
        ends = self._ends(requests.states)
        for i in np.flatnonzero(ends < progress.stage_ms).tolist():
            self._store.delete(requests.store_keys[i])
        later = np.flatnonzero(ends >= progress.stage_ms)
        self._forgets.add(ends[later], pick(requests.keys, later), 1, progress.sequence)

    def _ends(self, states: States) -> Ints:
        """When each request is forgotten: when the last window of its predictions is, or when its outcomes have waited long enough."""
        ends = np.full(len(states.values), NEVER)
        predictions = states.prediction_columns()
        forgotten = self._cohorts.forgotten(predictions.cohort, predictions.event_time)
        np.maximum.at(ends, predictions.request, forgotten)
        unpredicted = np.flatnonzero(states.predictions == 0)
        waiting = states.take(unpredicted)
        arrival_ms = waiting.outcome_entries()["arrival_ms"]
        retention = self._retention_ms() or 0
        np.maximum.at(ends, np.repeat(unpredicted, waiting.outcomes), arrival_ms + retention)
        return ends


def _once(request: Ints, when_ms: Ints, chosen: Bools) -> Ints:
    """The chosen rows; of neighbours of the same request and time only the first."""
    again = (request[1:] == request[:-1]) & (when_ms[1:] == when_ms[:-1])
    return np.flatnonzero(chosen & ~np.append(False, again)[: len(chosen)])
