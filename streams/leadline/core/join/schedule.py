"""Time in the join: which predictions expire, and which requests are forgotten."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from leadline.core.columnar.columns import Bools, Ints, pick
from leadline.core.columnar.progress import NEVER, Progress
from leadline.core.columnar.timeline import Timeline
from leadline.core.join import by_columns
from leadline.core.join.changes import Changes
from leadline.core.join.cohorts import Cohorts
from leadline.core.join.one_by_one import Moment, recount
from leadline.core.join.request_state import RequestState
from leadline.core.join.requests import Requests
from leadline.core.join.state_columns import States
from leadline.core.models import Models
from leadline.core.processor import Store
from leadline.core.store_keys import JoinKeys
from leadline.settings import ModelSettings

_FAR = 2**61
"""Times from here on are those of a model whose predictions are never forgotten."""
_MOST = 8192
"""Requests that expire, and that are forgotten, in one step, however many are due at one instant."""
_UNKNOWN_MS = 7 * 86_400_000
"""After so long it is looked at again whether outcomes still have to wait, where the settings of no model can be read."""
_BLOCKS = 32
"""Blocks of a timeline in a horizon: what falls due within one is read at once."""


class Schedule:
    """Requests of one partition by the time when something is due."""

    def __init__(self, store: Store, models: Models, cohorts: Cohorts) -> None:
        self._store = store
        self._models = models
        self._cohorts = cohorts
        self._deadlines = Timeline(store, JoinKeys.DEADLINE)
        self._assumes = Timeline(store, JoinKeys.ASSUME)
        self._forgets = Timeline(store, JoinKeys.FORGET)

    def first(self) -> int | None:
        """When the next prediction expires or counts as a no, or request is forgotten."""
        times = [time for line in self._lines() if (time := line.first()) is not None]
        return min(times, default=None)

    def is_due(self, stage_ms: int) -> bool:
        """Whether something is due by then, and not done."""
        return any(line.is_due(stage_ms) for line in self._lines())

    def _lines(self) -> tuple[Timeline, ...]:
        return self._deadlines, self._assumes, self._forgets

    # -- what a run brings --------------------------------------------------------------------------------------------

    def file(self, changes: Changes, progress: Progress) -> None:
        """File new predictions under their deadline, and new requests under the time to forget them."""
        if changes.scheduled:
            self._file_predictions(changes, progress)
        for assuming, new in changes.assuming:
            width = int(self._cohorts.horizon(new.cohort).min(initial=_FAR)) // _BLOCKS
            self._assumes.add(self._cohorts.assumed(new.cohort, new.event_time), assuming, width, progress.sequence)
        retention = self._retention_ms() if changes.waiting else None
        if retention is not None:
            keys, arrival_ms = zip(*changes.waiting, strict=True)
            self._forgets.add(np.array(arrival_ms) + retention, keys, retention // _BLOCKS, progress.sequence)

    def _file_predictions(self, changes: Changes, progress: Progress) -> None:
        keys = [key for part, _, _ in changes.scheduled for key in part]
        cohort, event_time = (np.concatenate([part[i] for _, part, _ in changes.scheduled]) for i in (2, 1))
        request = np.concatenate(
            [part.request + (number << 32) for number, (_, part, _) in enumerate(changes.scheduled)]
        )
        first = np.concatenate([first for *_, first in changes.scheduled])
        horizon, sequence = self._cohorts.horizon(cohort), progress.sequence
        width = int(horizon.min()) // _BLOCKS
        deadline, forgotten = event_time + horizon, self._cohorts.forgotten(cohort, event_time)
        waiting = np.flatnonzero(first & (deadline >= changes.stage_ms))
        self._deadlines.add(deadline[waiting], pick(keys, waiting), width, sequence)
        ending = _once(request, forgotten, forgotten < _FAR)
        self._forgets.add(forgotten[ending], pick(keys, ending), width, sequence)

    def _retention_ms(self) -> int | None:
        """How long an outcome waits for its prediction: as long as the longest-lived model takes predictions; None: for ever.

        Of a model whose settings cannot be read nothing is known: then `forget` lets outcomes wait on.
        """
        settings = [settings for _, settings in self._all_settings() if settings is not None]
        if any(each.grace is None for each in settings):
            return None
        lives = [each.window + each.horizon + 2 * (each.grace or 0) for each in settings]
        return max(lives, default=_UNKNOWN_MS if self._models.names() else None)

    def _all_settings(self) -> list[tuple[str, ModelSettings | None]]:
        return [(name, self._models.settings(name)) for name in self._models.names()]

    # -- what is due --------------------------------------------------------------------------------------------------

    def expire(self, changes: Changes, progress: Progress) -> bool:
        """Count predictions whose deadline has passed, as many as are done at once; whether these were all."""
        deadline, keys = self._deadlines.take(progress.stage_ms, progress.sequence, _MOST)
        for rows in _occurrences(keys):
            self._expire(pick(keys, rows), deadline[rows], changes)
        return not self._deadlines.is_due(progress.stage_ms)

    def _expire(self, keys: list[bytes], deadline: Ints, changes: Changes) -> None:
        """Count the predictions of different requests that have the deadline beside each."""
        states = Requests.read(self._store, keys).states
        simple = states.outcomes <= 1
        rows = np.flatnonzero(simple)
        by_columns.expire(states.take(rows), deadline[rows], changes)
        for i in np.flatnonzero(~simple).tolist():
            state, time = RequestState.unpack(states.values[i]), int(deadline[i])
            recount(keys[i], state, state, Moment(time, NEVER), Moment(time + 1, NEVER), changes)

    def assume(self, changes: Changes, progress: Progress) -> bool:
        """Count predictions as a no whose time has come, as many as are done at once; whether these were all.

        All have expired that will by now.
        """
        when, keys = self._assumes.take(progress.stage_ms, progress.sequence, _MOST)
        for rows in _occurrences(keys):
            self._assume(pick(keys, rows), when[rows], changes)
        return not self._assumes.is_due(progress.stage_ms)

    def _assume(self, keys: list[bytes], when: Ints, changes: Changes) -> None:
        """Count the predictions of different requests as a no that have the time beside each."""
        states = Requests.read(self._store, keys).states
        simple = by_columns.are_simple(states, self._cohorts)
        rows = np.flatnonzero(simple)
        by_columns.assume(pick(keys, rows), states.take(rows), when[rows], changes)
        for i in np.flatnonzero(~simple).tolist():
            state, time = RequestState.unpack(states.values[i]), int(when[i])
            recount(keys[i], state, state, Moment(_FAR, time), Moment(_FAR, time + 1), changes)

    def forget(self, progress: Progress) -> None:
        """Delete requests whose time has come, as many as are done at once; those that got a later prediction are filed again."""
        _, due = self._forgets.take(progress.stage_ms, progress.sequence, _MOST)
        if not due:
            return
        requests = Requests.read(self._store, due)
        ends = self._ends(requests.states, progress.stage_ms)
        for i in np.flatnonzero(ends < progress.stage_ms).tolist():
            self._store.delete(requests.store_keys[i])
        later = np.flatnonzero(ends >= progress.stage_ms)
        self._forgets.add(ends[later], pick(requests.keys, later), 1, progress.sequence)

    def _ends(self, states: States, stage_ms: int) -> Ints:
        """When each request is forgotten: when the last window of its predictions is, or when its outcomes have waited long enough."""
        ends = np.full(len(states.values), NEVER)
        predictions = states.prediction_columns()
        forgotten = self._cohorts.forgotten(predictions.cohort, predictions.event_time)
        np.maximum.at(ends, predictions.request, forgotten)
        unpredicted = np.flatnonzero(states.predictions == 0)
        waiting = states.take(unpredicted)
        arrival_ms = waiting.outcome_entries()["arrival_ms"]
        retention = self._retention_ms()
        until = np.full(len(arrival_ms), _FAR) if retention is None else arrival_ms + retention
        if retention is not None and any(settings is None for _, settings in self._all_settings()):
            until = np.maximum(until, stage_ms + retention)
        np.maximum.at(ends, np.repeat(unpredicted, waiting.outcomes), until)
        return ends


def _occurrences(keys: list[bytes]) -> Iterator[Ints]:
    """The rows of the first occurrence of each key, then those of the second ones, and so on.

    >>> [rows.tolist() for rows in _occurrences([b"a", b"b", b"a"])]
    [[0, 1], [2]]
    """
    if len(set(keys)) == len(keys):
        yield from [np.arange(len(keys))] if keys else []
        return
    seen = Counter[bytes]()
    turns: defaultdict[int, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        turns[seen[key]].append(row)
        seen[key] += 1
    yield from (np.array(turns[turn], np.int64) for turn in sorted(turns))


def _once(request: Ints, when_ms: Ints, chosen: Bools) -> Ints:
    """The chosen rows; of neighbours of the same request and time only the first."""
    again = (request[1:] == request[:-1]) & (when_ms[1:] == when_ms[:-1])
    return np.flatnonzero(chosen & ~np.append(False, again)[: len(chosen)])
