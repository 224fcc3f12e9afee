"""``leadline model show``: the settings of a model as they are in force, or all that is known of one version."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic.fields import FieldInfo

from leadline.cli.common import LINE, Json, broker, models_of, put, wait_for
from leadline.cli.model_list import known
from leadline.cli.named import Model, Named, Version, named, split
from leadline.cli.newest import live_settings
from leadline.core.release.lineage import Decisions
from leadline.foreign_text import as_json, shown
from leadline.records import LiveSetting, LiveSettings, Rollout, iso
from leadline.settings import ModelSettings, Part, SettingsError, changed, check_live, in_force, load_settings
from leadline.settings.parts import KEYS
from leadline.settings.values import is_duration

if TYPE_CHECKING:
    from leadline.learning.model_files import ModelFiles

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_MAY_CHANGE = {
    Part.VERSION: "as it was added; it never changes",
    Part.JOIN: "windows are counted by it; it never changes",
    Part.WATCH: "`leadline model configure` changes it while workers run",
    Part.RELEASE: "change it in model.toml; how a next version is trained, compared and let in",
}


def show_one(model: Model, version: Version = "", json: Json = False) -> None:
    """Show a model's settings by their parts, and who changed what while workers run; or all that is known of one version."""
    from leadline.learning.model_files import ModelFiles

    one = split(model, version)
    files = ModelFiles(models_of(load_settings(), one.model))
    if one.version:
        _show_version(files, named(model, version), json)
        return
    settings = files.settings(model)
    if settings is None:
        raise SettingsError(f"{files.root} has no model {model}: `leadline model list` shows which there are")
    decided, live = known().get(model, Decisions()), _live().get(model)
    changes, rollout = live.settings if live else [], decided.rollout
    found = in_force(settings, {each.key: each.value for each in changes})
    if json:
        parts = {part.value: dict(_entries(found, part)) for part in Part}
        changed_ = [asdict(each) | {"in_force": _holds(found, each)} for each in changes]
        told: dict[str, Any] = {"model": model, "versions": files.versions(model)}
        put(as_json(told | {"champion": rollout and asdict(rollout), "settings": parts, "changed": changed_}))
        return
    put(f"{model}: versions here {', '.join(files.versions(model)) or 'none'}; champion {_who(rollout)}")
    for line in _lines(settings, found, changes):
        put(line)


def _show_version(files: "ModelFiles", one: Named, json: bool) -> None:
    from leadline.learning.portrait import parts, portrait

    found = parts(portrait(files, *one, known().get(one.model, Decisions())))
    if json:
        put(as_json({"model": one.model, "version": one.version, **found}))
        return
    put(f"{one.model} {one.version}")
    for part, values in found.items():
        put(f"{part}:" if values else f"{part}: nothing is known")
        for name, value in values.items():
            put(f"  {shown(name)} = {shown(value if isinstance(value, str) else as_json(value), LINE)}")


def _live() -> Mapping[str, LiveSettings]:
    if load_settings().kafka_bootstrap is None:
        return {}
    settings, bootstrap = broker()
    return wait_for(live_settings(bootstrap, settings.prefix))


def _who(rollout: Rollout | None) -> str:
    if rollout is None:
        return "none"
    return f"{rollout.champion} ({rollout.actor}, {_when(rollout.event_time)}: {rollout.reason})"


def _lines(settings: ModelSettings, found: ModelSettings, changes: list[LiveSetting]) -> Iterator[str]:
    by_key = {each.key: each for each in changes if _holds(found, each)}
    for part in Part:
        yield f"{part}: {_MAY_CHANGE[part]}"
        before = dict(_entries(settings, part))
        for key, value in _entries(found, part):
            by = f"  ({_by(by_key[key])}; model.toml: {_text(key, before[key])})" if key in by_key else ""
            yield f"  {key} = {_text(key, value)}{by}"
    for each in changes:
        if each.key not in by_key:
            yield f"  not in force here: {each.key} = {each.value} ({_by(each)}): this release, or model.toml, does not take it"


def _by(change: LiveSetting) -> str:
    return f"{change.actor}, {_when(change.as_of)}: {change.reason}"


def _when(time_ms: int) -> str:
    return iso(time_ms // 1000 * 1000)


def _holds(found: ModelSettings, change: LiveSetting) -> bool:
    """Whether a change is in force."""
    values = {change.key: change.value}
    try:
        check_live(values)
        return changed(found, values) == found
    except SettingsError:
        return False


def _entries(settings: ModelSettings, part: Part) -> Iterator[tuple[str, Any]]:
    """The settings of a part by their keys; of alerts, rollout and the other tables of settings each one."""
    values = settings.model_dump()
    for key in KEYS[part]:
        if part in (Part.WATCH, Part.RELEASE) and isinstance(values[key], Mapping):
            yield from ((f"{key}.{inner}", value) for inner, value in values[key].items())
        else:
            yield key, values[key]


def _text(key: str, value: Any) -> str:
    """A value as a model.toml may have it; a dash where nothing is said.

    >>> _text("rollout.bake", 129_600_000), _text("grace", None), _text("rollout.watch", None), _text("numeric", ["a"])
    ('1d 12h', 'never', '-', '["a"]')
    """
    if value is None:
        return "never" if key == "grace" else "-"
    return _duration(value) if is_duration(_field(key)) else as_json(value)


def _field(key: str) -> FieldInfo:
    name, _, inner = key.partition(".")
    field = ModelSettings.model_fields[name]
    return field.annotation.model_fields[inner] if inner else field  # type: ignore[union-attr]


def _duration(value_ms: int) -> str:
    parts = []
    for unit, size in _UNITS.items():
        count, value_ms = divmod(value_ms, size)
        parts += [f"{count}{unit}"] if count else []
    return " ".join(parts) or "0s"
