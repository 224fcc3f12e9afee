"""Plots over time: the three numbers with their intervals, the share of labels behind them, incidents; and the map of drift."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from leadline.report.content import KINDS
from leadline.report.svg import Markup, Scale, Value, areas, join, safe, steps, tag, ticks
from leadline.report.times import time_ticks

WIDTH, LEFT, RIGHT = 960, 150, 10
_PANEL, _STRIP, _GAP, _ROW = 96, 40, 12, 16
_NAME = 22
_LANES, _LANE = 4, 9
_SIDE = {
    "realised": "on the labels that are there",
    "estimated": "from scores alone",
    "nowcast": "labels, and scores for the rest",
}
_SHARES = ("accuracy", "precision", "recall", "auc", "f1")

Window = dict[str, Any]


class Axis(NamedTuple):
    """The windows of a version, from left to right."""

    windows: Sequence[Window]

    @property
    def x(self) -> Scale:
        return Scale(self.windows[0]["start_ms"], self.windows[-1]["end_ms"], LEFT, WIDTH - RIGHT)

    def span(self, window: Window) -> tuple[float, float]:
        """From where to where a window is drawn; rounded, so that neighbours meet."""
        x = self.x
        return round(x(window["start_ms"]), 1), round(x(window["end_ms"]), 1)

    def grid(self, top: float, bottom: float) -> Markup:
        """Lines and words of times."""
        x, low, high = self.x, self.windows[0]["start_ms"], self.windows[-1]["end_ms"]
        return join(_time(x(at), words, top, bottom) for at, words in time_ticks(low, high))


def _time(x: float, words: str, top: float, bottom: float) -> Markup:
    line = tag("line", {"class": "grid", "x1": x, "x2": x, "y1": top, "y2": bottom})
    anchor = "end" if x > WIDTH - 60 else "start" if x < LEFT + 20 else "middle"
    return join([line, tag("text", {"class": "tick", "x": x, "y": bottom + 13, "text-anchor": anchor}, words)])


def picture(title: str, width: float, height: float, *inside: Markup) -> Markup:
    """A whole SVG, which shrinks with the page."""
    kind = "long" if width == WIDTH else "square"
    box: dict[str, Value] = {
        "class": kind,
        "viewBox": f"0 0 {width:.0f} {height:.0f}",
        "role": "img",
        "style": f"max-width:{width:.0f}px",
    }
    return tag("svg", box, tag("title", {}, title), *inside)


# -- the three numbers ------------------------------------------------------------------------------------------------


def three_numbers(metric: str, version: dict[str, Any], incidents: Sequence[dict[str, Any]]) -> Markup:
    """Realised, estimated and nowcast below each other on one scale, then the share of labels, then incidents."""
    axis, marks = Axis(version["windows"]), version["marks"][metric]
    low, high = _domain(axis.windows, metric, marks)
    tops = [i * (_PANEL + _GAP) + 6 for i in range(len(KINDS))]
    panels = [
        _panel(axis, metric, kind, marks, Scale(low, high, top + _PANEL, top))
        for kind, top in zip(KINDS, tops, strict=True)
    ]
    strip = tops[-1] + _PANEL + _GAP
    lanes = lanes_of(axis, incidents)
    bottom = strip + _STRIP + _GAP + max(_ROW, len(lanes) * _LANE)
    return picture(
        f"{metric} of {version['version']}: realised, estimated and nowcast by window",
        WIDTH,
        bottom + 20,
        axis.grid(6, bottom),
        *panels,
        _labels(axis, strip),
        _incidents(axis, lanes, strip + _STRIP + _GAP),
    )


def _values(windows: Sequence[Window], metric: str, kind: str) -> list[list[float | None]]:
    return [window["numbers"][metric][kind] or [None, None, None] for window in windows]


def _domain(windows: Sequence[Window], metric: str, marks: dict[str, Any]) -> tuple[float, float]:
    """What is shown of the scale: all values, and what they are held against. Intervals may go beyond it."""
    values = [row[0] for kind in KINDS for row in _values(windows, metric, kind)] + [*marks.values()]
    known = [each for each in values if each is not None]
    if not known:
        return 0.0, 1.0
    room = max(0.01 * abs(max(known)), 0.15 * (max(known) - min(known)), 1e-9)
    low, high = min(known) - room, max(known) + room
    return (max(0.0, low), min(1.0, high)) if metric in _SHARES else (max(0.0, low), high)


def _panel(axis: Axis, metric: str, kind: str, marks: dict[str, Any], y: Scale) -> Markup:
    rows, spans = _values(axis.windows, metric, kind), [axis.span(each) for each in axis.windows]
    band = areas([(*span, _inside(y, row[1]), _inside(y, row[2])) for span, row in zip(spans, rows, strict=True)])
    line = steps([(*span, _inside(y, row[0])) for span, row in zip(spans, rows, strict=True)])
    empty = (
        "" if line else "none: it needs a reference with outcomes" if kind != "realised" else "no label has come yet"
    )
    return join(
        [
            _frame(y, kind),
            tag("path", {"class": f"band {kind}", "d": band}),
            *_lines(marks, y),
            tag("path", {"class": f"line {kind}", "d": line}),
            tag("text", {"class": "tick", "x": (LEFT + WIDTH) / 2, "y": (y.start + y.stop) / 2}, empty),
        ]
    )


def _inside(y: Scale, value: float | None) -> float | None:
    """Where a value lies, at most at the edge."""
    return None if value is None else y(min(y.high, max(y.low, value)))


def _frame(y: Scale, kind: str) -> Markup:
    """The name of a panel, and the ticks of its scale."""
    told = [
        tag("text", {"class": f"name {kind}", "x": 0, "y": y.stop + 12}, kind),
        *(
            tag("text", {"class": "tick", "x": 0, "y": y.stop + 27 + 13 * i}, line)
            for i, line in enumerate(_wrapped(_SIDE[kind]))
        ),
    ]
    for at in ticks(y.low, y.high):
        told += [
            tag("line", {"class": "grid", "x1": LEFT, "x2": WIDTH - RIGHT, "y1": y(at), "y2": y(at)}),
            tag("text", {"class": "tick", "x": LEFT - 4, "y": y(at) + 4, "text-anchor": "end"}, f"{at:.6g}"),
        ]
    return join(told)


def _wrapped(words: str) -> list[str]:
    """Words in lines of at most 18 characters."""
    lines = [""]
    for word in words.split():
        lines = [*lines, word] if len(lines[-1]) + len(word) > 17 else [*lines[:-1], f"{lines[-1]} {word}".strip()]
    return lines


def _lines(marks: dict[str, Any], y: Scale) -> Iterator[Markup]:
    for name, value in marks.items():
        if value is not None:
            yield tag("line", {"class": name, "x1": LEFT, "x2": WIDTH - RIGHT, "y1": y(value), "y2": y(value)})


def _labels(axis: Axis, top: float) -> Markup:
    y = Scale(0, 1, top + _STRIP, top)
    bars = [
        (*axis.span(each), y(0), None if each["labelled"] is None else y(each["labelled"])) for each in axis.windows
    ]
    return join(
        [
            tag("text", {"class": "name labels", "x": 0, "y": top + 12}, "labels"),
            tag("text", {"class": "tick", "x": 0, "y": top + 27}, "share that is there"),
            tag("text", {"class": "tick", "x": LEFT - 4, "y": top + 8, "text-anchor": "end"}, "100 %"),
            tag("text", {"class": "tick", "x": LEFT - 4, "y": top + _STRIP, "text-anchor": "end"}, "0"),
            tag("path", {"class": "bars labels", "d": areas(bars)}),
        ]
    )


def _incidents(axis: Axis, lanes: Sequence[Sequence[dict[str, Any]]], top: float) -> Markup:
    """From the window that opened each until it was over, or until now."""
    marks = [_incident(axis, each, top + i * _LANE) for i, lane in enumerate(lanes) for each in lane]
    return join([tag("text", {"class": "name", "x": 0, "y": top + 9}, "incidents"), *marks])


def _incident(axis: Axis, each: dict[str, Any], top: float) -> Markup:
    x, name = axis.x, "early" if each["early"] else "incident"
    start, stop = (min(WIDTH - RIGHT, max(LEFT, x(at))) for at in _lasts(axis, each))
    words = f"{each['kind']}, {each['state']}: {each['cause']}"
    shape = {"x": start, "y": top, "width": max(2.0, stop - start), "height": _LANE - 2}
    return tag("rect", {"class": name, **shape}, tag("title", {}, words))


def _lasts(axis: Axis, each: dict[str, Any]) -> tuple[int, int]:
    is_over = each["state"] in ("resolved", "withdrawn")
    return each["opened_ms"], each["told_ms"] if is_over else axis.windows[-1]["end_ms"]


def lanes_of(axis: Axis, incidents: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The incidents in lanes, so that those of one time are seen each; of very many at a time, the last lane has the rest."""
    lanes, first = list[list[dict[str, Any]]](), axis.windows[0]["start_ms"]
    for each in sorted(incidents, key=lambda each: each["opened_ms"]):
        if _lasts(axis, each)[1] < first:
            continue
        free = next((lane for lane in lanes if _lasts(axis, lane[-1])[1] <= each["opened_ms"]), None)
        if free is None and len(lanes) < _LANES:
            lanes.append([])
        (lanes[-1] if free is None else free).append(each)
    return lanes


