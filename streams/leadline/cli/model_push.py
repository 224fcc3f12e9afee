"""``leadline model push``: a version from this models' folder to another one."""

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.common import Json, keep_private, models_of, put, put_json
from leadline.cli.named import Model, Version, named
from leadline.settings import load_settings


def push(
    model: Model,
    to: Annotated[str, typer.Option(help="The models' folder of the other environment (its LEADLINE_MODELS).")],
    version: Version = "",
    json: Json = False,
) -> None:
    """Copy a version from LEADLINE_MODELS to another models' folder, whole or not at all; nobody is told of it."""
    from leadline.learning.push import push as push_files

    if "://" in to:
        raise typer.BadParameter(
            f"--to {to} is a URL, and push copies to a folder: write to a store by `leadline model add` with its URL in LEADLINE_MODELS"
        )
    keep_private()
    model, version = named(model, version)
    pushed = push_files(models_of(load_settings(), model), model, version, Path(to))
    if json:
        put_json({"folder": str(pushed.folder), "already": pushed.already})
    else:
        put(f"{model} {version} {'was already' if pushed.already else 'is now'} in {pushed.folder}")
