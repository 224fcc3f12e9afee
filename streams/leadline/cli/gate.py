"""``leadline gate run``: the gate in any CI."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.common import Json, broker, models_of, put, put_json, say, wait_for
from leadline.cli.named import version_of
from leadline.cli.newest import rollouts
from leadline.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from leadline.records import Verdict

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _gate() -> None:
    """Compare a new version with the champion before it answers."""


@app.command()
def run(
    model: Annotated[str, typer.Argument(help="The model.")],
    challenger: Annotated[str, typer.Option(help="The version that may become champion.")],
    data: Annotated[
        Path, typer.Option(help="Labelled rows that it was not trained on (.csv, .jsonl, .parquet).", dir_okay=False)
    ],
    champion: Annotated[str, typer.Option(help="The version to compare with. Default: the one that answers.")] = "",
    first: Annotated[
        bool, typer.Option("--first", help="No version answers: there is nothing to compare with.")
    ] = False,
    outcome: Annotated[str, typer.Option(help="The column that holds the outcome.")] = "outcome",
    time_column: Annotated[str, typer.Option("--time", help="The column that holds the event time.")] = "event_time",
    candidates: Annotated[
        int, typer.Option(min=1, help="How many versions were tried since the last promotion, this one included.")
    ] = 1,
    junit: Annotated[Path | None, typer.Option(help="Write the checks to this file too, as JUnit XML.")] = None,
    json: Json = False,
) -> None:
    """Judge a version by [gate] of its model.toml: exit code 0 where it may be promoted, 1 where not, 2 for a wrong call."""
    from leadline.cli.junit import junit_xml
    from leadline.learning.gate import gate_version
    from leadline.learning.model_files import ModelFiles

    if champion and first:
        raise typer.BadParameter("--first says that there is no champion, and --champion names one: say one of them")
    where = load_settings()
    settings = ModelFiles(models_of(where, model)).settings(model)
    if settings is None:
        raise SettingsError(f"{where.models} has no model {model}: add it with `leadline model add`")
    challenger, champion = version_of(model, challenger), version_of(model, champion)
    beside = champion or (None if first else _answering(where, model))
    verdict = gate_version(
        where.models, settings, beside, challenger, data, candidates, int(time.time() * 1000),
        outcome=outcome, time_column=time_column,
    )  # fmt: skip
    if junit is not None:
        junit.write_bytes(junit_xml(verdict))
    if json:
        put_json(asdict(verdict))
    else:
        _put(verdict)
    raise typer.Exit(int(verdict.verdict != "promote"))


def _answering(settings: Settings, model: str) -> str | None:
    """The champion of a model; None where none answers."""
    if settings.kafka_bootstrap is None:
        raise typer.BadParameter(
            "KAFKA_BOOTSTRAP is not set, so who answers is not known: say --champion VERSION, or --first where none does"
        )
    where, bootstrap = broker()
    found = wait_for(rollouts(bootstrap, where.prefix)).get(model)
    say(f"{model} {found.champion} answers" if found else f"no version of {model} answers")
    return None if found is None else found.champion


def _put(verdict: "Verdict") -> None:
    for check in verdict.checks:
        put(f"{check.outcome:<11} {check.name} {check.segment}: {check.reason}")
    beside = f"beside {verdict.champion}" if verdict.champion else "as the first champion"
    put(f"{verdict.verdict}: {verdict.model} {verdict.version} {beside}; {verdict.reason}")
