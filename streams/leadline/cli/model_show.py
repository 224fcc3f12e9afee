"""``leadline model list`` and ``leadline model show``: which models there are, and the settings of one as they are in force."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any, NamedTuple

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from leadline.cli.common import broker, out, put, say, wait_for
from leadline.cli.newest import live_settings, rollouts
from leadline.foreign_text import as_json, shown
from leadline.records import LiveSetting, LiveSettings, Rollout, iso
from leadline.settings import ModelSettings, Part, SettingsError, changed, check_live, in_force, load_settings
from leadline.settings.parts import KEYS

Json = Annotated[bool, typer.Option("--json", help="Print a line of JSON for each model.")]
_DURATIONS = ("horizon", "grace", "window", "retrain_cooldown")
_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_MAY_CHANGE = {
    Part.VERSION: "as it was added; it never changes",
    Part.JOIN: "windows are counted by it; it never changes",
    Part.WATCH: "`leadline model configure` changes it while workers run",
    Part.RELEASE: "change it in model.toml; how a next version is trained, compared and let in",
}


class _Live(NamedTuple):
    """What the cluster knows of models; nothing where no broker is named."""

    champions: Mapping[str, Rollout]
    settings: Mapping[str, LiveSettings]


def show_list(json: Json = False) -> None:
    """Show the models below LEADLINE_MODELS with their versions, and who answers."""
    from leadline.learning.model_files import ModelFiles

    files, champions = ModelFiles(load_settings().models), _live().champions
    rows = [(name, files.versions(name), champions.get(name)) for name in sorted({*files.names(), *champions})]
    if json:
        for name, versions, rollout in rows:
            put(as_json({"model": name, "versions": versions, "champion": rollout and rollout.champion}))
        return
    table = Table("model", "versions here", "champion", box=SIMPLE_HEAD, pad_edge=False)
    for name, versions, rollout in rows:
        table.add_row(*(Text(shown(cell)) for cell in (name, ", ".join(versions) or "none", _who(rollout))))
    out.print(table)


def show_one(model: Annotated[str, typer.Argument(help="The model.")], json: Json = False) -> None:
    """Show the settings of a model by their parts, with what was changed while workers run, by whom and why."""
    from leadline.learning.model_files import ModelFiles

    files = ModelFiles(load_settings().models)
    settings = files.settings(model)
    if settings is None:
        raise SettingsError(f"{files.root} has no model {model}: `leadline model list` shows which there are")
    known = _live()
    rollout, live = known.champions.get(model), known.settings.get(model)
    changes = live.settings if live else []
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


def _live() -> _Live:
    if load_settings().kafka_bootstrap is None:
        say("KAFKA_BOOTSTRAP is not set: who answers, and what was changed while workers run, is not known")
        return _Live({}, {})
    settings, bootstrap = broker()
    champions = wait_for(rollouts(bootstrap, settings.prefix))
    return _Live(champions, wait_for(live_settings(bootstrap, settings.prefix)))


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
    """The settings of a part by their keys; of alerts and drift, which are tables of settings, each one."""
    values = settings.model_dump()
    for key in KEYS[part]:
        if part is Part.WATCH and isinstance(values[key], Mapping):
            yield from ((f"{key}.{inner}", value) for inner, value in values[key].items())
        else:
            yield key, values[key]


def _text(key: str, value: Any) -> str:
    """A value as a model.toml may have it; a dash where nothing is said.

    >>> _text("window", 129_600_000), _text("grace", None), _text("threshold", None), _text("numeric", ["a"])
    ('1d 12h', 'never', '-', '["a"]')
    """
    if key in _DURATIONS:
        return "never" if value is None else _duration(value)
    return "-" if value is None else as_json(value)


def _duration(value_ms: int) -> str:
    parts = []
    for unit, size in _UNITS.items():
        count, value_ms = divmod(value_ms, size)
        parts += [f"{count}{unit}"] if count else []
    return " ".join(parts) or "0s"
