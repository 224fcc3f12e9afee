"""``leadline watch``: what the settings of the watch part would have cost, and how soon they would have seen something."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from leadline.cli.common import Json, models_of, out, put, put_json
from leadline.cli.model_configure import changes_of
from leadline.foreign_text import shown
from leadline.records import iso
from leadline.settings import ModelSettings, SettingsError, changed, check_live, load_model_settings, load_settings
from leadline.settings.parts import KEYS, Part

if TYPE_CHECKING:
    from leadline.core.reference import ReferenceProfile
    from leadline.core.watch.trial import Cost, Seen, Trial

app = typer.Typer(no_args_is_help=True)
_TRIED = {"alerts", "drift"}
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000


@app.callback()
def _watch() -> None:
    """Try the settings by which models are watched."""


@app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="The model.")],
    version: Annotated[str, typer.Argument(help="The version on whose reference the settings are tried.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="To try beside what is set, such as alerts.margin=0.05."),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="To try the watch part (alerts, drift) of another model.toml.")
    ] = None,
    draws: Annotated[int, typer.Option(min=1, max=1000, help="Streams that are drawn for each fall.")] = 21,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws: the same one gives the same answer.")] = 1,
    json: Json = False,
) -> None:
    """State what the settings would have cost on the version's reference, and how soon falls would have been seen.

    The reference's own windows go through the detectors as if they came live; falls of 2, 5, 10 and 20 points are put into windows that are
    drawn from them. It needs the model's folder alone. As set means model.toml: without what `leadline model configure` has changed.
    """
    known, profile = _known(model, version)
    trials = {"as set": known} | _tried(known, changes or [], settings)
    found = {name: _try(profile, each, draws, seed) for name, each in trials.items()}
    if json:
        put_json(_fields(model, version, profile, known, trials, found) | {"draws": draws, "seed": seed})
        return
    put(_head(model, version, profile, known))
    out.print(_table(found))
    for line in _notes(found, known):
        put(line)


def _known(model: str, version: str) -> "tuple[ModelSettings, ReferenceProfile]":
    from leadline.learning.model_files import ModelFiles

    files = ModelFiles(models_of(load_settings()))
    if files.settings(model) is None:
        raise SettingsError(f"{files.root} has no model {model}: `leadline model list` shows which there are")
    found = files.describe(model, version)
    if found.profile is None or not found.profile.windows:
        raise SettingsError(
            f"the reference of {model} {version} has no windows of its own: add the version again with `leadline model add --time COLUMN`, "
            "the column of its event times"
        )
    return found.settings, found.profile


def _tried(known: ModelSettings, changes: Sequence[str], file: Path | None) -> dict[str, ModelSettings]:
    """What is tried beside the settings as they are, by its name; what is given with KEY=VALUE is on top of a file."""
    if not changes and file is None:
        return {}
    given = changes_of(changes)
    check_live(given)
    found = known
    if file is not None:
        other = load_model_settings(file)
        found = ModelSettings.model_validate(known.model_dump() | other.model_dump(include=set(KEYS[Part.WATCH])))
    names = [*([file.name] if file is not None else []), *(f"{key}={value}" for key, value in given.items())]
    return {", ".join(names): changed(found, given)}


def _try(profile: "ReferenceProfile", settings: ModelSettings, draws: int, seed: int) -> "Trial":
    import numpy as np

    from leadline.core.watch.trial import try_settings

    return try_settings(profile, settings, np.random.default_rng(seed), draws)


# -- for a person -----------------------------------------------------------------------------------------------------


def _cost(cost: "Cost | None") -> str:
    """False incidents, of how many looks at a window (or a cycle), beside what the budget allows in that time."""
    if cost is None:
        return "-"
    budget = "" if cost.allowed is None else f"; budget {cost.allowed:.2g}"
    return f"{cost.incidents} in {cost.blocks:,} looks{budget}"


def _seen(seen: "Seen") -> str:
    from leadline.core.watch.trial import MOST_WINDOWS

    if seen.windows is None or seen.ms is None:
        return f"not in {MOST_WINDOWS} windows" + (f" ({seen.share:.0%} of draws)" if seen.share else "")
    return f"{_counted(seen.windows)}, {_days(seen.ms)}"


def _counted(windows: int) -> str:
    return f"{windows} window{'' if windows == 1 else 's'}"


def _days(ms: int) -> str:
    """A length of time for a person.

    >>> _days(129_600_000), _days(5_400_000)
    ('1.5 d', '1.5 h')
    """
    return f"{ms / _DAY_MS:.3g} d" if ms >= _DAY_MS else f"{ms / _HOUR_MS:.3g} h"


def _head(model: str, version: str, profile: "ReferenceProfile", known: ModelSettings) -> str:
    starts = [each.start for each in profile.windows]
    rows = sorted(each.predictions for each in profile.windows)
    return (
        f"{model} {version}: {len(starts)} own windows of {_days(known.window)} from {iso(min(starts))[:16]} "
        f"to {iso(max(starts) + known.window)[:16]}, of {rows[len(rows) // 2]:,} rows in the middle"
    )


def _table(found: "dict[str, Trial]") -> Table:
    table = Table("", box=SIMPLE_HEAD, pad_edge=False)
    for name in found:
        table.add_column(Text(shown(name)))
    for name, cells in _rows(found):
        table.add_row(name, *(Text(shown(cell)) for cell in cells))
    return table


def _rows(found: "dict[str, Trial]") -> Iterator[tuple[str, list[str]]]:
    trials, own = list(found.values()), [each.performance for each in found.values()]
    yield "reference, limit", ["-" if each is None else f"{each.reference:.4f}, {each.limit:.4f}" for each in own]
    yield "false alarms are", ["-" if each is None else each.error_rate or "not promised" for each in own]
    yield "false performance, replayed", [_cost(each and each.replayed) for each in own]
    yield "false performance, drawn", [_cost(each and each.drawn) for each in own]
    yield "false drift, replayed", [_cost(each.drift) for each in trials]
    yield "pipeline, replayed", [_cost(each.pipeline) for each in trials]
    for place, seen in enumerate(next((each.falls for each in own if each is not None), [])):
        name = f"{seen.fall * 100:.0f} points worse is seen after" if seen.labels == 1 else "  on half of the labels"
        yield name, ["-" if each is None else _seen(each.falls[place]) for each in own]


def _notes(found: "dict[str, Trial]", known: ModelSettings) -> Iterator[str]:
    yield from (f"{name}: performance is not tried: {each.why}" for name, each in found.items() if each.why)
    if not all(each.own_windows for each in found.values()):
        yield "Fewer than eight own windows: drift is judged by independent rows alone, and told too often."
    if known.task == "regression":
        yield "2 points worse: errors that are 2 % larger."
    yield (
        "Seen after: the median from the fall to the confirmed incident, with the wait for labels. Not tried: concept drift, calibration "
        "and early incidents, which need the scores beside the outcomes of each window; the reference does not keep them."
    )


# -- for a program ----------------------------------------------------------------------------------------------------


def _fields(
    model: str,
    version: str,
    profile: "ReferenceProfile",
    known: ModelSettings,
    trials: dict[str, ModelSettings],
    found: "dict[str, Trial]",
) -> dict[str, Any]:
    told = [
        {"name": name, "settings": trials[name].model_dump(include=_TRIED)} | _plain(each)
        for name, each in found.items()
    ]
    return {
        "model": model,
        "version": version,
        "window_ms": known.window,
        "own_windows": len(profile.windows),
        "not_tried": ["concept-drift", "calibration", "estimated-performance"],
        "trials": told,
    }


def _plain(value: Any) -> Any:
    """Named tuples by the names of their fields."""
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
