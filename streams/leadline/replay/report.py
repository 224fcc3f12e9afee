"""The answer of a replay: one row a window, and the counts of everything that was met."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from leadline.core.windows.keys import WindowKey
from leadline.core.windows.latest import latest
from leadline.records import JoinCounts, Metric, WindowMetrics, iso

COLUMNS = (
    "model_version window_start window_end segment predictions matched pending expired tp fp fn tn "
    "accuracy precision recall f1 logloss brier auc mean_score outcome_rate"
).split()


def newest(records: Iterable[WindowMetrics | JoinCounts]) -> tuple[list[WindowMetrics], list[JoinCounts]]:
    """The windows that hold, and the counts of each model that hold."""
    held = latest(records, _identity).values()
    windows = [record for record in held if isinstance(record, WindowMetrics)]
    return windows, [record for record in held if isinstance(record, JoinCounts)]


def _identity(record: WindowMetrics | JoinCounts) -> tuple[Any, ...]:
    return (record.model,) if isinstance(record, JoinCounts) else WindowKey.of(record)


def metrics_csv(windows: Iterable[WindowMetrics]) -> str:
    """One row a window, ordered by version, start and segment; empty where a number is undefined."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for window in sorted(windows, key=lambda w: (w.model_version, w.window_start, w.segment)):
        rows.writerow([_cell(getattr(window, name), name) for name in COLUMNS])
    return text.getvalue()


def counts(totals: Iterable[JoinCounts], dead_letters: int) -> dict[str, int]:
    """The counts of all models together, and of the records that could not be used."""
    names = [
        name
        for name in JoinCounts.__dataclass_fields__
        if name not in ("model", "source_partition", "revision", "as_of")
    ]
    held = list(totals)
    summed = {name: sum(getattr(record, name) for record in held) for name in names}
    summed["pending"] = summed["predictions"] - summed["matched"] - summed["expired"]
    return summed | {"dead_letters": dead_letters}


def _cell(value: Any, name: str) -> Any:
    if isinstance(value, Metric):
        return repr(value.value)
    return iso(value) if name in ("window_start", "window_end") else value


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
