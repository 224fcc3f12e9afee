"""``leadline model``: put a model where the workers find it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from leadline.cli.approval import check, finish, promotion, put_lines
from leadline.cli.approval import fields as asked_fields
from leadline.cli.common import Json, broker, duration, keep_private, models_of, put, put_json, say
from leadline.cli.model_configure import configure
from leadline.cli.model_init import init
from leadline.cli.model_list import show_list
from leadline.cli.model_push import push
from leadline.cli.model_remove import remove
from leadline.cli.model_show import show_one
from leadline.cli.model_version import card, diff, export
from leadline.cli.named import Model, Version, named
from leadline.settings import SettingsError, load_model_settings, load_settings

app = typer.Typer(no_args_is_help=True)
Timeout = Annotated[str, typer.Option(help="How long to wait until the workers answer with it; 0s: not at all.")]


@app.callback()
def _model() -> None:
    """Put a model where the workers find it."""


@app.command()
def add(
    file: Annotated[
        Path,
        typer.Argument(
            help="The model: .skops, XGBoost's .ubj or .json, LightGBM's text, .onnx (--from joblib: .joblib); "
            "or models:/NAME@ALIAS of the MLflow that MLFLOW_TRACKING_URI names."
        ),
    ],
    settings: Annotated[Path, typer.Option(help="The model's settings, a .toml file.")],
    reference: Annotated[Path, typer.Option(help="Labelled data of the training period (.csv, .jsonl, .parquet).")],
    outcome: Annotated[str, typer.Option(help="The column of the reference that holds the outcome.")] = "outcome",
    scores: Annotated[str, typer.Option(help="A column with your own scores: they have to be the same to 1e-9.")] = "",
    time_column: Annotated[
        str, typer.Option("--time", help="The column of the reference that holds the event time.")
    ] = "",
    form: Annotated[
        Literal["skops", "joblib"],
        typer.Option(
            "--from", help="What FILE is. To load a joblib file runs the code in it: only one that you made yourself."
        ),
    ] = "skops",
    version: Annotated[str, typer.Option(help="Name of the version. Default: the next number.")] = "",
    champion: Annotated[bool, typer.Option("--champion", help="Let this version answer from now on.")] = False,
    reason: Annotated[str, typer.Option(help="Why it is made champion.")] = "added",
    timeout: Timeout = "90s",
    json: Json = False,
) -> None:
    """Register FILE as a version of a model: its signature and reference profile are made from the reference data."""
    from leadline.cli.taken import taken
    from leadline.cli.understood import understood, understood_fields
    from leadline.learning.add import add_file, read_reference
    from leadline.learning.store import published

    within_ms = duration("timeout", timeout)
    if champion:
        broker()  # nothing is added where nobody could be told of the champion
    keep_private()
    where = load_settings()
    model = load_model_settings(settings)
    try:
        data = read_reference(reference, text=[*model.categorical, *model.segments])
        if form == "joblib":
            say(
                f"loading {file} runs the code in it, in a process that may open and call nothing; never do that with a stranger's file"
            )
        with published(where, model.name), taken(file, form) as (path, kind, origin):
            added = add_file(
                where.models, model, version or None, path, data, outcome, scores, time_column or None, kind, origin
            )
    except ValueError as error:
        raise SettingsError(f"--reference {reference} does not fit: {error}") from None
    name = added.version.version
    folder = f"{where.store or where.models}/{model.name}/{name}"
    if not json:
        put(f"added {model.name} {name} in {folder}")
        for line in understood(added, bool(scores)):
            put(line)
    asked = promotion(model.name, name, reason, within_ms) if champion else None
    if json:
        put_json(understood_fields(added, bool(scores)) | {"folder": folder, "champion": asked and asked_fields(asked)})
    elif asked is not None:
        put_lines(asked)
    if asked is not None:
        check(asked)


@app.command()
def promote(
    model: Model,
    version: Version = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "promoted by hand",
    timeout: Timeout = "90s",
    json: Json = False,
) -> None:
    """Ask for a version that is already there to answer from now on, and wait until the workers took it.

    Exit code 0: they did, or persons have to agree first, or no worker works now and the command is left; 1: refused, and why, or a worker
    does not answer with it; 3: no worker answered in time.
    """
    from leadline.learning.model_files import ModelFiles
    from leadline.learning.registry import Registry

    within_ms = duration("timeout", timeout)
    (name, version), where = named(model, version), load_settings()
    if Registry(ModelFiles(models_of(where, name))).find(name, version) is None:
        raise SettingsError(
            f"{where.store or where.models} has no version {version} of a model {name}: add it with `leadline model add`"
        )
    finish(promotion(name, version, reason, within_ms), json)


app.command("init")(init)
app.command("list")(show_list)
app.command("show")(show_one)
app.command("diff")(diff)
app.command("card")(card)
app.command("export")(export)
app.command("configure")(configure)
app.command("push")(push)
app.command("remove")(remove)
