"""SVG as text. Whatever is a text in it, and every attribute, is escaped here and nowhere else."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from leadline.foreign_text import shown

LONGEST = 400
Value = str | float | int


class Markup(str):
    """Text that is markup already: it was made by `tag`, or is ours."""

    __slots__ = ()


def safe(text: object, limit: int = LONGEST) -> Markup:
    r"""A text from outside as markup: it shows, and does nothing.

    >>> print(safe("<script>'\u202e"))
    &lt;script&gt;&#x27;\u202e
    """
    return Markup(escape(shown(text, limit), quote=True))


def tag(name: str, attributes: dict[str, Value] | None = None, *inside: Markup | str) -> Markup:
    """An element; what is inside is escaped where it is no markup.

    >>> tag("p", {"class": "a"}, "1 < 2", tag("br"))
    '<p class="a">1 &lt; 2<br></br></p>'
    """
    told = "".join(f' {key}="{safe(_short(value), 1 << 20)}"' for key, value in (attributes or {}).items())
    return Markup(f"<{name}{told}>{join(inside)}</{name}>")


def join(parts: Iterable[Markup | str]) -> Markup:
    """Parts one after the other, those that are no markup escaped."""
    return Markup("".join(each if isinstance(each, Markup) else safe(each) for each in parts))


def _short(value: Value) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a value lies in a picture."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + part * (self.stop - self.start)


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers between two, of which there are about so many.

    >>> ticks(0.0, 1.0), ticks(0.61, 0.87), ticks(1.0, 1.0)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.65, 0.7, 0.75, 0.8, 0.85], [1.0])
    """
    if high <= low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= raw * 0.75)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) + 0.0 for i in range(first, math.floor(high / step + 1e-9) + 1)]


Span = tuple[float, float, float | None]
"""From where to where in x, and the y that holds there; None: none does."""


def steps(spans: Sequence[Span]) -> str:
    """The path of values that hold for a while each; what is not known, and what is not next to each other, is a gap.

    >>> steps([(0, 1, 5.0), (1, 2, 6.0), (2, 3, None), (3, 4, 7.0)])
    'M0 5H1V6H2M3 7H4'
    """
    path, end = [], None
    for start, stop, y in spans:
        if y is not None:
            path.append(f"{'V' if end == start else f'M{_short(float(start))} '}{_short(y)}H{_short(float(stop))}")
        end = stop if y is not None else None
    return "".join(path)


def areas(spans: Sequence[tuple[float, float, float | None, float | None]]) -> str:
    """The path of areas between two values each; a gap where one is not known.

    >>> areas([(0, 1, 5.0, 3.0), (1, 2, None, 1.0)])
    'M0 5H1V3H0Z'
    """
    return "".join(
        f"M{_short(float(start))} {_short(low)}H{_short(float(stop))}V{_short(high)}H{_short(float(start))}Z"
        for start, stop, low, high in spans
        if low is not None and high is not None
    )
