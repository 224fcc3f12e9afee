"""Plots of one number against another: calibration, and the share of labels by age."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from leadline.report.over_time import picture
from leadline.report.svg import Markup, Scale, Value, join, tag, ticks
from leadline.report.times import age_words

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 460, 340, 52, 40


class Square(NamedTuple):
    """The two scales of a plot."""

    x: Scale
    y: Scale

    @classmethod
    def of(cls, x_high: float, y_high: float) -> "Square":
        return cls(Scale(0, x_high, _LEFT, _WIDTH - 12), Scale(0, y_high, _HEIGHT - _BOTTOM, 10))

    def frame(self, x_words: Iterable[tuple[float, str]], x_name: str) -> Markup:
        told = list[Markup]()
        for at, words in x_words:
            where = _tick(self.x(at), _HEIGHT - _BOTTOM + 15, "middle")
            told += [self.line("grid", (at, 0), (at, self.y.high)), tag("text", where, words)]
        for at in ticks(0, self.y.high):
            where = _tick(_LEFT - 5, self.y(at) + 4, "end")
            told += [self.line("grid", (0, at), (self.x.high, at)), tag("text", where, f"{at * 100:.4g} %")]
        middle = (_LEFT + _WIDTH) / 2
        told.append(tag("text", {"class": "axis", "x": middle, "y": _HEIGHT - 8, "text-anchor": "middle"}, x_name))
        return join(told)

    def line(self, name: str, start: tuple[float, float], stop: tuple[float, float]) -> Markup:
        ends = {"x1": self.x(start[0]), "y1": self.y(start[1]), "x2": self.x(stop[0]), "y2": self.y(stop[1])}
        return tag("line", {"class": name, **ends})

    def curve(self, name: str, points: Sequence[tuple[float | None, float | None]]) -> Markup:
        """A line through the points; one that is not known is a gap."""
        path, pen = list[str](), "M"
        for x, y in points:
            if x is None or y is None:
                pen = "M"
                continue
            path.append(f"{pen}{self.x(x):.1f} {self.y(y):.1f}")
            pen = "L"
        return tag("path", {"class": f"line {name}", "d": "".join(path)})


def _tick(x: float, y: float, anchor: str) -> dict[str, Value]:
    return {"class": "tick", "x": x, "y": y, "text-anchor": anchor}


def calibration(groups: Sequence[dict[str, Any]]) -> Markup:
    """The share of positive outcomes by score, live with intervals and in the reference, beside the line where both are equal."""
    names = ("score", "live", "live_high", "reference", "reference_score")
    known = [each[name] for each in groups for name in names if each[name] is not None]
    most = min(1.0, ticks(0, max(known) * 1.25)[-1] or 1.0)
    most = max(most, *known)
    square = Square.of(most, most)
    marks = [
        square.line("bar realised", (each["score"], each["live_low"]), (each["score"], each["live_high"]))
        for each in groups
    ]
    dots = [
        tag("circle", {"class": "dot", "cx": square.x(each["score"]), "cy": square.y(each["live"]), "r": 3.5})
        for each in groups
    ]
    return picture(
        "share of positive outcomes by score, live and in the reference",
        _WIDTH,
        _HEIGHT,
        square.frame(((at, f"{at:.4g}") for at in ticks(0, most)), "score"),
        square.line("reference", (0, 0), (most, most)),
        square.curve("of-reference", [(each["reference_score"], each["reference"]) for each in groups]),
        *marks,
        square.curve("realised", [(each["score"], each["live"]) for each in groups]),
        *dots,
    )


def delays(labels: dict[str, Any]) -> Markup:
    """The share of predictions that have their outcome, by the time since the event."""
    ages = labels["ages"]
    square = Square.of(ages[-1]["age_ms"], 1.0)
    words = [(each["age_ms"], age_words(each["age_ms"])) for each in ages[:: max(1, len(ages) // 6)]]
    end = labels["in_the_end"]
    return picture(
        "share of predictions that have their outcome, by the time since the event",
        _WIDTH,
        _HEIGHT,
        square.frame(words, "time since the event"),
        square.line("reference", (0, end), (square.x.high, end)),
        square.curve("labels", [(each["age_ms"], each["share"]) for each in ages]),
    )
