"""``leadline model list``: which versions there are, and how far each has come."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from leadline.cli.common import JsonLines, broker, models_of, out, put_json, say, wait_for
from leadline.cli.newest import decisions
from leadline.core.release.lineage import Decisions, Lineage
from leadline.foreign_text import shown
from leadline.records import iso
from leadline.settings import load_settings


def show_list(json: JsonLines = False) -> None:
    """Show the versions below LEADLINE_MODELS, how far each has come and where it is from.

    Without a broker it shows what the disk says, and who answers is not known.
    """
    from leadline.learning.lineage import lineages
    from leadline.learning.model_files import ModelFiles

    files, decided = ModelFiles(models_of(load_settings())), known()
    found = {
        model: list(lineages(files, model, decided.get(model, Decisions())))
        for model in sorted({*files.names(), *decided})
    }
    if json:
        for line in _json(found):
            put_json(line)
        return
    table = Table(
        "model", "version", "state", "origin", "parent", "trained at", "gate", box=SIMPLE_HEAD, pad_edge=False
    )
    for model, versions in found.items():
        for each in versions:
            table.add_row(*(Text(shown(cell)) for cell in _cells(each)))
        if not versions:
            table.add_row(Text(shown(model)), "none")
    out.print(table)


def known() -> dict[str, Decisions]:
    """What was decided, by model; nothing where no broker is named, and then that is said."""
    if load_settings().kafka_bootstrap is None:
        say(
            "KAFKA_BOOTSTRAP is not set: who answers, what was decided and what was changed while workers run is not known"
        )
        return {}
    settings, bootstrap = broker()
    return wait_for(decisions(bootstrap, settings.prefix))


def as_fields(found: Lineage) -> dict[str, Any]:
    """A version as JSON has it."""
    return asdict(found) | {"trained_at": _when(found) or None}


def _json(found: dict[str, list[Lineage]]) -> Iterator[dict[str, Any]]:
    for model, versions in found.items():
        yield from map(as_fields, versions)
        if not versions:
            yield {"model": model, "version": None}


def _cells(each: Lineage) -> tuple[str, ...]:
    state = f"{each.state}, {each.alias}" if each.alias else each.state
    place = "" if each.here else " (not here)"
    verdict = "broken" if each.why_broken else each.gate.verdict if each.gate else "-"
    return (
        each.model, each.version + place, state, each.origin or "-", each.parent or "-", _when(each) or "-", verdict
    )  # fmt: skip


def _when(each: Lineage) -> str:
    return "" if each.trained_at is None else iso(each.trained_at // 1000 * 1000)
