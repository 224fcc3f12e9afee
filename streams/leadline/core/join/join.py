"""The late-label join: predictions meet their outcomes, in whatever order and however late they come.

Most records are simple: the first prediction of a request, then one outcome. Those are handled a column at a time; a request with
anything else (repeats, corrections, retractions, early outcomes, several versions) is looked at as it was and as it now is, by the rules in
`leadline.core.join.label_rules`, and what differs is counted. Each prediction that is new is counted in its window's profile too.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Bools, Floats, Ints, cut, floats, ints, pick
from leadline.core.columnar.progress import NEVER, Progress
from leadline.core.columnar.timeline import Timeline
from leadline.core.join.cohorts import Cohort, Cohorts
from leadline.core.join.count_deltas import CountDeltas
from leadline.core.join.label_rules import StoredOutcome
from leadline.core.join.labeled import LabeledPredictions, change
from leadline.core.join.request_state import (
    MAX_OUTCOMES,
    MAX_PREDICTIONS,
    NOTHING,
    ONE_OF_EACH,
    ONE_OUTCOME,
    ONE_PREDICTION,
    OUTCOME,
    SIMPLE,
    RequestState,
    StoredPrediction,
    fronts,
    only_outcomes,
    outcomes_behind,
    pack_first,
    pack_outcomes,
    shapes,
    taken_back,
    with_outcomes,
)
from leadline.core.models import Models
from leadline.core.processor import Batch, Effects, Reject, Store
from leadline.core.windows.keys import VersionWindow
from leadline.core.windows.live_profiles import LiveProfiles
from leadline.core.windows.partials import Partials

FAR = 2**61
_SOURCES = ("predictions", "outcomes")
_LIMIT = 1e9


class PredictionColumns(NamedTuple):
    """Predictions as columns; see `leadline.core.join.request_state.StoredPrediction`."""

    event_time: Ints
    cohort: Ints
    score: Floats
    label: Ints

    @classmethod
    def of(cls, front: NDArray[np.void]) -> "PredictionColumns":
        """The predictions in the fronts of rows."""
        event_time, cohort, label = (front[name].astype(np.int64) for name in ("event_time", "cohort", "label"))
        return cls(event_time, cohort, front["score"].astype(np.float64), label)

    def take(self, rows: Ints) -> "PredictionColumns":
        return PredictionColumns(self.event_time[rows], self.cohort[rows], self.score[rows], self.label[rows])

    def one(self, row: int, body: bytes) -> StoredPrediction:
        return StoredPrediction(
            int(self.event_time[row]), int(self.cohort[row]), float(self.score[row]), int(self.label[row]), body
        )


class Join:
    """The join of one partition. See the module's text; state is in the store alone."""

    def __init__(self, partition: int, store: Store, catalog: Models) -> None:
        self._partition = partition
        self._store = store
        self._catalog = catalog
        self._cohorts = Cohorts(store, catalog)
        self._deadlines = Timeline(store, b"d")
        self._forgets = Timeline(store, b"f")
        self._partials = Partials(partition, store, catalog)
        self._profiles = LiveProfiles(partition, store, catalog)
        held = store.get(b"m")
        self._progress = Progress.unpack(held) if held else Progress()
        self._begin()

    def _begin(self) -> None:
        self._deltas = CountDeltas()
        self._labeled = LabeledPredictions()
        self._restated: dict[bytes, tuple[RequestState, RequestState]] = {}
        self._rejects: list[Reject] = []
        self._scheduled: list[tuple[list[bytes], Ints, Ints]] = []
        self._waiting: list[tuple[bytes, int]] = []
        self._reprofiled: list[VersionWindow] = []

    # -- the contract -------------------------------------------------------------------------------------------------

    @property
    def wake_at_ms(self) -> int | None:
        """When the next prediction expires, window changes state or ends, or request is forgotten."""
        times = [line.first() for line in (self._deadlines, self._partials, self._profiles, self._forgets)]
        return min((time for time in times if time is not None), default=None)

    def on_batch(self, batch: Batch) -> Effects:
        """Take in a run of predictions or of outcomes."""
        self._begin()
        self._progress.sequence += 1
        if len(batch):
            (self._predictions if batch.topic == "predictions" else self._outcomes)(batch)
        return self._end({batch.topic: batch.arrival_max_ms})

    def on_time(self, now_ms: int, idle: frozenset[str]) -> Effects:
        """Let time pass for the sources that have nothing left to read."""
        self._begin()
        self._progress.sequence += 1
        return self._end(dict.fromkeys(idle & set(_SOURCES), now_ms))

    def _end(self, arrivals: dict[str, int]) -> Effects:
        self._schedule()
        before = self._progress.stage_ms
        for source, arrival_ms in arrivals.items():
            self._progress.arrive(source, arrival_ms)
        passed = self._progress.stage_ms > before
        if passed:
            self._expire(before)
            self._forget()
        turned = self._partials.turn(self._progress) if passed else set()
        self._store.put(b"m", self._progress.pack())
        partials = self._partials.outputs(
            self._deltas.windows(self._cohorts), self._deltas.classes, turned, self._progress
        )
        profiles = self._profiles.outputs(self._reprofiled, self._progress)
        return Effects([*self._labeled.outputs(self._partition), *partials, *profiles], self._rejects)

    # -- predictions --------------------------------------------------------------------------------------------------

    def _predictions(self, batch: Batch) -> None:
        columns = batch.columns
        assert columns is not None
        cohort = self._cohorts.number(columns)
        event_time, score = ints(columns["event_time"]), floats(columns["score"])
        kept = self._readable(cohort, event_time, score)
        cohort, score = cohort[kept], score[kept]
        made = PredictionColumns(
            event_time[kept],
            cohort,
            score,
            self._labels(ints(columns["predicted_label"].fill_null(-1))[kept], cohort, score),
        )
        keys, bodies = pick(batch.keys, kept), pick(batch.bodies, kept)
        held = self._store.get_many([b"r" + key for key in keys])
        shape = shapes(held)
        first, waited_for, others = _by_shape(keys, shape, (NOTHING, ONE_OUTCOME), taken_back(held, shape))
        self._first_predictions(pick(keys, first), made.take(first), pick(bodies, first))
        self._awaited_predictions(
            pick(keys, waited_for), made.take(waited_for), pick(bodies, waited_for), pick(held, waited_for)
        )
        new = [
            i
            for i in others.tolist()
            if self._another_prediction(int(kept[i]), self._request(keys[i], held[i]), made.one(i, bodies[i]), keys[i])
        ]
        self._restate()
        counted = np.concatenate([first, waited_for, np.array(new, np.int64)])
        self._reprofiled = self._profiles.count(
            columns, kept[counted], *self._cohorts.versions(cohort[counted]), self._progress
        )

    def _readable(self, cohort: Ints, event_time: Ints, score: Floats) -> Ints:
        unknown = cohort < 0
        outside = over = np.zeros(len(cohort), bool)
        safe = np.maximum(cohort, 0)
        if not unknown.all():
            outside = np.where(self._cohorts.binary(safe), (score < 0) | (score > 1), np.abs(score) > _LIMIT)
        if not unknown.all() and self._progress.stage_ms != NEVER:
            over = self._cohorts.forgotten(safe, event_time) < self._progress.stage_ms
        self._refuse(unknown, "unknown-model", "no settings for this model: add it with `leadline model add`")
        self._refuse(outside & ~unknown, "score-out-of-range", "binary scores are in [0, 1], others within 1e9")
        self._refuse(
            over & ~unknown & ~outside,
            "window-forgotten",
            "its window was sealed and dropped: later than horizon and grace allow",
        )
        return np.flatnonzero(~(unknown | outside | over))

    def _refuse(self, rows: Bools, reason: str, detail: str) -> None:
        self._rejects += [Reject(i, reason, detail) for i in np.flatnonzero(rows).tolist()]

    def _labels(self, given: Ints, cohort: Ints, score: Floats) -> Ints:
        """The predicted labels: those given, where none is (-1) what the model's threshold says; -1 for regression."""
        said = np.where(given < 0, score >= self._cohorts.threshold(cohort), given > 0)
        return np.where(self._cohorts.binary(cohort), said, -1)

    def _first_predictions(self, keys: list[bytes], made: PredictionColumns, bodies: list[bytes]) -> None:
        """Requests that nothing was known of."""
        if not keys:
            return
        self._store.put_many([b"r" + key for key in keys], pack_first(*made, bodies))
        self._predicted(keys, made)
        over = made.event_time + self._cohorts.horizon(made.cohort) < self._progress.stage_ms
        self._deltas.expire(made.cohort[over], made.event_time[over])
        self._deltas.count(self._cohorts, made.cohort[over], "expired")
        self._deltas.count(self._cohorts, made.cohort[over], "expired_no_outcome")

    def _awaited_predictions(
        self, keys: list[bytes], made: PredictionColumns, bodies: list[bytes], held: list[bytes | None]
    ) -> None:
        """Requests whose one outcome came first."""
        if not keys:
            return
        given = only_outcomes([row or b"" for row in held])
        self._store.put_many([b"r" + key for key in keys], with_outcomes(pack_first(*made, bodies), given))
        self._predicted(keys, made)
        self._deltas.classes["", "outcome_records"] -= len(keys)
        self._deltas.classes["", "outcomes_orphan"] -= len(keys)
        usable, late, overdue = self._pair(keys, made, given, bodies)
        for rows, name in (
            (~usable, "expired"),
            (late, "expired_late_outcome"),
            (~usable & ~late, "expired_no_outcome"),
        ):
            self._deltas.count(self._cohorts, made.cohort[rows & overdue], name)
        self._deltas.expire(made.cohort[~usable & overdue], made.event_time[~usable & overdue])

    def _predicted(self, keys: list[bytes], made: PredictionColumns) -> None:
        self._deltas.count(self._cohorts, made.cohort, "prediction_records")
        self._deltas.count(self._cohorts, made.cohort, "predictions")
        self._deltas.predict(made.cohort, made.event_time, made.score, made.label)
        self._scheduled.append((keys, made.cohort, made.event_time))

    def _pair(
        self, keys: list[bytes], made: PredictionColumns, given: NDArray[np.void], bodies: list[bytes]
    ) -> tuple[Bools, Bools, Bools]:
        """Meet one prediction with one outcome each: which outcome is usable, which is late, which prediction is past its deadline."""
        cohort, event_time = made.cohort, made.event_time
        deadline = event_time + self._cohorts.horizon(cohort)
        timely = given["arrival_ms"] <= event_time + self._cohorts.seal(cohort)
        usable = timely & (given["outcome_time"] <= deadline)
        late = timely & ~usable
        for rows, name in (
            (slice(None), "outcome_records"), (usable, "outcomes_used"), (usable, "matched"), (late, "outcomes_late"),
            (~timely, "outcomes_after_grace"), (usable & (given["outcome_time"] < event_time), "negative_delay"),
        ):  # fmt: skip
            self._deltas.count(self._cohorts, cohort[rows], name)
        self._deltas.match(
            cohort[usable], event_time[usable], made.score[usable], made.label[usable], given["value"][usable]
        )
        self._labeled.pair(keys, given, event_time, bodies, np.flatnonzero(usable))
        return usable, late, deadline < self._progress.stage_ms

    def _schedule(self) -> None:
        """File what this run brought: predictions under their deadline, and requests under the time to forget them."""
        if self._scheduled:
            self._schedule_predictions()
        retention = self._retention_ms() if self._waiting else None
        if retention is not None:
            keys, arrival_ms = zip(*self._waiting, strict=True)
            when_ms = np.array(arrival_ms, np.int64) + retention
            self._forgets.add(when_ms, keys, retention // 32, self._progress.sequence)

    def _schedule_predictions(self) -> None:
        keys = [key for part, _, _ in self._scheduled for key in part]
        cohort = np.concatenate([part for _, part, _ in self._scheduled])
        event_time = np.concatenate([part for *_, part in self._scheduled])
        horizon, sequence = self._cohorts.horizon(cohort), self._progress.sequence
        width = int(horizon.min()) // 32
        waiting = np.flatnonzero(event_time + horizon >= self._progress.stage_ms)
        self._deadlines.add((event_time + horizon)[waiting], pick(keys, waiting), width, sequence)
        forgotten = self._cohorts.forgotten(cohort, event_time)
        ending = np.flatnonzero(forgotten < FAR)
        self._forgets.add(forgotten[ending], pick(keys, ending), width, sequence)

    def _another_prediction(self, index: int, row: RequestState, made: StoredPrediction, key: bytes) -> bool:
        """Whether it is new: neither a repeat nor one version too many."""
        cohort = self._cohorts[made.cohort]
        if len(row.predictions) == MAX_PREDICTIONS:
            self._rejects.append(
                Reject(index, "too-many-versions", f"{MAX_PREDICTIONS} versions scored the request already")
            )
            return False
        self._deltas.classes[cohort.model, "prediction_records"] += 1
        if any(self._same_version(cohort, self._cohorts[other.cohort]) for other in row.predictions):
            self._deltas.classes[cohort.model, "duplicate_predictions"] += 1
            return False
        row.predictions.append(made)
        self._scheduled.append(([key], np.array([made.cohort]), np.array([made.event_time])))
        return True

    @staticmethod
    def _same_version(one: Cohort, other: Cohort) -> bool:
        return (one.model, one.version) == (other.model, other.version)

    # -- outcomes -----------------------------------------------------------------------------------------------------

    def _outcomes(self, batch: Batch) -> None:
        columns = batch.columns
        assert columns is not None
        value = floats(columns["outcome"])
        outside = np.abs(value) > _LIMIT
        self._refuse(outside, "outcome-out-of-range", "outcomes are within 1e9")
        kept = np.flatnonzero(~outside)
        given = np.zeros(len(batch), OUTCOME)
        given["offset"], given["outcome_time"] = batch.offsets, ints(columns["outcome_time"])
        given["arrival_ms"], given["value"] = batch.arrival_ms, value
        keys = pick(batch.keys, kept)
        held = self._store.get_many([b"r" + key for key in keys])
        given = given[kept]
        first, early, others = _by_shape(keys, shapes(held), (ONE_PREDICTION, NOTHING), np.isnan(given["value"]))
        self._first_outcomes(pick(keys, first), pick(held, first), given[first])
        self._early_outcomes(pick(keys, early), given[early])
        for i in others.tolist():
            self._another_outcome(
                int(kept[i]), self._request(keys[i], held[i]), StoredOutcome(*given[i].item()), keys[i]
            )
        self._restate()

    def _first_outcomes(self, keys: list[bytes], held: list[bytes | None], given: NDArray[np.void]) -> None:
        """Requests of one prediction, and no outcome yet."""
        if not keys:
            return
        rows = [row or b"" for row in held]
        self._store.put_many([b"r" + key for key in keys], with_outcomes(rows, given))
        made = PredictionColumns.of(fronts(rows))
        usable, late, overdue = self._pair(keys, made, given, cut(rows, SIMPLE.itemsize))
        count, cohort = self._deltas.count, made.cohort
        count(self._cohorts, cohort[usable & overdue], "expired", -1)
        count(self._cohorts, cohort[(usable | late) & overdue], "expired_no_outcome", -1)
        count(self._cohorts, cohort[late & overdue], "expired_late_outcome")
        self._deltas.expire(cohort[usable & overdue], made.event_time[usable & overdue], -1)

    def _early_outcomes(self, keys: list[bytes], given: NDArray[np.void]) -> None:
        """Requests that nothing was known of."""
        self._store.put_many([b"r" + key for key in keys], pack_outcomes(given))
        self._deltas.classes["", "outcome_records"] += len(keys)
        self._deltas.classes["", "outcomes_orphan"] += len(keys)
        self._waiting += zip(keys, given["arrival_ms"].tolist(), strict=True)

    def _another_outcome(self, index: int, row: RequestState, given: StoredOutcome, key: bytes) -> None:
        if len(row.outcomes) >= MAX_OUTCOMES:
            self._rejects.append(Reject(index, "too-many-outcomes", f"the request has {MAX_OUTCOMES} outcomes already"))
            return
        row.outcomes.append(given)
        if not row.predictions:
            self._waiting.append((key, given.arrival_ms))

    def _retention_ms(self) -> int | None:
        """How long an outcome waits for its prediction: as long as the longest-lived model takes predictions; None: for ever."""
        settings = [self._catalog.settings(name) for name in self._catalog.names()]
        if any(s is None or s.grace is None for s in settings):
            return None
        return max((s.window + s.horizon + 2 * (s.grace or 0) for s in settings if s is not None), default=None)

    # -- requests that are not simple ---------------------------------------------------------------------------------

    def _request(self, key: bytes, held: bytes | None) -> RequestState:
        """What is known of a request, for this run to add to."""
        if key not in self._restated:
            self._restated[key] = _row(held), _row(held)
        return self._restated[key][1]

    def _restate(self) -> None:
        """Count what is otherwise of these requests than it was, and tell which predictions changed their label."""
        stage_ms = self._progress.stage_ms
        for key, (before, after) in self._restated.items():
            old, new = change(before, after, stage_ms, stage_ms, self._cohorts, self._deltas)
            self._store.put(b"r" + key, after.pack())
            self._labeled.restate(key, after, old, new)

    # -- time ---------------------------------------------------------------------------------------------------------

    def _expire(self, before_ms: int) -> None:
        """Count the predictions whose deadline has passed since ``before_ms``."""
        stage_ms = self._progress.stage_ms
        keys = sorted(set(self._deadlines.take(stage_ms, self._progress.sequence)))
        rows = [row for row in self._store.get_many([b"r" + key for key in keys]) if row is not None]
        shape = shapes(rows)
        bare, labeled = shape == ONE_PREDICTION, shape == ONE_OF_EACH
        self._expire_bare(pick(rows, np.flatnonzero(bare)))
        others = pick(rows, np.flatnonzero(~(bare | labeled)))
        for value in [*self._unlabeled(pick(rows, np.flatnonzero(labeled))), *others]:
            row = RequestState.unpack(value)
            change(row, row, before_ms, stage_ms, self._cohorts, self._deltas)

    def _expire_bare(self, rows: list[bytes]) -> None:
        front = fronts(rows)
        cohort = front["cohort"].astype(np.int64)
        self._deltas.expire(cohort, front["event_time"])
        self._deltas.count(self._cohorts, cohort, "expired")
        self._deltas.count(self._cohorts, cohort, "expired_no_outcome")

    def _unlabeled(self, rows: list[bytes]) -> list[bytes]:
        """Of rows with one prediction and one outcome, those whose outcome is no label."""
        front, given = fronts(rows), outcomes_behind(rows)
        cohort, event_time = front["cohort"].astype(np.int64), front["event_time"].astype(np.int64)
        usable = (given["outcome_time"] <= event_time + self._cohorts.horizon(cohort)) & ~np.isnan(given["value"])
        usable &= given["arrival_ms"] <= event_time + self._cohorts.seal(cohort)
        return [rows[i] for i in np.flatnonzero(~usable).tolist()]

    def _forget(self) -> None:
        stage_ms = self._progress.stage_ms
        due, later = self._forgets.take(stage_ms, self._progress.sequence), {}
        retention = self._retention_ms() if due else None
        for key in due:
            row = _row(self._store.get(b"r" + key))
            ends = [self._cohorts[made.cohort].forgotten_ms(made.event_time) for made in row.predictions]
            if not row.predictions:
                ends = [given.arrival_ms + (retention or 0) for given in row.outcomes]
            if max(ends, default=NEVER) < stage_ms:
                self._store.delete(b"r" + key)
            else:
                later[key] = max(ends)
        self._forgets.add(np.array(list(later.values()), np.int64), list(later), 1, self._progress.sequence)


def _row(value: bytes | None) -> RequestState:
    return RequestState() if value is None else RequestState.unpack(value)


def _by_shape(
    keys: list[bytes], shape: NDArray[np.uint32], wanted: tuple[int, int], retractions: Bools
) -> tuple[Ints, Ints, Ints]:
    """Places of the records whose request has the one or the other wanted shape (`shapes`) and is met once in this run; then all others.

    A request with a retraction is among the others.
    """
    simple = ~retractions
    if len(set(keys)) < len(keys):
        times = Counter(keys)
        simple &= np.array([times[key] == 1 for key in keys], bool)
    one, other = ((shape == each) & simple for each in wanted)
    return np.flatnonzero(one), np.flatnonzero(other), np.flatnonzero(~(one | other))
