"""``leadline model``: put a model where the workers find it."""

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from leadline.cli.common import broker, keep_private, say, wait_for
from leadline.records import Rollout
from leadline.settings import SettingsError, load_model_settings, load_settings

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.callback()
def _model() -> None:
    """Put a model where the workers find it."""


@app.command()
def add(
    file: Annotated[
        Path, typer.Argument(help="The trained model, a .skops file (or, with --from joblib, a .joblib file).")
    ],
    settings: Annotated[Path, typer.Option(help="The model's settings, a .toml file.")],
    reference: Annotated[Path, typer.Option(help="Labelled data of the training period (.csv, .jsonl, .parquet).")],
    outcome: Annotated[str, typer.Option(help="The column of the reference that holds the outcome.")] = "outcome",
    scores: Annotated[str, typer.Option(help="A column with your own scores: they have to be the same to 1e-9.")] = "",
    form: Annotated[
        Literal["skops", "joblib"],
        typer.Option(
            "--from", help="What FILE is. To load a joblib file runs the code in it: only one that you made yourself."
        ),
    ] = "skops",
    version: Annotated[str, typer.Option(help="Name of the version. Default: the next number.")] = "",
    champion: Annotated[bool, typer.Option("--champion", help="Let this version answer from now on.")] = False,
    reason: Annotated[str, typer.Option(help="Why it is made champion.")] = "added",
) -> None:
    """Register FILE as a version of a model: its signature and reference profile are made from the reference data."""
    from leadline.cli.understood import understood
    from leadline.learning.add import add_file, read_reference

    keep_private()
    where = load_settings()
    model = load_model_settings(settings)
    try:
        data = read_reference(reference, text=model.categorical)
        if form == "joblib":
            say(
                f"loading {file} runs the code in it, in a process that may open and call nothing; never do that with a stranger's file"
            )
        added = add_file(where.models, model, version or None, file, data, outcome, scores, form)
    except ValueError as error:
        raise SettingsError(f"--reference {reference} does not fit: {error}") from None
    name = added.version.version
    say(f"added {model.name} {name} in {where.models / model.name / name}")
    for line in understood(added, bool(scores)):
        say(line)
    if champion:
        appoint(Rollout(model.name, name, int(time.time() * 1000), "leadline model add", reason))
        say(f"{model.name} {name} is champion")


@app.command()
def promote(
    name: Annotated[str, typer.Argument(help="The model.")],
    version: Annotated[str, typer.Argument(help="The version that is to answer.")],
    reason: Annotated[str, typer.Option(help="Why.")] = "promoted by hand",
) -> None:
    """Let a version that is already there answer from now on."""
    from leadline.learning.model_files import ModelFiles
    from leadline.learning.registry import Registry

    where = load_settings()
    if Registry(ModelFiles(where.models)).find(name, version) is None:
        raise SettingsError(
            f"{where.models} has no version {version} of a model {name}: add it with `leadline model add`"
        )
    appoint(Rollout(name, version, int(time.time() * 1000), "leadline model promote", reason))


def appoint(rollout: Rollout) -> None:
    """Publish which version answers."""
    settings, bootstrap = broker()
    wait_for(_publish(rollout, bootstrap, settings.prefix))


async def _publish(rollout: Rollout, bootstrap: str, prefix: str) -> None:
    from leadline.kafka.cluster import check_topics
    from leadline.kafka.sender import publish

    await check_topics(bootstrap, [f"{prefix}.rollouts"])
    await publish(bootstrap, prefix, "rollouts", rollout)
