"""Outcomes that are no class of any model that predicts their request: they label nothing, and are dead letters too."""

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Bools, Ints
from leadline.core.join.changes import Changes
from leadline.core.join.requests import Requests
from leadline.core.processor import Reject


def refuse(requests: Requests, rows: Ints, outcomes: NDArray[np.void], changes: Changes) -> None:
    """Tell of the outcomes (`OUTCOME`, one a row of the batch) that are no class. Where no prediction has come yet, nobody knows."""
    if changes.cohorts.are_classes_of_all(outcomes["value"]):
        return
    for i in np.flatnonzero(_no_class(requests, outcomes, changes)).tolist():
        detail = f"{outcomes['value'][i]:g} is no class of the model: {_classes(requests, i, changes)}"
        changes.rejects.append(Reject(int(rows[i]), "outcome-not-a-class", detail))


def _no_class(requests: Requests, outcomes: NDArray[np.void], changes: Changes) -> Bools:
    """Which outcomes have a prediction, and are a class of none."""
    states, predictions = requests.states, requests.states.prediction_columns()
    each = states.predictions[requests.request]
    outcome = np.repeat(np.arange(len(outcomes)), each)
    prediction = np.repeat(_first(states.predictions)[requests.request], each) + _within(each)
    taken = changes.cohorts.is_class(predictions.cohort[prediction], outcomes["value"][outcome])
    found: Bools = (each > 0) & (np.bincount(outcome[taken], minlength=len(outcomes)) == 0)
    return found


def _classes(requests: Requests, i: int, changes: Changes) -> str:
    request = int(requests.request[i])
    predictions = requests.states.take(np.array([request])).prediction_columns()
    classes = {each for cohort in predictions.cohort.tolist() for each in changes.cohorts[cohort].classes or ()}
    return ", ".join(f"{each:g}" for each in sorted(classes))


def _first(counts: Ints) -> Ints:
    """Where those of each begin, so many of each."""
    return np.cumsum(counts) - counts


def _within(counts: Ints) -> Ints:
    """0, 1, 2 and so on for each of so many.

    >>> _within(np.array([2, 0, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    return np.arange(int(counts.sum())) - np.repeat(_first(counts), counts)
