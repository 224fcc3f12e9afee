"""Single values of the loop's own records as JSON, and back: times, numbers, exact sums, texts and bytes."""

import math
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from leadline.wire.conversion import moment

_UNITS = 10**12
_LONGS = 2**63
_ANY_YEAR = re.compile(r"-?[0-9]{3,9}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_FAR = {"Infinity": math.inf, "-Infinity": -math.inf}


class JsonError(ValueError):
    """The JSON is not the record; the message names the field."""


class Way(NamedTuple):
    """How a value of some schema is written and read; None: as it is."""

    write: Callable[[Any], Any] | None
    read: Callable[[Any], Any]


def listed(value: Any) -> list[Any]:
    """The values of an array; features and categories are objects, by name or by place."""
    if isinstance(value, dict):
        return list(value.values())
    if not isinstance(value, list):
        raise JsonError("is not an array")
    return value


def iso_ms(time_ms: int) -> str:
    """A time as ISO-8601 in UTC with milliseconds, of any year.

    >>> iso_ms(0), iso_ms(2**53)
    ('1970-01-01T00:00:00.000Z', '287396-10-12T08:59:00.992Z')
    """
    return str(np.datetime64(time_ms, "ms")) + "Z"


def read_time(value: Any) -> int:
    if isinstance(value, str) and _ANY_YEAR.fullmatch(value):
        try:
            return int(np.datetime64(value[:-1], "ms").astype(np.int64))
        except ValueError:
            raise JsonError("is no day of the calendar") from None
    return moment(value)


def decimal_text(value: bytes) -> str:
    """An exact sum, whose unit is 1e-12.

    >>> decimal_text((-2_500_000_000_000).to_bytes(8, "big", signed=True)), decimal_text(bytes(1))
    ('-2.5', '0')
    """
    units = int.from_bytes(value, "big", signed=True)
    whole, places = divmod(abs(units), _UNITS)
    return f"{'-' if units < 0 else ''}{whole}.{places:012d}".rstrip("0").rstrip(".")


def decimal_bytes(value: Any) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,99}(\.[0-9]{1,12})?", value):
        raise JsonError("is not a decimal with at most twelve places, in a text")
    whole, _, places = value.partition(".")
    units = int(whole + places.ljust(12, "0"))
    return units.to_bytes(units.bit_length() // 8 + 1, "big", signed=True)


def _double(value: float) -> float | str | None:
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _read_double(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, str) and value in _FAR:
        return _FAR[value]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise JsonError("is not a number")
    try:
        return float(value)
    except OverflowError:
        raise JsonError("is too large a number") from None


def _doubles(values: list[float]) -> list[Any]:
    """Mostly they are all finite: then no single one is looked at."""
    return values if math.isfinite(sum(values)) else list(map(_double, values))


def _read_doubles(value: Any) -> list[float]:
    values = listed(value)
    return values if set(map(type, values)) == {float} else list(map(_read_double, values))


def _long(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -_LONGS <= value < _LONGS:
        raise JsonError("is not a whole number")
    return value


def read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise JsonError("is not a string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise JsonError("has half a surrogate pair: it is no Unicode") from None
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise JsonError("is not true or false")
    return value


def _bytes(value: Any) -> bytes:
    try:
        return b64decode(read_text(value), validate=True)
    except ValueError:
        raise JsonError("is not base64") from None


PLAIN = {
    "string": Way(None, read_text),
    "long": Way(None, _long),
    "int": Way(None, _long),
    "double": Way(_double, _read_double),
    "float": Way(_double, _read_double),
    "boolean": Way(None, _boolean),
    "bytes": Way(lambda value: b64encode(value).decode(), _bytes),
}
DOUBLES = Way(_doubles, _read_doubles)
