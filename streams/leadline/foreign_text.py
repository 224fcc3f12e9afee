"""Text that came from outside, so that a terminal shows it and does not obey it.

A record, a file or a name may hold what ends a line, moves the cursor, writes backwards or cannot be seen. All of it is shown as escapes.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

LIMIT = 200
"""So many characters of a text are shown where nobody asks for more."""

_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that are no control, and that nobody sees: fillers, blanks, selectors of variants."""


def shown(text: object, limit: int = LIMIT) -> str:
    r"""A text in one line: what controls a terminal or deceives the eye as escapes, cut where it is longer than ``limit``.

    It may hold the markup of rich: print it as it is (`leadline.cli.common.say`), or as a `rich.text.Text`.

    >>> print(shown("zürich \x1b[31m\u202e\n\u200b\ud800"), shown("a" * 9, limit=5))
    zürich \x1b[31m\u202e\n\u200b\ud800 aaaa…
    """
    whole = str(text)
    part = whole if len(whole) <= limit else whole[: limit - 1]
    return "".join(map(_seen, part)) + ("…" if len(whole) > limit else "")


def lines_shown(text: str, limit: int = 20 * LIMIT) -> str:
    """Each line of a text as `shown` has it, the ends of lines kept: for what a program of ours made of several lines."""
    return "\n".join(shown(line, limit) for line in text.split("\n"))


def as_text(data: bytes | None) -> str | None:
    r"""Bytes as text, what is not UTF-8 as escapes.

    >>> print(as_text(b"a\xff"), as_text(None))
    a\xff None
    """
    return None if data is None else data.decode("utf-8", "backslashreplace")


def as_json(value: Any) -> str:
    r"""A value as one line of JSON that every parser reads and no terminal obeys; whole, however long.

    JSON knows neither NaN nor infinity: they are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.

    >>> print(as_json({"a\x9b": [float("nan"), 1.5, "\u202e\U000e0001ü"]}))
    {"a\u009b": ["NaN", 1.5, "\u202e\udb40\udc01ü"]}
    """
    return "".join(map(_json_seen, json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)))


def _hidden(char: str) -> bool:
    return not char.isprintable() or _UNSEEN.match(char) is not None


def _seen(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii") if _hidden(char) else char


def _json_seen(char: str) -> str:
    return json.dumps(char)[1:-1] if _hidden(char) else char


def _finite(value: Any) -> Any:
    """The same with strings for numbers that JSON does not know."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
