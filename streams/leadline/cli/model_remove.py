"""``leadline model remove``: take a model, or a version of it, from this disk."""

from typing import Annotated

import typer

from leadline.cli.common import Json, broker, models_of, put, put_json, wait_for
from leadline.cli.named import split, version_of
from leadline.cli.newest import rollouts
from leadline.settings import Settings, SettingsError, load_settings


def remove(
    model: Annotated[str, typer.Argument(help="The model.")],
    version: Annotated[str, typer.Argument(help="Its version. Default: all of it, with its settings.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Also where it answers, or nobody can say whether it does.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove a version, or a whole model, from LEADLINE_MODELS; what answers is refused."""
    from leadline.learning.model_files import ModelFiles
    from leadline.learning.remove import remove as remove_files
    from leadline.learning.store import store_of

    settings, (model, version) = load_settings(), split(model, version)
    version = version_of(model, version)
    if not force:
        _refuse_what_answers(settings, model, version)
    gone = remove_files(models_of(settings, model), model, version or None)
    store = store_of(settings)
    if store is not None:
        store.remove(model, version or None)
    if json:
        put_json({"folder": str(gone.folder), "files": gone.files, "bytes": gone.size})
        return
    put(f"removed {gone.folder}: {gone.files} files, {gone.size:,} bytes")
    put("workers that have it loaded use it until they end; other machines have their own copy")
    if version and not ModelFiles(settings.models).versions(model):
        put(f"no version of {model} is left here; `leadline model remove {model}` removes its settings too")


def _refuse_what_answers(settings: Settings, model: str, version: str) -> None:
    """Raise SettingsError where a version that is to be removed answers, or nobody can say whether one does."""
    if settings.kafka_bootstrap is None:
        raise SettingsError("KAFKA_BOOTSTRAP is not set, so who answers is not known: set it, or say --force")
    where, bootstrap = broker()
    rollout = wait_for(rollouts(bootstrap, where.prefix)).get(model)
    if rollout is not None and version in ("", rollout.champion):
        raise SettingsError(
            f"{model} {rollout.champion} answers: promote another version before, or say --force; "
            "requests that no worker can score then become dead letters"
        )