# -- drift ------------------------------------------------------------------------------------------------------------


_UP_TO = (0.33, 0.66, 1.5, 3.0)
"""Of what the distance has to pass; beyond the last is the strongest."""


def drift_map(version: dict[str, Any]) -> Markup:
    """A row for each feature, darker where it is further from its reference; in another colour where it has drifted."""
    axis, rows = Axis(version["windows"]), version["drift"]
    bottom = len(rows) * _ROW + 4
    title = f"drift of {version['version']} by feature and window"
    drawn = [_row(axis, row, 4 + i * _ROW) for i, row in enumerate(rows)]
    return picture(title, WIDTH, bottom + 20, axis.grid(4, bottom), *drawn)


def _row(axis: Axis, row: dict[str, Any], top: float) -> Markup:
    name = row["feature"] if row["finding"] == "distribution" else f"{row['finding']} {row['feature']}"
    by_level: dict[str, list[tuple[float, float, float | None, float | None]]] = {}
    for window, ratio, drifted in zip(axis.windows, row["of_threshold"], row["drifted"], strict=True):
        if drifted is not None:
            cells = by_level.setdefault(level(ratio, drifted), [])
            start, stop = axis.span(window)
            if cells and cells[-1][1] == start:
                start = cells.pop()[0]
            cells.append((start, stop, top + _ROW - 2, top))
    paths = [tag("path", {"class": name_, "d": areas(cells)}) for name_, cells in sorted(by_level.items())]
    words = f"{name}: drifted in {row['drifted_windows']} of {row['windows']} windows. {row['effect']}"
    text = tag("text", {"class": "feature", "x": LEFT - 6, "y": top + 11, "text-anchor": "end"}, safe(name, _NAME))
    return tag("g", {}, tag("title", {}, words), text, *paths)


def level(ratio: float | None, drifted: bool) -> str:
    """The class of a cell.

    >>> level(0.2, False), level(1.2, True), level(9.0, True), level(None, False)
    ('usual0', 'drift2', 'drift4', 'usual0')
    """
    place = 0 if ratio is None else sum(ratio >= each for each in _UP_TO)
    return f"drift{max(2, place)}" if drifted else f"usual{min(2, place)}"
