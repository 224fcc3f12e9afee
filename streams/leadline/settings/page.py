"""docs/settings.md: model.toml and the environment, made from the settings classes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from leadline.settings import meanings
from leadline.settings.installation import Security, Settings
from leadline.settings.model import AlertLimits, DriftLimits, Lookup, ModelSettings
from leadline.settings.parts import KEYS, Part
from leadline.settings.release import ApprovalSettings, GateSettings, RolloutSettings, TrainingSettings
from leadline.settings.values import UNITS_MS, Address, is_duration, is_size

_TOP = """# Settings
`scripts/settings-doc` writes this page from the settings classes (`streams/leadline/settings/`).

A duration is written as `30s`, `12h` or `1d 12h` (units ms, s, m, h, d, w), a size as `512MiB` or `2GiB`, or in bytes.
A key that is not listed here is an error that names it.

"""
_MODEL = """## model.toml
One TOML file for each model. `leadline model add --settings model.toml` checks it and keeps it with the model; see
[your own model](own-model.md) for a first one.

"""
_ENVIRONMENT = """## Environment
Workers and commands read these variables when they start.

"""
_SECURITY = """### Security
How clients prove themselves to Kafka, and Kafka to them; names as Kafka's own. [Security](security.md) says more.

"""
_TABLES: Sequence[tuple[str, type[BaseModel], Mapping[str, str]]] = (
    ("`[lookups.VIEW]`", Lookup, meanings.LOOKUP),
    ("`[alerts]`", AlertLimits, meanings.ALERTS),
    ("`[drift]`", DriftLimits, meanings.DRIFT),
    ("`[training]`", TrainingSettings, meanings.TRAINING),
    ("`[gate]`", GateSettings, meanings.GATE),
    ("`[approval]`", ApprovalSettings, meanings.APPROVAL),
    ("`[rollout]`", RolloutSettings, meanings.ROLLOUT),
)
_PARTS = {
    Part.VERSION: "How a version answers. It is as it was added, and never changes.",
    Part.JOIN: "What is counted, and into which windows. It never changes once something was counted.",
    Part.WATCH: "When somebody is told, and how a rollout goes. `leadline model configure MODEL KEY=VALUE --reason WHY` changes it while "
    "workers run.",
    Part.RELEASE: "How a next version is trained, compared and let in. It names code and persons, so it changes in model.toml alone.",
}
_PLAIN = {str: "text", float: "number", int: "whole number", bool: "true or false", Path: "path", Address: "address"}
_BOUNDS = {
    Ge: ("at least", "ge"),
    Gt: ("above", "gt"),
    Le: ("at most", "le"),
    Lt: ("below", "lt"),
    MaxLen: ("at most", "max_length"),
}


def page() -> str:
    """The page."""
    model = _MODEL + "".join(_part(part) for part in Part)
    tables = "".join(f"### {name}\n{_table(kind, words)}" for name, kind, words in _TABLES)
    environment = _ENVIRONMENT + _table(Settings, meanings.INSTALLATION)
    return (_TOP + model + tables + environment + _SECURITY + _table(Security, meanings.SECURITY)).rstrip("\n") + "\n"


def _part(part: Part) -> str:
    return f"### Of the {part}\n{_PARTS[part]}\n\n" + _table(ModelSettings, meanings.MODEL, KEYS[part])


def _table(kind: type[BaseModel], words: Mapping[str, str], keys: Sequence[str] | None = None) -> str:
    names = list(kind.model_fields) if keys is None else keys
    rows = [("key", "type", "default", "meaning"), ("---",) * 4, *_rows(kind, words, names)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows) + "\n"


def _rows(kind: type[BaseModel], words: Mapping[str, str], names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    prefix = kind.model_config.get("env_prefix", "")
    for name, field in ((name, kind.model_fields[name]) for name in names):
        yield f"`{_shown_name(name, field, str(prefix))}`", _type(field), _default(field), words[name]


def _shown_name(name: str, field: FieldInfo, prefix: str) -> str:
    if isinstance(field.validation_alias, AliasChoices):
        return str(field.validation_alias.choices[0])
    return f"{prefix}{name}".upper() if prefix else name


def _type(field: FieldInfo) -> str:
    is_none = NoneType in get_args(field.annotation)
    if is_duration(field):
        return "duration, or `never`" if is_none and field.default is not None else "duration"
    bounds = [each for each in field.metadata if type(each) in _BOUNDS]
    if is_size(field):
        kind = "size, or `none`" if is_none else "size"
        return ", ".join([kind, *(_bound(each, _size) for each in bounds)])
    return ", ".join([_words(field.annotation), *map(_bound, bounds)])


def _bound(limit: Any, written: Callable[[Any], str] = "{:,}".format) -> str:
    words, name = _BOUNDS[type(limit)]
    return f"{words} {written(getattr(limit, name))}"


def _words(kind: Any) -> str:
    """A type in words.

    >>> _words(list[str]), _words(float | None), _words(Literal["first", "latest"])
    ('list of text', 'number', '`first` or `latest`')
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in parts)
    if origin in (Union, UnionType):
        return " or ".join(_words(each) for each in parts if each is not NoneType)
    if origin is Annotated:
        return _words(parts[0])
    if origin is list:
        return f"list of {_words(parts[0])}"
    if origin is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return "table"
    return _PLAIN.get(kind, "text")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    if field.default is None:
        return "none"
    if field.default_factory is not None or isinstance(field.default, BaseModel):
        return ""
    if is_duration(field):
        return f"`{_duration(field.default)}`"
    if is_size(field):
        return f"`{_size(field.default)}`"
    return f"`{_value(field.default)}`"


def _value(value: Any) -> str:
    if isinstance(value, Address):
        return f"{value.host}:{value.port}"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:_}" if isinstance(value, int) else str(value) or '""'


def _duration(ms: int) -> str:
    """A duration in its largest unit that is whole; days rather than weeks.

    >>> _duration(86_400_000), _duration(5_400_000)
    ('1d', '90m')
    """
    unit = next(each for each in ("d", "h", "m", "s", "ms") if ms % UNITS_MS[each] == 0)
    return f"{ms // UNITS_MS[unit]}{unit}"


def _size(size: int) -> str:
    """A size in its largest unit that is whole.

    >>> _size(2 << 30), _size(67_108_864), _size(1000)
    ('2GiB', '64MiB', '1000')
    """
    shift, unit = next(each for each in ((30, "GiB"), (20, "MiB"), (10, "KiB"), (0, "")) if size % (1 << each[0]) == 0)
    return f"{size >> shift}{unit}"
