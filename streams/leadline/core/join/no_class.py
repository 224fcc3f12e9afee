"""Outcomes that are no class of any model that predicts their request: they label nothing, and are dead letters too."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadline.core.columnar.columns import Bools, Ints
from leadline.core.join.changes import Changes
from leadline.core.join.requests import Requests
from leadline.core.processor import Reject
from leadline.records import brief


def refuse(
    requests: Requests, columns: pa.RecordBatch, rows: Ints, outcomes: NDArray[np.void], changes: Changes
) -> None:
    """Tell of the outcomes (`OUTCOME`) that are no class. Where no prediction has come yet, nobody knows. ``columns``: the batch, which has
    them in these rows.
    """
    if changes.cohorts.are_classes_of_all(outcomes["value"]):
        return
    for i in np.flatnonzero(_no_class(requests, outcomes, changes)).tolist():
        detail = f"{_said(columns, int(rows[i]))} is no class of the model: {_classes(requests, i, changes)}"
        changes.rejects.append(Reject(int(rows[i]), "outcome-not-a-class", detail))


def _no_class(requests: Requests, outcomes: NDArray[np.void], changes: Changes) -> Bools:
    """Which outcomes have a prediction, and are a class of none."""
    states, predictions = requests.states, requests.states.prediction_columns()
    each = states.predictions[requests.request]
    outcome = np.repeat(np.arange(len(outcomes)), each)
    prediction = np.repeat(_first(states.predictions)[requests.request], each) + _within(each)
    cohort = predictions.cohort[prediction]
    taken = changes.cohorts.is_class(cohort, changes.cohorts.known_outcomes(cohort, outcomes["value"][outcome]))
    found: Bools = (each > 0) & (np.bincount(outcome[taken], minlength=len(outcomes)) == 0)
    return found


def _said(columns: pa.RecordBatch, row: int) -> str:
    """The outcome as the record has it."""
    name = columns["class_name"][row].as_py()
    return brief(name) if name else f"{columns['outcome'][row].as_py():g}"


def _classes(requests: Requests, i: int, changes: Changes) -> str:
    request = int(requests.request[i])
    predictions = requests.states.take(np.array([request])).prediction_columns()
    cohorts = [changes.cohorts[cohort] for cohort in predictions.cohort.tolist()]
    names = dict.fromkeys(name for cohort in cohorts for name in cohort.class_names)
    classes = sorted({each for cohort in cohorts for each in cohort.classes or ()})
    return ", ".join([*(f"{each:g}" for each in classes), *map(brief, names)]) or "it takes numbers"


def _first(counts: Ints) -> Ints:
    """Where those of each begin, so many of each."""
    return np.cumsum(counts) - counts


def _within(counts: Ints) -> Ints:
    """0, 1, 2 and so on for each of so many.

    >>> _within(np.array([2, 0, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    return np.arange(int(counts.sum())) - np.repeat(_first(counts), counts)
