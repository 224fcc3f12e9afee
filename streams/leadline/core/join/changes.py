"""What one run changes, counted by columns: counts of windows, classes of records, labeled predictions, and what is refused."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Bools, Floats, Ints, pick
from leadline.core.join.cohorts import Cohorts
from leadline.core.join.count_deltas import CountDeltas
from leadline.core.join.label_rules import OUTCOME_CLASSES, LabelColumns
from leadline.core.join.labeled import LabeledPredictions
from leadline.core.join.pairs import PairDeltas
from leadline.core.join.state_columns import PredictionColumns
from leadline.core.processor import Reject


@dataclass(slots=True)
class Changes:
    """The changes of one run that began at the stage time ``stage_ms``.

    ``scheduled`` has new predictions with the keys of their requests, and whether each is the first of its request that has its deadline;
    ``assuming`` has new predictions that may count as a no later, with these keys, of a request and a time the first alone;
    ``waiting`` has the key of each request that got an outcome and has no prediction, with the arrival of that outcome.
    """

    cohorts: Cohorts
    stage_ms: int
    deltas: CountDeltas = field(default_factory=CountDeltas)
    pairs: PairDeltas = field(default_factory=PairDeltas)
    labeled: LabeledPredictions = field(default_factory=LabeledPredictions)
    rejects: list[Reject] = field(default_factory=list)
    scheduled: list[tuple[list[bytes], PredictionColumns, Bools]] = field(default_factory=list)
    assuming: list[tuple[list[bytes], PredictionColumns]] = field(default_factory=list)
    waiting: list[tuple[bytes, int]] = field(default_factory=list)

    def refuse(self, rows: Bools, reason: str, detail: str) -> None:
        """Rows of the run's batch go to the dead letters."""
        self.rejects += [Reject(i, reason, detail) for i in np.flatnonzero(rows).tolist()]

    def deadlines(self, predictions: PredictionColumns) -> Ints:
        """The last outcome time that is in the horizon of each prediction."""
        return self.cohorts.deadline(predictions.cohort, predictions.event_time)

    def beside(self, predictions: PredictionColumns, outcomes: NDArray[np.void]) -> NDArray[np.void]:
        """The outcomes of the requests of predictions, each as the model of its prediction counts it: a named class has its number."""
        own = outcomes[predictions.request]
        own["value"] = self.cohorts.known_outcomes(predictions.cohort, own["value"])
        return own

    def labels(self, predictions: PredictionColumns, outcomes: NDArray[np.void]) -> LabelColumns:
        """The label of each prediction, whose request has the one outcome that stands beside it."""
        seals = predictions.event_time + self.cohorts.seal(predictions.cohort)
        is_class = self.cohorts.is_class(predictions.cohort, outcomes["value"])
        return LabelColumns.of(self.deadlines(predictions), seals, outcomes, is_class)

    def count(self, cohort: Ints, name: str, sign: int = 1) -> None:
        """Count a class of records once for each of these cohort numbers."""
        self.deltas.count(self.cohorts, cohort, name, sign)

    def predict(self, predictions: PredictionColumns) -> None:
        """Predictions are new."""
        self.count(predictions.cohort, "prediction_records")
        self.count(predictions.cohort, "predictions")
        self.deltas.predict(*_counted(predictions), predictions.judged)

    def match(
        self,
        keys: list[bytes],
        predictions: PredictionColumns,
        bodies: list[bytes],
        outcomes: NDArray[np.void],
        used: Bools,
    ) -> None:
        """The predictions that use the outcome of their request as their label; every column has one value for each prediction."""
        rows = np.flatnonzero(used)
        matched, known = predictions.take(rows), outcomes[rows]
        self.count(matched.cohort, "matched")
        self.count(matched.cohort[known["outcome_time"] < matched.event_time], "negative_delay")
        timely = known["log_ms"] <= self.cohorts.matures(matched.cohort, matched.event_time)
        self.deltas.match(*_counted(matched), known["value"], 1, matched.judged * timely)
        self.judge_assumed(matched.take(~timely & self.assumes(matched)))
        self.labeled.match(pick(keys, rows), known, matched.event_time, pick(bodies, rows))

    def expire(self, predictions: PredictionColumns, late: Bools, sign: int = 1) -> None:
        """Predictions without a label went past their deadline; some of them have a ``late`` outcome."""
        self.count(predictions.cohort, "expired", sign)
        self.count(predictions.cohort[late], "expired_late_outcome", sign)
        self.count(predictions.cohort[~late], "expired_no_outcome", sign)
        self.deltas.expire(predictions.cohort, predictions.event_time, sign)

    def assume(self, keys: list[bytes], predictions: PredictionColumns, bodies: list[bytes], newest: Ints) -> None:
        """Predictions without a label count as a no; ``newest`` is the offset of the newest outcome of each one's request, -1 without."""
        if len(keys):
            negative = self._count_assumed(predictions, 1)
            self.labeled.assume(keys, negative, self.deadlines(predictions), predictions.event_time, newest, bodies)

    def judge_assumed(self, predictions: PredictionColumns) -> None:
        """Predictions whose outcome the log did not hold when their window became mature count as a no there, and only there."""
        if len(predictions.request):
            negative = self.cohorts.negative(predictions.cohort)
            self.deltas.match(*_counted(predictions), negative, 0, predictions.judged)

    def withdraw(self, predictions: PredictionColumns) -> None:
        """Predictions that counted as a no got an outcome after all."""
        if len(predictions.request):
            self._count_assumed(predictions, -1)

    def _count_assumed(self, predictions: PredictionColumns, sign: int) -> Floats:
        """The outcome of each that is a no."""
        negative = self.cohorts.negative(predictions.cohort)
        for name in ("matched", "assumed"):
            self.count(predictions.cohort, name, sign)
        self.deltas.match(*_counted(predictions), negative, sign, sign * predictions.judged, assumed=1)
        return negative

    def assumes(self, predictions: PredictionColumns) -> Bools:
        """Which predictions count as a no by now where they have no label."""
        if not self.cohorts.any_assumed:
            return np.zeros(len(predictions.request), bool)
        assumes: Bools = self.cohorts.assumed(predictions.cohort, predictions.event_time) < self.stage_ms
        return assumes

    def revive(self, predictions: PredictionColumns, labels: LabelColumns) -> None:
        """Expired predictions got their first outcome: with a label they have not expired, with a late outcome their class is another."""
        used = predictions.take(labels.used)
        self.count(used.cohort, "expired", -1)
        self.deltas.expire(used.cohort, used.event_time, -1)
        self.count(predictions.cohort[labels.used | labels.late], "expired_no_outcome", -1)
        self.count(predictions.cohort[labels.late], "expired_late_outcome")

    def classify(self, classes: Ints, owner: Ints, sign: int = 1) -> None:
        """Count outcome records of these classes (indices in `OUTCOME_CLASSES`); ``owner`` is the cohort of the request's first
        prediction, -1 where it has none.
        """
        for number in np.flatnonzero(np.bincount(classes)).tolist():
            owners = owner[classes == number]
            for name in ("outcome_records", OUTCOME_CLASSES[number]):
                self.count(owners[owners >= 0], name, sign)
                if orphans := int((owners < 0).sum()):
                    self.deltas.classes["", name] += sign * orphans


def _counted(predictions: PredictionColumns) -> tuple[Ints, Ints, Floats, Ints]:
    """What is counted of predictions."""
    return predictions.cohort, predictions.event_time, predictions.score, predictions.label
