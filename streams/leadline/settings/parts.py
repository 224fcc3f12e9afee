"""The three parts of a model's settings: which key belongs to which, and the changes of the part that may change while workers run."""

import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ValidationError

from leadline.settings.model import ModelSettings
from leadline.settings.values import SettingsError, explain

VALUE_CHARS = 1000
"""Of a value that is changed live."""


class Part(StrEnum):
    """What a setting is a part of, and so when it may change.

    Version: how a version answers; it never changes once a version is there. Join: what is counted, and into which windows; it never
    changes once something was counted. Watch: when somebody is told; it changes live, by `leadline model configure`. Release: how a next
    version is trained, compared and let in; it names code and persons, so it changes in model.toml alone, by who may write that file.
    """

    VERSION = "version"
    JOIN = "join"
    WATCH = "watch"
    RELEASE = "release"


KEYS: Mapping[Part, tuple[str, ...]] = {
    Part.VERSION: ("positive", "threshold", "numeric", "categorical", "categories", "trusted", "lookups", "missing"),
    Part.JOIN: (
        "name",
        "task",
        "score",
        "horizon",
        "grace",
        "window",
        "policy",
        "unlabelled",
        "segments",
        "segment_limit",
    ),
    Part.WATCH: ("alerts", "drift", "rollout", "retrain_cooldown", "runbook"),
    Part.RELEASE: ("training", "gate", "approval"),
}
"""The keys of a model.toml; a table is of one part as a whole."""
PART_OF = {key: part for part, keys in KEYS.items() for key in keys}
_WHEN = {
    Part.VERSION: "it is as the model was added, and never changes",
    Part.JOIN: "windows are counted by it, and it never changes",
    Part.RELEASE: "it names code and persons: change it in model.toml",
}


def live_keys() -> list[str]:
    """The keys that change live, as a model.toml has them, with the table in front.

    >>> [key for key in live_keys() if key.startswith("drift.p")]
    ['drift.psi', 'drift.p_value']
    """
    return [key for name in KEYS[Part.WATCH] for key in _keys(name)]


def _keys(name: str) -> Iterator[str]:
    kind = ModelSettings.model_fields[name].annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from (f"{name}.{each}" for each in kind.model_fields)
    else:
        yield name


def check_live(keys: Mapping[str, str]) -> None:
    """Raise SettingsError where one of these is no key that changes live, or has a value without end."""
    known = live_keys()
    for key, text in keys.items():
        part = PART_OF.get(key.partition(".")[0])
        if part in _WHEN:
            raise SettingsError(f"{key} is a setting of the {part}: {_WHEN[part]}")
        if key not in known:
            raise SettingsError(f"{key[:VALUE_CHARS]} is no setting that changes live: choose from {', '.join(known)}")
        if len(text) > VALUE_CHARS:
            raise SettingsError(f"{key}: a value has at most {VALUE_CHARS} characters")


def changed(settings: ModelSettings, changes: Mapping[str, str]) -> ModelSettings:
    """The settings with these values of live keys, each as a model.toml has it, text also without quotes. Raises SettingsError.

    >>> found = changed(ModelSettings(name="m"), {"alerts.margin": "0.1", "retrain_cooldown": "2d", "runbook": "ask Ada"})
    >>> found.alerts.margin, found.retrain_cooldown, found.runbook
    (0.1, 172800000, 'ask Ada')
    """
    data = settings.model_dump()
    for key, text in changes.items():
        name, _, inner = key.partition(".")
        if inner:
            data[name][inner] = _value(text)
        else:
            data[name] = _value(text)
    try:
        return ModelSettings.model_validate(data)
    except ValidationError as error:
        raise SettingsError(explain(error)) from None


def in_force(settings: ModelSettings, changes: Mapping[str, str]) -> ModelSettings:
    """The settings with all changes that fit: another release, or another model.toml, may know a key or a value no more.

    >>> in_force(ModelSettings(name="m"), {"drift.psi": "none", "drift.gone": "1", "runbook": "ask Ada"}).runbook
    'ask Ada'
    """
    known = {key: text for key, text in changes.items() if key in live_keys()}
    try:
        return changed(settings, known)
    except SettingsError:
        for key, text in known.items():
            settings = _where_it_fits(settings, key, text)
        return settings


def _where_it_fits(settings: ModelSettings, key: str, text: str) -> ModelSettings:
    try:
        return changed(settings, {key: text})
    except SettingsError:
        return settings


def _value(text: str) -> Any:
    r"""A value of TOML, or else the text itself.

    >>> _value("0.5"), _value("2d"), _value("true"), _value('"1"'), _value("1\nb = 2")
    (0.5, '2d', True, '1', '1\nb = 2')
    """
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return found["value"] if len(found) == 1 else text
