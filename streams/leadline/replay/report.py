"""The answer of a replay: one row a window, and the counts of everything that was met."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from leadline.core.windows.keys import WindowKey
from leadline.core.windows.latest import latest
from leadline.records import Alert, JoinCounts, Metric, WindowMetrics, iso

T = TypeVar("T")

_WINDOW = "model_version window_start window_end segment predictions matched pending expired tp fp fn tn".split()
_METRICS = "accuracy precision recall f1 logloss brier auc mean_score outcome_rate".split()
_ERRORS = "mae rmse bias".split()
_SIDES = ("", "_low", "_high")
COLUMNS = [
    *_WINDOW, *_METRICS, *_ERRORS, "auc_error",
    *(f"{name}_{side}" for name in (*_METRICS, *_ERRORS) for side in ("low", "high")),
    *(f"{of}_{name}{side}" for name in ("accuracy", "auc", "f1") for of in ("estimated", "nowcast") for side in _SIDES),
    "predicted_positive", "assumed",
]  # fmt: skip
"""A new column goes behind all others, so that who reads by place reads on."""


def newest(records: Iterable[WindowMetrics | JoinCounts]) -> tuple[list[WindowMetrics], list[JoinCounts]]:
    """The windows that hold, and the counts of each model that hold."""
    held = latest(records, _identity).values()
    windows = [record for record in held if isinstance(record, WindowMetrics)]
    return windows, [record for record in held if isinstance(record, JoinCounts)]


def _identity(record: WindowMetrics | JoinCounts) -> tuple[Any, ...]:
    return (record.model,) if isinstance(record, JoinCounts) else WindowKey.of(record)


def metrics_csv(windows: Iterable[WindowMetrics]) -> str:
    """One row a window, ordered by version, start and segment; empty where a number is undefined."""
    rows = sorted(windows, key=lambda w: (w.model_version, w.window_start, w.segment))
    return _csv(COLUMNS, rows, _cell)


def snapshots_csv(windows: Iterable[WindowMetrics]) -> str:
    """One row a revision, as `metrics_csv`, with the stage time at which it was made, and its state; in that order."""
    rows = sorted(windows, key=lambda w: (w.model_version, w.window_start, w.segment, w.revision))
    return _csv(("as_of", "revision", "state", *COLUMNS), rows, _cell)


INCIDENT_COLUMNS = "incident_id kind state model_version segment features window_start window_end at cause".split()


def incidents_csv(alerts: Iterable[Alert]) -> str:
    """One row a record of the alert topic, in order of the stage time."""
    return _csv(INCIDENT_COLUMNS, sorted(alerts, key=lambda alert: alert.at), _incident_cell)


def _incident_cell(alert: Alert, name: str) -> Any:
    if name == "features":
        return "|".join(alert.features)
    value = getattr(alert, {"incident_id": "alert_id"}.get(name, name))
    return iso(value) if name in ("window_start", "window_end", "at") else value


def _csv(columns: Sequence[str], records: Iterable[T], cell: Callable[[T, str], Any]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(columns)
    for record in records:
        rows.writerow([cell(record, name) for name in columns])
    return text.getvalue()


def counts(totals: Iterable[JoinCounts], dead_letters: int) -> dict[str, int]:
    """The counts of all models together, and of the records that could not be used."""
    names = [
        name
        for name in JoinCounts.__dataclass_fields__
        if name not in ("model", "source_partition", "revision", "as_of", "matured") and not name.startswith("last_")
    ]
    held = list(totals)
    summed = {name: sum(getattr(record, name) for record in held) for name in names}
    summed["pending"] = summed["predictions"] - summed["matched"] - summed["expired"]
    return summed | {"dead_letters": dead_letters}


def _cell(window: WindowMetrics, name: str) -> Any:
    """The cell of a column; of the side of an interval where the name says so."""
    metric, _, side = name.rpartition("_")
    if side in ("low", "high"):
        return _number(getattr(window, metric) and getattr(getattr(window, metric), side))
    value = getattr(window, name)
    if name in ("as_of", "window_start", "window_end"):
        return iso(value)
    return _number(value.value if isinstance(value, Metric) else value)


def _number(value: Any) -> Any:
    """A number with all its digits; None, which stays empty, and text as they are."""
    return repr(value) if isinstance(value, float) else value


def problem(counted: dict[str, int], letters: dict[str, int]) -> str | None:
    """What to say where no prediction met its outcome; None where one did.

    >>> problem({"predictions": 0, "matched": 0}, {"score-not-finite": 3})
    'nothing counted: 0 predictions, none with an outcome; 3 records could not be used: score-not-finite 3'
    """
    if counted["matched"]:
        return None
    unused = [
        f"{counted[name]} outcomes {words}"
        for name, words in (("outcomes_orphan", "of no prediction"), ("outcomes_late", "after the horizon"))
        if counted.get(name)
    ]
    parts = [f"nothing counted: {counted['predictions']} predictions, none with an outcome", *unused]
    return "; ".join([*parts, told(letters)] if letters else parts)


def told(letters: dict[str, int]) -> str:
    """The dead letters in words."""
    named = ", ".join(f"{reason} {number}" for reason, number in letters.items())
    return f"{sum(letters.values())} records could not be used: {named}"
