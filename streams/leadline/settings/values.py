"""What all settings share: durations, and errors that a person can mend."""

import re
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo

from leadline.errors import LeadlineError

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class SettingsError(LeadlineError):
    """A setting is missing or wrong; the message says which, where, and what to do."""


def duration_ms(value: str | int) -> int:
    """Milliseconds of a duration such as ``12h`` (units ms, s, m, h, d, w; parts add up; a bare number is milliseconds).

    >>> duration_ms("12h"), duration_ms("1d 12h"), duration_ms(250)
    (43200000, 129600000, 250)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = str(value).strip()
    parts = re.findall(r"([0-9]+)\s*(ms|s|m|h|d|w)", text)
    if not parts or re.sub(r"([0-9]+)\s*(ms|s|m|h|d|w)|\s", "", text):
        raise ValueError(f"{value!r} is not a duration: write for example 30s, 12h or 7d")
    return sum(int(number) * UNITS_MS[unit] for number, unit in parts)


def size_bytes(value: object) -> object:
    """Bytes of a size such as ``2GiB`` (units KiB, MiB, GiB; a bare number is bytes); None from ``none``.

    >>> size_bytes("2GiB"), size_bytes("none"), size_bytes(1024)
    (2147483648, None, 1024)
    """
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"([0-9]+)\s*([KMG]iB)?", value.strip())
    if value.strip().lower() != "none" and found is None:
        raise ValueError(f"{value!r} is not a size: write for example 512MiB or 2GiB, or none")
    return None if found is None else int(found[1]) << {None: 0, "KiB": 10, "MiB": 20, "GiB": 30}[found[2]]


def explain(error: ValidationError, prefix: str = "") -> str:
    """A validation error in one line: each wrong field and why."""
    return "; ".join(f"{_field(e['loc'], prefix)}{e['msg'].removeprefix('Value error, ')}" for e in error.errors())


def _field(path: tuple[int | str, ...], prefix: str) -> str:
    name = ".".join(map(str, path)) or ("" if prefix else "settings")
    return name and f"{prefix + name.upper() if prefix and name.islower() else name}: "


class Address(NamedTuple):
    """Where a server listens; port 0 is any free one."""

    host: str
    port: int


def address(value: object) -> object:
    """An address from ``host:port`` (an IPv6 address in brackets); None from ``none``.

    >>> address("127.0.0.1:8088"), address("[::1]:0"), address("none")
    (Address(host='127.0.0.1', port=8088), Address(host='::1', port=0), None)
    """
    if not isinstance(value, str) or value.strip().lower() == "none":
        return None if isinstance(value, str) else value
    host, _, port = value.strip().rpartition(":")
    if not re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+", host) or not re.fullmatch("[0-9]{1,5}", port):
        raise ValueError(f"{value!r} is not an address: write for example 127.0.0.1:8088, or none")
    if int(port) > 65_535:
        raise ValueError(f"{port} is no port: they end at 65535")
    return Address(host.strip("[]"), int(port))


DurationMs = Annotated[int, BeforeValidator(duration_ms)]
PositiveMs = Annotated[DurationMs, Field(gt=0)]


def is_duration(field: FieldInfo) -> bool:
    """Whether a setting is a duration, or may be none."""
    return any(name.endswith("_ms") for name in _readers(field))


def is_size(field: FieldInfo) -> bool:
    """Whether a setting is a size in bytes that may be written as such."""
    return size_bytes.__name__ in _readers(field)


def _readers(field: FieldInfo) -> list[str]:
    """The functions that make a value of what was written: of the setting, or of what it is if it is not none."""
    inner = [each for part in get_args(field.annotation) for each in _metadata(part)]
    return [each.func.__name__ for each in (*field.metadata, *inner) if isinstance(each, BeforeValidator)]


def _metadata(kind: Any) -> tuple[Any, ...]:
    return getattr(kind, "__metadata__", ())
