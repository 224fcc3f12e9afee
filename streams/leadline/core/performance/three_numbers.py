"""The three numbers of a window side by side: realised, estimated, nowcast; each with the interval of its final value."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from leadline.core.models import Models
from leadline.core.performance.errors_by_score import ErrorParts
from leadline.core.performance.estimation import estimated, labelled_in_the_end, narrowed, nowcast
from leadline.core.performance.expectation import Expectation
from leadline.core.performance.final_values import LEAST_OUTCOMES, FinalValues, Interval, Now
from leadline.core.processor import Store
from leadline.core.statistics.final_value import Z
from leadline.core.windows.aggregates.by_score import SCORE_BINS
from leadline.core.windows.counts import WindowCounts
from leadline.core.windows.keys import STATES, WindowKey
from leadline.records import FinalValue, Metric, WindowMetrics

OF_CLASSES = ("accuracy", "precision", "recall", "f1", "auc")
OF_ERRORS = ("mae", "rmse")
"""The metrics that have three numbers; the first of each tells how far the estimate was off."""
_LEAST, _MOST = 0.0, 1.0


class ThreeNumbers:
    """Adds to a window's metrics what is there before its outcomes, and the intervals of the final values."""

    def __init__(self, store: Store, models: Models) -> None:
        self._models = models
        self._expectations: dict[tuple[str, str], Expectation] = {}
        self._finals = FinalValues(store)

    def complete(self, record: WindowMetrics, counts: WindowCounts, at: int) -> WindowMetrics:
        """The record with all numbers of its window; ``at`` is the time of its newest partial."""
        names = OF_ERRORS if record.task == "regression" else OF_CLASSES
        early = self._early(record, counts)
        settings = self._models.settings(record.model)
        said: dict[str, Any] = {"predicted_positive": int(counts.scores.counts[1].sum())}
        said |= {name: Metric(metric.value) for name, metric in early.items()}
        if settings is None or not record.predictions:
            return replace(record, **said)
        numbers = {**_realised(record, counts), **early}
        order = [*names, *(f"estimated_{name}" for name in names), *(f"nowcast_{name}" for name in names)]
        now = _now(record, settings.horizon, at, {name: numbers.get(name) for name in order})
        finals = [i % len(names) for i in range(len(order))]
        intervals, error = self._finals.take(WindowKey.of(record), now, finals, len(names))
        found = {name: each for name, each in zip(order, intervals, strict=True) if name in numbers}
        told = list(_told(record, found, now))
        said |= {each.metric: _sided(numbers[each.metric], each) for each in told if each.metric in early}
        return replace(record, **said, estimated_error=error, finals=told)

    def _early(self, record: WindowMetrics, counts: WindowCounts) -> dict[str, Metric]:
        """Estimate and nowcast by their names in the record, with the intervals that they have by themselves."""
        expectation = self._expectation(record.model, record.model_version)
        if expectation is None:
            return {}
        kinds = {"estimated": estimated(counts, expectation), "nowcast": nowcast(counts, expectation)}
        return {f"{kind}_{name}": metric for kind, found in kinds.items() for name, metric in found.items()}

    def _expectation(self, model: str, version: str) -> Expectation | None:
        """None where the version is not on this worker, or its reference does not say; a version never changes."""
        if (model, version) not in self._expectations:
            described = self._models.version(model, version)
            calibration = described and described.profile and described.profile.calibration
            found = Expectation.of(calibration, SCORE_BINS) if calibration else None
            if found is None:
                return None
            self._expectations[model, version] = found
        return self._expectations[model, version]


def _realised(record: WindowMetrics, counts: WindowCounts) -> dict[str, Metric]:
    """The metrics on the outcomes that are there, with what outcomes that may still come leave open."""
    if record.task == "regression":
        found: Mapping[str, Metric | None] = ErrorParts.known(counts).measured(counts.tallies[1])
    else:
        found = {name: getattr(record, name) for name in OF_CLASSES}
    left = (record.pending + 1) / (labelled_in_the_end(counts) + 1)
    return {name: narrowed(metric, left) for name, metric in found.items() if metric is not None}


def _now(record: WindowMetrics, horizon: int, at: int, numbers: Mapping[str, Metric | None]) -> Now:
    values = np.array([np.nan if each is None else each.value for each in numbers.values()])
    spreads = np.array([_spread(each) for each in numbers.values()])
    of_labels = [not name.startswith("estimated_") for name in numbers]
    of_few = [record.matched < LEAST_OUTCOMES and name in (*OF_CLASSES, *OF_ERRORS) for name in numbers]
    mature = record.state != STATES[0]
    return Now(record.window_end, at, horizon, mature, record.coverage or 0.0, values, spreads, of_labels, of_few)


def _spread(metric: Metric | None) -> float:
    if metric is None or metric.low is None or metric.high is None:
        return np.nan
    return (metric.high - metric.low) / (2 * Z)


def _told(record: WindowMetrics, found: dict[str, Interval], now: Now) -> Iterator[FinalValue]:
    """What is said of each number. What is realised at maturity is final, and has no interval of it."""
    most = _MOST if record.task != "regression" else np.inf
    for name, each in found.items():
        if now.is_mature and name in (*OF_CLASSES, *OF_ERRORS):
            continue
        why = each.why if now.at >= now.end else "the window is not over"
        low, high = (None, None) if why else (max(_LEAST, each.low), min(most, each.high))
        yield FinalValue(name, low, high, each.windows, "none" if why else each.basis, each.hits, why)


def _sided(metric: Metric, final: FinalValue) -> Metric:
    return Metric(metric.value, final.low, final.high)
