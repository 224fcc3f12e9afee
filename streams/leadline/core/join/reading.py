"""The records of a run's batch as the join's own columns; what cannot be used is refused."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadline.core.columnar.columns import Bools, Floats, Ints, floats, ints, logistic
from leadline.core.columnar.progress import NEVER
from leadline.core.join.changes import Changes
from leadline.core.join.class_names import numbers_of
from leadline.core.join.request_state import OUTCOME
from leadline.core.join.state_columns import PredictionColumns
from leadline.core.models import no_settings
from leadline.core.processor import Batch, Reject
from leadline.core.windows.aggregates.by_score import between

_LIMIT = 1e9


def predictions_of(batch: Batch, log_ms: Ints, changes: Changes) -> tuple[Ints, PredictionColumns]:
    """The rows that can be used, and their predictions; requests are not known yet, so each has an index of its own.

    ``log_ms``: when each row came, in the time of its log.
    """
    columns = batch.columns
    assert columns is not None
    cohort = changes.cohorts.number(columns)
    event_time, score = ints(columns["event_time"]), floats(columns["score"])
    label = ints(columns["predicted_label"].fill_null(-1))
    _refuse_unknown(cohort < 0, columns, changes)
    rows = _usable(cohort, event_time, score, floats(columns["sample"]), changes)
    cohort, event_time = cohort[rows], event_time[rows]
    judged = (log_ms[rows] <= changes.cohorts.matures(cohort, event_time)).astype(np.int64)
    shadow = np.full(len(rows), int(batch.topic == "shadow-predictions"))
    sample = floats(columns["sample"])[rows]
    own = PredictionColumns(np.arange(len(rows)), event_time, cohort, score[rows], label[rows], judged, shadow, sample)
    return rows, own._replace(label=_labels(own, changes), score=_counted(own, changes))


def _refuse_unknown(unknown: Bools, columns: pa.RecordBatch, changes: Changes) -> None:
    rows = np.flatnonzero(unknown)
    for i, model in zip(rows.tolist(), columns["model"].take(pa.array(rows)).to_pylist(), strict=True):
        changes.rejects.append(Reject(i, *no_settings(model, changes.cohorts.why_unusable(model))))


def _usable(cohort: Ints, event_time: Ints, score: Floats, sample: Floats, changes: Changes) -> Ints:
    cohorts, unknown = changes.cohorts, cohort < 0
    outside = forgotten = np.zeros(len(cohort), bool)
    known = np.maximum(cohort, 0)
    if not unknown.all():
        outside = np.where(
            cohorts.binary(known) & ~cohorts.decision(known), (score < 0) | (score > 1), np.abs(score) > _LIMIT
        )
    if not unknown.all() and changes.stage_ms != NEVER:
        forgotten = cohorts.forgotten(known, event_time) < changes.stage_ms
    changes.refuse(outside & ~unknown, "score-out-of-range", "probabilities are in [0, 1], other scores within 1e9")
    changes.refuse(
        forgotten & ~unknown & ~outside,
        "window-forgotten",
        "its window was sealed and dropped: later than horizon and grace allow",
    )
    no_share = ~((sample > 0) & (sample <= 1)) & ~(unknown | outside | forgotten)
    changes.refuse(no_share, "sample-out-of-range", "sample is a share of the requests: above 0, and at most 1")
    return np.flatnonzero(~(unknown | outside | forgotten | no_share))


def _counted(predictions: PredictionColumns, changes: Changes) -> Floats:
    """The scores as they are counted: those of a decision function as numbers in [0, 1], in their order."""
    decision = changes.cohorts.decision(predictions.cohort)
    if not decision.any():
        return predictions.score
    counted = np.where(decision, logistic(predictions.score), predictions.score)
    version = changes.cohorts.version(predictions.cohort)
    for each in np.unique(version[decision]).tolist():
        edges, rows = changes.cohorts.score_edges(each), version == each
        if len(edges):
            counted[rows] = between(edges, predictions.score[rows])
    return counted


def _labels(predictions: PredictionColumns, changes: Changes) -> Ints:
    """The predicted labels: the record's own, or (where that is -1) what the model's threshold says; -1 for regression."""
    cohorts, own = changes.cohorts, predictions.label
    labels = np.where(own < 0, predictions.score >= cohorts.threshold(predictions.cohort), own > 0)
    return np.where(cohorts.binary(predictions.cohort), labels, -1)


def outcomes_of(batch: Batch, log_ms: Ints, changes: Changes) -> tuple[Ints, NDArray[np.void]]:
    """The rows that can be used, and their outcomes (`OUTCOME`); ``log_ms``: when each row came, in the time of its log."""
    columns = batch.columns
    assert columns is not None
    outcomes = np.zeros(len(batch), OUTCOME)
    outcomes["offset"], outcomes["outcome_time"] = batch.offsets, ints(columns["outcome_time"])
    outcomes["arrival_ms"], outcomes["value"] = batch.arrival_ms, floats(columns["outcome"])
    outcomes["log_ms"] = log_ms
    outside = np.abs(outcomes["value"]) > _LIMIT
    names = numbers_of(columns["class_name"])
    outcomes["value"] = np.where(np.isnan(names), outcomes["value"], names)
    changes.refuse(outside, "outcome-out-of-range", "outcomes are within 1e9")
    rows = np.flatnonzero(~outside)
    return rows, outcomes[rows]
