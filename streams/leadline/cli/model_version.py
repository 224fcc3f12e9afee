"""``leadline model diff``, ``card`` and ``export``: what a version is, for who compares, judges or carries it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.common import Json, JsonAlways, JsonLines, keep_private, models_of, out, put, put_json
from leadline.cli.model_list import known
from leadline.cli.named import Model, Version, named, version_of
from leadline.core.release.lineage import Decisions
from leadline.foreign_text import as_json, shown
from leadline.settings import load_settings

if TYPE_CHECKING:
    from leadline.learning.portrait import Portrait

_CHARS = 120
_NEEDED = Annotated[str, typer.Argument(help="A version; @champion or @challenger: the one that is so now.")]


def diff(
    model: Annotated[str, typer.Argument(help="The model.")], before: _NEEDED, after: _NEEDED, json: JsonLines = False
) -> None:
    """Show what two versions do not share: settings, features, categories, metrics, what they were trained with, the gate's verdicts."""
    from leadline.learning.portrait import differences

    decided = known().get(model, Decisions())
    pair = [_portrait(model, version_of(model, each), decided) for each in (before, after)]
    found = list(differences(*pair))
    if json:
        for each in found:
            put_json(each._asdict())
        return
    for each in found:
        put(f"{each.part}: {shown(each.name)}: {_said(each.before)} -> {_said(each.after)}")
    if not found:
        put("nothing that is known of them differs")


def card(model: Model, version: Version = "", json: JsonAlways = False) -> None:
    """Write the card of a version, a page of Markdown: what it is for, data, metrics by segment, calibration, limits, receipt, approval."""
    from leadline.learning.card import card as page

    one = named(model, version)
    text = page(_portrait(one.model, one.version, known().get(one.model, Decisions())))
    if json:
        put_json({"model": one.model, "version": one.version, "card": text})
        return
    out.print(text, end="", markup=False, highlight=False, soft_wrap=True)


def export(
    model: Model,
    version: Version,
    file: Annotated[Path, typer.Argument(help="The tar to write; it must not be there.")],
    json: Json = False,
) -> None:
    """Write a version's folder, with manifest and receipt, as one tar: the same bytes for the same version."""
    from leadline.learning.export import export as write

    keep_private()
    one = named(model, version)
    found = write(models_of(load_settings(), one.model), one.model, one.version, file)
    if json:
        put_json({"file": str(found.file), "bytes": found.size, "sha256": found.digest})
    else:
        put(f"wrote {found.file}: {found.size:,} bytes, sha256 {found.digest}")


def _portrait(model: str, version: str, decided: Decisions) -> "Portrait":
    from leadline.learning.model_files import ModelFiles
    from leadline.learning.portrait import portrait

    return portrait(ModelFiles(models_of(load_settings(), model)), model, version, decided)


def _said(value: Any) -> str:
    return "-" if value is None else shown(value if isinstance(value, str) else as_json(value), _CHARS)
