"""Model settings as TOML text."""

import json
from collections.abc import Mapping
from typing import Any

from leadline.settings import ModelSettings


def settings_toml(settings: ModelSettings) -> str:
    """The text of a ``model.toml`` that reads back as equal settings; durations in milliseconds.

    >>> print(settings_toml(ModelSettings(name="fraud", positive="yes", grace="never")).partition("numeric")[0], end="")
    name = "fraud"
    task = "binary"
    positive = "yes"
    score = "probability"
    """
    values = settings.model_dump()
    if values["grace"] is None:
        values["grace"] = "never"
    return "\n".join(_table(values, ())) + "\n"


def toml_line(key: str, value: Any) -> str:
    """A key with its value.

    >>> toml_line("a b", ["x"])
    '"a b" = ["x"]'
    """
    return f"{_key(key)} = {_value(value)}"


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Lines of a table: its values, then its tables; None has no line, which reads back as the default None."""
    plain = [toml_line(key, value) for key, value in values.items() if _is_plain(value)]
    lines = [f"\n[{'.'.join(map(_key, path))}]", *plain] if path and plain else plain
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += _table(value, (*path, key))
    return lines


def _is_plain(value: Any) -> bool:
    return value is not None and not isinstance(value, Mapping)


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else _text(name)


def _value(value: Any) -> str:
    r"""One value; finite floats keep their digits, ``inf`` and ``nan`` are TOML too.

    >>> _value([1, 2.5, True, 'a"b']), _value({"x": 1, "a b": "c"})
    ('[1, 2.5, true, "a\\"b"]', '{x = 1, "a b" = "c"}')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(toml_line(key, each) for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _text(value: str) -> str:
    """A quoted string: JSON's escapes are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
