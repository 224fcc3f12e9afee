"""``leadline mlflow``: versions to a team's MLflow, and from there."""

import time
from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.common import Json, broker, keep_private, models_of, put, put_json, say, wait_for
from leadline.cli.model_list import known
from leadline.cli.named import Model, Version, named, split
from leadline.cli.taken import ORIGIN, origin_of
from leadline.core.release.lineage import Decisions
from leadline.records import Candidate
from leadline.settings import SettingsError, load_model_settings, load_settings

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _mlflow() -> None:
    """Work with a team's MLflow: it needs the extra `mlflow`."""


@app.command()
def push(
    model: Model,
    to: Annotated[str, typer.Option(help="MLflow: http://host:5000, sqlite:////folder/mlflow.db, ...")],
    version: Version = "",
    artifacts: Annotated[
        str, typer.Option(help="Where files go if the experiment is new. Default: as that MLflow has it.")
    ] = "",
    json: Json = False,
) -> None:
    """Register a version in MLflow, with a run, its inputs, metrics, receipt and files; aliases follow who answers."""
    from leadline.learning.mlflow_push import push as push_version

    one, decided = named(model, version), _decided()
    about = None if decided is None else decided.get(one.model, Decisions())
    done = push_version(models_of(load_settings(), one.model), one.model, one.version, to, about, artifacts or None)
    if json:
        put_json(done._asdict())
        return
    put(
        f"{one.model} {one.version} {'was already' if done.already else 'is now'} version {done.number} there, run {done.run}"
    )
    for alias, names in (done.aliases or {}).items():
        put(f"{alias}: {names or 'nothing that was pushed'}")


@app.command()
def pull(
    uri: Annotated[str, typer.Argument(help="What to take: models:/NAME/VERSION or models:/NAME@ALIAS.")],
    source: Annotated[str, typer.Option("--from", help="MLflow: http://host:5000, sqlite:////folder/mlflow.db, ...")],
    settings: Annotated[Path, typer.Option(help="The model's settings here, a .toml file.")],
    reference: Annotated[Path, typer.Option(help="Labelled data of the training period (.csv, .jsonl, .parquet).")],
    outcome: Annotated[str, typer.Option(help="The column of the reference that holds the outcome.")] = "outcome",
    time_column: Annotated[
        str, typer.Option("--time", help="The column of the reference that holds the event time.")
    ] = "",
    version: Annotated[str, typer.Option(help="Name of the version here. Default: the next number.")] = "",
    pickle: Annotated[
        bool,
        typer.Option("--pickle", help="Take a pickle too. To load one runs its code: only one that you made yourself."),
    ] = False,
    json: Json = False,
) -> None:
    """Add a model (scikit-learn, XGBoost, LightGBM, ONNX) of MLflow as a version here; where a broker is named it becomes a candidate."""
    from leadline.cli.understood import understood, understood_fields
    from leadline.learning.add import add_file, read_reference
    from leadline.learning.mlflow_pull import pulled
    from leadline.learning.store import published

    keep_private()
    where, model, theirs = load_settings(), load_model_settings(settings), split(uri)
    if not theirs.version:
        raise typer.BadParameter(f"{uri} names no version: write models:/NAME/VERSION or models:/NAME@ALIAS")
    decided = _decided()
    try:
        data = read_reference(reference, text=[*model.categorical, *model.segments])
        with published(where, model.name), pulled(source, theirs.model, theirs.version, pickle) as taken:
            origin = origin_of(theirs.model, taken.number)
            added = add_file(
                where.models,
                model,
                version or None,
                taken.file,
                data,
                outcome,
                "",
                time_column or None,
                taken.form,
                origin,
            )
    except ValueError as error:
        raise SettingsError(f"--reference {reference} does not fit: {error}") from None
    name = added.version.version
    if decided is not None:
        metrics = dict(added.version.profile.metrics) if added.version.profile else {}
        _nominate(model.name, name, decided.get(model.name, Decisions()), metrics)
    if json:
        put_json(understood_fields(added, False) | origin | {"candidate": decided is not None})
        return
    put(f"added {model.name} {name} from {origin['source']}")
    for line in understood(added, False):
        put(line)
    put(f"then: leadline gate run {model.name} --challenger {name} --data FILE")


def _decided() -> dict[str, Decisions] | None:
    """What was decided; None where no broker is named."""
    if load_settings().kafka_bootstrap is None:
        say("KAFKA_BOOTSTRAP is not set: aliases stay as they are, and nobody is told of a candidate")
        return None
    return known()


def _nominate(model: str, version: str, decided: Decisions, metrics: dict[str, float]) -> None:
    """Tell the workers that there is a candidate."""
    settings, bootstrap = broker()
    from leadline.kafka.schemas import registered_ids
    from leadline.kafka.sender import publish
    from leadline.wire.writing import wire_of

    parent, now_ms = decided.champion or "", int(time.time() * 1000)
    candidate = Candidate(model, version, parent, "", "", ORIGIN, metrics, now_ms)
    wire = wire_of(settings, registered_ids(settings))
    wait_for(publish(bootstrap, settings.prefix, "candidates", candidate, wire))
