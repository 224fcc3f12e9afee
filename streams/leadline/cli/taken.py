"""Where `leadline model add` has its file from: the disk, or a registered version of MLflow."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import typer

from leadline.cli.named import split
from leadline.settings import SettingsError

ORIGIN = "mlflow"
_SCHEME, _STORE = "models:/", "MLFLOW_TRACKING_URI"


class Taken(NamedTuple):
    """A model's file, what it is, and where else it is from."""

    file: Path
    form: Any
    origin: dict[str, str]


def origin_of(model: str, number: str) -> dict[str, str]:
    """What the manifest remembers of a version of MLflow."""
    return {"origin": ORIGIN, "source": f"{_SCHEME}{model}/{number}"}


@contextmanager
def taken(file: Path, form: str) -> Iterator[Taken]:
    """The file that is meant; what comes from MLflow is gone afterwards. A pickle is taken from there where it is said to be one."""
    said = str(file)
    if not said.startswith(_SCHEME):
        yield Taken(file, form, {})
        return
    from leadline.learning.mlflow_pull import pulled

    theirs, uri = split(said), os.environ.get(_STORE)
    if not theirs.version:
        raise typer.BadParameter(f"{said} names no version: write models:/NAME/VERSION or models:/NAME@ALIAS")
    if not uri:
        raise SettingsError(
            f"{_STORE} is not set, so nobody knows where {said} is: set it to the address of your MLflow"
        )
    with pulled(uri, theirs.model, theirs.version, form == "joblib") as found:
        yield Taken(found.file, found.form, origin_of(theirs.model, found.number))
