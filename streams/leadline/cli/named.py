"""Which version is meant: ``MODEL VERSION``, an alias (``@champion``, ``@challenger``), or a URI (``models:/NAME@champion``)."""

from typing import Annotated, NamedTuple

import typer

from leadline.cli.common import broker, wait_for
from leadline.cli.newest import decisions
from leadline.core.release.lineage import CHALLENGER, CHAMPION, Alias
from leadline.settings import SettingsError, load_settings

SCHEME = "models:/"
_ALIASES: dict[str, Alias] = {"@champion": CHAMPION, "@challenger": CHALLENGER}
Model = Annotated[
    str, typer.Argument(help="The model; or model and version as models:/NAME/VERSION, models:/NAME@champion.")
]
Version = Annotated[str, typer.Argument(help="Its version; @champion or @challenger: the one that is so now.")]


class Named(NamedTuple):
    """A version of a model."""

    model: str
    version: str


def named(model: str, version: str = "") -> Named:
    """The version that is meant. For an alias the broker is asked. Raises BadParameter, SettingsError."""
    found = split(model, version)
    if not found.version:
        raise typer.BadParameter(
            f"say which version of {model}: its name, @champion or @challenger", param_hint="'version'"
        )
    return Named(found.model, _resolved(found.model, found.version))


def version_of(model: str, version: str) -> str:
    """The version that an option means; an empty one stays so."""
    return named(model, version).version if version else ""


def split(model: str, version: str = "") -> Named:
    """Model and version as they were written, a URI in parts. Raises BadParameter.

    >>> split("models:/returns@champion"), split("models:/returns/v2"), split("returns", "models:/returns/v2").version
    (Named(model='returns', version='@champion'), Named(model='returns', version='v2'), 'v2')
    """
    if version.startswith(SCHEME):
        found = _of_uri(version)
        if found.model != model:
            raise typer.BadParameter(f"{version} is a version of {found.model}, and the model is {model}")
        return found
    if not model.startswith(SCHEME):
        return Named(model, version)
    if version:
        raise typer.BadParameter(f"{model} names the version already: leave {version} out")
    return _of_uri(model)


def _of_uri(uri: str) -> Named:
    name = uri.removeprefix(SCHEME)
    model, at, alias = name.partition("@")
    if not at:
        model, _, version = name.partition("/")
    found = Named(model, at + alias if at else version)
    if not found.model or not found.version or "/" in found.model + found.version:
        raise typer.BadParameter(
            f"{uri} names no version: write {SCHEME}NAME/VERSION, {SCHEME}NAME@champion or @challenger"
        )
    return found


def _resolved(model: str, version: str) -> str:
    if not version.startswith("@"):
        return version
    alias = _ALIASES.get(version)
    if alias is None:
        raise typer.BadParameter(f"{version} is no alias: there are {' and '.join(_ALIASES)}")
    if load_settings().kafka_bootstrap is None:
        raise SettingsError(
            f"KAFKA_BOOTSTRAP is not set, so the {alias} of {model} is not known: set it, or name the version"
        )
    settings, bootstrap = broker()
    found = wait_for(decisions(bootstrap, settings.prefix)).get(model)
    answer = found.of(alias) if found else None
    if answer is None:
        raise SettingsError(f"{model} has no {alias}: `leadline model list` shows how far each version has come")
    return answer
