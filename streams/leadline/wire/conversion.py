"""Values from outside become fields of records: the one way, whether they come in a file, as JSON on a topic or in a log.

One value has one text and one number. Null and NaN are absent, and so is an empty text.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from leadline.records import brief, to_number

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FLOATING = r"^(-?[0-9]+)\.0+$"
"""A whole number that was written as a float."""
_WHOLE = re.compile(FLOATING)
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_WORDS = {"true": "true", "True": "true", "TRUE": "true", "false": "false", "False": "false", "FALSE": "false"}
_MOST_MS = 2**63


class ConversionError(ValueError):
    """A value is not what its field takes; the message names the field, and says what the value is."""


# -- values -----------------------------------------------------------------------------------------------------------


def number(value: Any) -> float | None:
    """A number; true is 1 and false is 0. Raises ConversionError.

    >>> number("40"), number(True), number(Decimal("0.1")), number(float("nan")), number("")
    (40.0, 1.0, 0.1, None, None)
    """
    found = _number(value)
    return None if found is None or math.isnan(found) else found


def category(value: Any) -> str | None:
    """The text of a category: whole numbers without point, booleans in small letters. Raises ConversionError.

    >>> category(3.0), category("3.0"), category(3), category(True), category("True"), category(b"a"), category("007")
    ('3', '3', '3', 'true', 'true', 'a', '007')
    >>> category(None), category(float("nan")), category("")
    (None, None, None)
    """
    if _is_missing(value):
        return None
    if isinstance(value, str | bytes):
        return _canonical(_decoded(value)) or None
    if isinstance(value, bool | int | float | UUID):
        return _canonical(str(value))
    if isinstance(value, Decimal):
        return _canonical(format(value.normalize(), "f"))
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    raise ConversionError(f"is {_shown(value)}, not a text, a number or a boolean")


def class_text(value: Any) -> str | None:
    """The text of a class or label, however it is written: what says the same number is the same class. Raises ConversionError.

    >>> class_text(1), class_text("1.0"), class_text(True), class_text("007"), class_text("yes"), class_text("nan"), class_text(None)
    ('1', '1', '1', '7', 'yes', 'nan', None)
    """
    try:
        found = number(value)
    except ConversionError:
        found = None
    return category(value if found is None else found)


def identifier(value: Any) -> str | None:
    """An id: a text as it is, a whole number as its digits. Raises ConversionError.

    >>> identifier("101"), identifier(101), identifier(101.0), identifier(b"g1"), identifier("101.0"), identifier(None)
    ('101', '101', '101', 'g1', '101.0', None)
    """
    if _is_missing(value):
        return None
    if isinstance(value, str | bytes):
        return _decoded(value)
    if isinstance(value, float | Decimal) and value == value // 1:
        return str(int(value))
    if isinstance(value, int | UUID) and not isinstance(value, bool):
        return str(value)
    raise ConversionError(f"is {_shown(value)}, neither a text nor a whole number")


def untyped_identifier(text: str) -> str:
    """An id from a file without types: there digits with ``.0`` are a whole number that was written as a float.

    >>> untyped_identifier("101.0"), untyped_identifier("a.0")
    ('101', 'a.0')
    """
    return _WHOLE.sub(r"\1", text) if _WHOLE.fullmatch(text) else text


def moment(value: Any) -> int:
    """Epoch milliseconds, from a number of them or from ISO-8601 with zone; what is finer is cut off. Raises ConversionError.

    >>> moment("1970-01-01T00:00:00.123999999Z"), moment("1970-01-01 01:00:00+01"), moment(1500.9), moment("1500.9")
    (123, 0, 1500, 1500)
    """
    if isinstance(value, str):
        value = _read_moment(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return (value - _EPOCH) // timedelta(milliseconds=1)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST_MS:
        return math.floor(value)
    if value in (None, ""):
        raise ConversionError("is missing")
    if isinstance(value, datetime):
        raise ConversionError(f"is {value}, which has no zone: write ISO-8601 with zone, such as {value.isoformat()}Z")
    raise ConversionError(f"is {_shown(value)}, neither epoch milliseconds nor ISO-8601 with zone")


def outcome(value: Any) -> float | None:
    """What really happened, as a number; None takes back what was said before. NaN stays, and is refused as any number that is not finite.

    >>> outcome(True), outcome("1"), outcome(0.5), outcome(None), outcome("")
    (1.0, 1.0, 0.5, None, None)
    """
    return _number(value)


def number_or_name(value: Any) -> float | str | None:
    """The same, where a text that is no number is the name of a class.

    >>> number_or_name("1"), number_or_name("yes"), number_or_name("true"), number_or_name("")
    (1.0, 'yes', 1.0, None)
    """
    try:
        return outcome(value)
    except ConversionError:
        if isinstance(value, str | bytes):
            return category(value)
        raise


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _number(value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            word = _WORDS.get(value.strip())
            return to_number(value) if word is None else float(word == "true")
        if isinstance(value, bool | int | float | Decimal):
            return float(value)
    except OverflowError:
        raise ConversionError(f"is {_shown(value)}, too large a number") from None
    except ValueError:
        pass
    raise ConversionError(f"is {_shown(value)}, not a number")


def _canonical(text: str) -> str:
    found = _WHOLE.fullmatch(text)
    if found is None:
        return _WORDS.get(text, text)
    return "0" if found[1] == "-0" else str(found[1])


def _decoded(value: str | bytes) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ConversionError(f"is {brief(str(value))}: bytes that are no UTF-8") from None


def _read_moment(text: str) -> datetime | float | str:
    """The number or the moment that a text says; the text itself where it says neither."""
    if _PLAIN_NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return brief(value)
    if isinstance(value, datetime):
        return str(value)
    return brief(str(value))[1:-1] if isinstance(value, bool | int | float) else f"a {type(value).__name__}"


# -- fields of records ------------------------------------------------------------------------------------------------

Given = Mapping[str, Any]


def outcome_fields(given: Given) -> dict[str, Any]:
    """The fields of an Outcome, whose class may be named by ``outcome`` or by ``class_name``; raises ConversionError.

    >>> outcome_fields({"request_id": 7, "outcome": True, "outcome_time": 0})
    {'request_id': '7', 'outcome': 1.0, 'outcome_time': 0, 'class_name': None}
    >>> outcome_fields({"request_id": 7, "outcome": "yes", "outcome_time": 0})
    {'request_id': '7', 'outcome': None, 'outcome_time': 0, 'class_name': 'yes'}
    """
    name = _field(given, "class_name", category)
    if "outcome" not in given and name is None:
        raise ConversionError("outcome is missing; null takes back what was said before")
    said = _field(given, "outcome", number_or_name)
    if None not in (name, said):
        raise ConversionError("outcome and class_name are both there: give one of them")
    return {
        "request_id": _required(given, "request_id", identifier),
        "outcome": None if isinstance(said, str) else said,
        "outcome_time": _field(given, "outcome_time", moment),
        "class_name": said if isinstance(said, str) else name,
    }


def request_fields(given: Given) -> dict[str, Any]:
    """The fields of a PredictionRequest; raises ConversionError."""
    features, categories = _object(given, "features"), _object(given, "categories")
    return {
        "request_id": _required(given, "request_id", identifier),
        "model": _required(given, "model", _text),
        "user_id": _field(given, "user_id", identifier) or "",
        "event_time": _field(given, "event_time", moment),
        "features": _present(features, _finite),
        "categories": _present(categories, category),
    }


def _present(given: Given, convert: Callable[[Any], Any]) -> dict[str, Any]:
    found = ((name, _field(given, name, convert)) for name in given)
    return {name: value for name, value in found if value is not None}


def _finite(value: Any) -> float | None:
    found = number(value)
    if found is not None and math.isinf(found):
        raise ConversionError("is infinite: a feature is a finite number, or missing")
    return found


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ConversionError("is not a string")


def _required(given: Given, name: str, convert: Callable[[Any], str | None]) -> str:
    found: str | None = _field(given, name, convert)
    if found is None:
        raise ConversionError(f"{name} is missing")
    return found


def _field(given: Given, name: str, convert: Callable[[Any], Any]) -> Any:
    try:
        return convert(given.get(name))
    except ConversionError as error:
        raise type(error)(f"{name if len(name) < 60 else brief(name)} {error}") from None


def _object(given: Given, name: str) -> Given:
    value = given.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise ConversionError(f"{name} is not an object")
    return value or {}


# -- missing columns --------------------------------------------------------------------------------------------------


def missing_columns(names: Iterable[str], there: Iterable[str]) -> str | None:
    """What to say where columns are missing; None where all are there.

    >>> missing_columns(["age"], ["Age", "x"])
    "no column age; it has Age, x (is age 'Age'?)"
    >>> missing_columns(["age"], ["request_id;age"])
    'no column age; it has request_id;age (are they separated by ";"? write commas)'
    """
    found = list(there)
    gone = [name for name in names if name not in found]
    if not gone:
        return None
    near = {name.strip().casefold(): name for name in found}
    like = [f"{name} {near[name.casefold()]!r}" for name in gone if name.casefold() in near]
    hint = f" (is {', '.join(like)}?)" if like else ""
    if len(found) == 1 and re.search("[;\t|]", found[0]):
        hint = ' (are they separated by ";"? write commas)'
    return f"no column {', '.join(gone)}; it has {', '.join(found)}{hint}"
