"""A team's MLflow: how it is reached, and what goes wrong there in one line. MLflow is imported where it is used."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from leadline.errors import LeadlineError
from leadline.foreign_text import shown

_CHARS = 500
_SECRET = re.compile(r"//[^/@\s]+@")
_CALM = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
"""What holds where the environment says nothing else: it calls nobody but its store, gives up within minutes, and is quiet."""


class MlflowError(LeadlineError):
    """MLflow is not there, does not answer, or has not what was asked for."""


class Store(NamedTuple):
    """A tracking server, or a database, and what speaks to it."""

    uri: str
    client: Any


@contextmanager
def store(uri: str) -> Iterator[Store]:
    """The MLflow of a URI. What goes wrong inside is a MlflowError of one line, without the password that a URI may have."""
    for name, value in _CALM.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise MlflowError("MLflow is not installed here: pip install 'leadline[mlflow]'") from None
    try:
        yield Store(uri, MlflowClient(tracking_uri=uri, registry_uri=uri))
    except LeadlineError:
        raise
    except Exception as error:  # a store fails as its database, its server or its disk does
        raise MlflowError(f"{_open(uri)}: {_open(_line(error))}") from error


def _line(error: Exception) -> str:
    return shown(next(iter(str(error).strip().splitlines()), "") or type(error).__name__, _CHARS)


def _open(text: str) -> str:
    """A text without passwords.

    >>> _open("http://ada:secret@host/x")
    'http://***@host/x'
    """
    return _SECRET.sub("//***@", text)
