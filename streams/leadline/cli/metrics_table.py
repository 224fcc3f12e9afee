"""Live metrics as tables that fit the terminal."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from leadline.foreign_text import shown
from leadline.records import Metric, WindowMetrics, iso

_METRICS = {"binary": ("accuracy", "auc"), "decision": ("accuracy", "auc"), "regression": ("mae", "rmse")}
_FIRST_OUT = ("rmse", "auc", "scored", "state")
"""What is left out where there is no room, in this order. No metric stays without its interval and its share of labels."""
_ANY_WIDTH = 1 << 14


def newest(records: Iterable[WindowMetrics], windows: int) -> Iterator[WindowMetrics]:
    """The newest windows of each segment, oldest first; by task, model, version and segment, all requests (``*``) before its parts."""
    for _, group in groupby(sorted(records, key=lambda each: (*_group(each), each.window_start)), _group):
        yield from list(group)[-windows:]


def _group(record: WindowMetrics) -> tuple[str, str, str, bool, str]:
    return record.task, record.model, record.model_version, record.segment != "*", record.segment


def tables(records: Iterable[WindowMetrics], windows: int, console: Console) -> Group:
    """A table for each task; on a terminal as wide as that, elsewhere as wide as it takes."""
    width = console.width if console.is_terminal else _ANY_WIDTH
    shown_windows = list(newest(records, windows))
    return Group(
        *(_fitting(list(group), width, console) for _, group in groupby(shown_windows, lambda each: each.task))
    )


def put_tables(records: Iterable[WindowMetrics], windows: int, console: Console) -> None:
    """Print them. Where no terminal is, nothing is cut: whoever reads it has the room."""
    wide = console if console.is_terminal else Console(file=console.file, width=_ANY_WIDTH)
    wide.print(tables(records, windows, console))


def _fitting(records: list[WindowMetrics], width: int, console: Console) -> Table:
    rows = [_cells(record) for record in records]
    names = list(rows[0])
    for out in ("", *_FIRST_OUT):
        names = [name for name in names if name != out]
        table = _table(rows, names, {})
        if _wide(table, console) <= width:
            return table
    return _table(rows, names, _limits(rows, width - _wide(_table(rows, names, {"model": 0, "segment": 0}), console)))


def _limits(rows: list[dict[str, str]], room: int) -> dict[str, int]:
    """Characters of both names where they have to be cut to this room: each has half of it, and what the other leaves."""
    model, segment = (max(len(name), *(len(row[name]) for row in rows)) for name in ("model", "segment"))
    half = max(1, room // 2)
    return {"model": min(model, max(half, room - segment)), "segment": min(segment, max(half, room - model))}


def _wide(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update_width(_ANY_WIDTH), table).maximum


def _table(rows: list[dict[str, str]], names: list[str], limits: dict[str, int]) -> Table:
    made = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        made.add_column(name, no_wrap=True, max_width=limits.get(name))
    for row in rows:
        made.add_row(*(Text(row[name]) for name in names))
    return made


def _cells(record: WindowMetrics) -> dict[str, str]:
    cells = {
        "model": f"{record.model} {record.model_version}",
        "segment": record.segment,
        "window": iso(record.window_start)[:16].replace("T", " "),
        "state": record.state,
        "scored": str(record.predictions),
        "labels": "-" if record.coverage is None else f"{record.coverage:.0%}",
    }
    numbers = {name: interval(getattr(record, name)) for name in _METRICS.get(record.task, ())}
    return {name: shown(cell) for name, cell in (cells | numbers).items()}


def interval(metric: Metric | None) -> str:
    """A number with its interval; a dash where it is not known.

    >>> interval(Metric(0.9123, 0.89, 0.93)), interval(None)
    ('0.912 (0.890 to 0.930)', '-')
    """
    if metric is None:
        return "-"
    span = "" if metric.low is None or metric.high is None else f" ({metric.low:.3f} to {metric.high:.3f})"
    return f"{metric.value:.3f}{span}"
