"""``leadline report``: a page about one model."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.common import broker, check_places, models_of, say, wait_for
from leadline.cli.newest import live_settings
from leadline.foreign_text import as_json
from leadline.settings import ModelSettings, SettingsError, in_force, load_settings

if TYPE_CHECKING:
    from leadline.core.reference import ReferenceProfile
    from leadline.learning.model_files import ModelFiles


def report(
    model: Annotated[str, typer.Option(help="The model.")],
    segment: Annotated[str, typer.Option(help="Of the metrics, such as origin=JFK; *: all requests together.")] = "*",
    out: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("report.html"),
    json: Annotated[Path | None, typer.Option("--json", help="Where the numbers go that it plots.")] = None,
) -> None:
    """Write a page about a model: how true it is, what drifts, how late labels come, and its incidents.

    The page is one file that asks for nothing else. The topics say what happened, the model's folder what it is compared with.
    """
    check_places(out, *([] if json is None else [json]))
    from leadline.learning.model_files import ModelFiles
    from leadline.report.page import page

    installation = load_settings()
    files = ModelFiles(models_of(installation))
    known = files.settings(model)
    if known is None:
        raise SettingsError(f"{files.root} has no model {model}: `leadline model list` shows which there are")
    told = _told(files, known, segment)
    texts = {out: page(told)} | ({} if json is None else {json: as_json(told) + "\n"})
    for file, text in texts.items():
        file.write_text(text, "utf-8")
    say(f"wrote {', '.join(map(str, texts))}")


def _told(files: "ModelFiles", known: ModelSettings, segment: str) -> dict[str, Any]:
    from leadline.report.collect import Collected
    from leadline.report.content import content
    from leadline.report.read import read_topics

    settings, bootstrap = broker()
    live = wait_for(live_settings(bootstrap, settings.prefix)).get(known.name)
    found = Collected(in_force(known, {each.key: each.value for each in live.settings} if live else {}), segment)
    wait_for(read_topics(bootstrap, settings.prefix, found))
    if not found.windows:
        say(f"{known.name} has no window of segment {segment} yet: `leadline doctor` says what is wrong")
    return content(found, _profiles(files, known.name, {key.version for key in found.windows}))


def _profiles(files: "ModelFiles", model: str, versions: Iterable[str]) -> "dict[str, ReferenceProfile | None]":
    """The references of the versions that are on this disk."""
    from leadline.learning.errors import RegistryError

    found: dict[str, ReferenceProfile | None] = {}
    for version in sorted(versions):
        try:
            found[version] = files.describe(model, version).profile
        except RegistryError as error:
            say(f"no reference for {version}: {error}")
    return found
