"""A version of here in a team's MLflow: a run with its inputs and metrics, its files as artefacts, and a registered version."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from leadline.core.release.lineage import CHALLENGER, CHAMPION, Decisions
from leadline.foreign_text import as_json, shown
from leadline.learning.export import version_files
from leadline.learning.limits import MANIFEST, MODEL
from leadline.learning.mlflow_store import MlflowError, Store, store
from leadline.learning.model_files import ModelFiles
from leadline.learning.portrait import Portrait, parts, portrait

VERSION, CONTENT = "leadline.version", "leadline.manifest"
"""Tags of what was pushed: the version's name, and the sha256 of its manifest."""
FOLDER = "version"
_IN_RUN = ("settings", "data", "code", "platform", "seed")
_LONGEST = 500
_ALIASES = (CHAMPION, CHALLENGER)


class Pushed(NamedTuple):
    """The number of the version there, its run, whether it was there before, and the aliases by the version of here that each names."""

    number: str
    run: str
    already: bool
    aliases: dict[str, str | None] | None


def push(
    root: Path, model: str, version: str, uri: str, decisions: Decisions | None, artifacts: str | None = None
) -> Pushed:
    """Push a version, once; then the aliases there name what the decisions say. ``decisions``: None where nobody knows them: they stay.

    ``artifacts``: where files go if the experiment is new; None: as that MLflow has it. Raises RegistryError, MlflowError.
    """
    files = version_files(root, model, version)
    found = portrait(ModelFiles(root), model, version, decisions or Decisions())
    with store(uri) as there:
        known = _known(there, model)
        already = known.get(version)
        if already is None:
            already = _register(there, found, files, artifacts)
            known[version] = already
            was = False
        else:
            _check_same(already, sha256(files[MANIFEST]).hexdigest())
            was = True
        aliases = None if decisions is None else _set_aliases(there, model, known, decisions)
        return Pushed(str(already.version), already.run_id, was, aliases)


def _known(there: Store, model: str) -> dict[str, Any]:
    """What was pushed of a model, by the name that it has here."""
    quoted = model.replace("'", "''")
    found: dict[str, Any] = {}
    token = None
    while True:
        page = there.client.search_model_versions(f"name='{quoted}'", page_token=token)
        found |= {each.tags[VERSION]: each for each in page if VERSION in each.tags}
        token = page.token
        if not token:
            return found


def _check_same(there: Any, digest: str) -> None:
    if there.tags.get(CONTENT) != digest:
        raise MlflowError(
            f"{there.name} {there.version} was pushed as {there.tags[VERSION]} and has other content; a version never changes: look "
            "where that one came from, and add this one by another name"
        )


def _register(there: Store, found: Portrait, files: Mapping[str, bytes], artifacts: str | None) -> Any:
    client, of = there.client, found.lineage
    tags = dict(_tags(found, files))
    experiment = client.get_experiment_by_name(of.model)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(of.model, artifacts)
    run = client.create_run(experiment_id, tags=tags, run_name=f"{of.model} {of.version}")
    try:
        _fill(client, run.info.run_id, found, files)
        if not client.search_registered_models(f"name='{of.model}'"):
            client.create_registered_model(of.model)
        made = client.create_model_version(of.model, f"{run.info.artifact_uri}/{FOLDER}", run.info.run_id, tags=tags)
    except BaseException:
        client.set_terminated(run.info.run_id, "FAILED")
        raise
    client.set_terminated(run.info.run_id)
    return made


def _fill(client: Any, run: str, found: Portrait, files: Mapping[str, bytes]) -> None:
    from mlflow.entities import Metric, Param

    known = parts(found)
    params = [Param(_key(f"{part}.{name}"), _value(value)) for part in _IN_RUN for name, value in known[part].items()]
    at = found.lineage.trained_at or 0
    metrics = [Metric(_key(name), value, at, 0) for name, value in known["metrics"].items()]
    client.log_batch(run, metrics=metrics, params=params)
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (*files.items(), ("MLmodel", _mlmodel(found, files))):
            if data:
                (Path(folder) / name).write_bytes(data)
        client.log_artifacts(run, folder, FOLDER)


def _key(name: str) -> str:
    """A name as MLflow takes one."""
    return "".join(each if each.isascii() and (each.isalnum() or each in "_-. /") else "_" for each in name)


def _value(value: Any) -> str:
    return shown(value if isinstance(value, str) else as_json(value), _LONGEST)


def _tags(found: Portrait, files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    of = found.lineage
    yield VERSION, of.version
    yield CONTENT, sha256(files[MANIFEST]).hexdigest()
    named = {"parent": of.parent, "origin": of.origin, "retrain_id": of.retrain_id, "receipt": of.receipt}
    yield from ((f"leadline.{name}", _value(value)) for name, value in named.items() if value)
    if of.gate is not None:
        yield "leadline.gate", _value(f"{of.gate.verdict}: {of.gate.reason}")


def _mlmodel(found: Portrait, files: Mapping[str, bytes]) -> bytes:
    """What lets MLflow load the model itself: JSON is YAML. Nothing for a version that answers elsewhere.

    The types in the file were admitted, and its trees looked at, when it was added here.
    """
    if MODEL not in files:
        return b""
    from skops.io import get_untrusted_types

    release = str(found.facts.get("scikit-learn", ""))
    trusted = get_untrusted_types(data=files[MODEL])
    flavour = {"pickled_model": MODEL, "serialization_format": "skops", "sklearn_version": release, "code": None}
    return json.dumps({"flavors": {"sklearn": flavour | {"skops_trusted_types": trusted or None}}}, indent=1).encode()


def _set_aliases(there: Store, model: str, known: Mapping[str, Any], decisions: Decisions) -> dict[str, str | None]:
    """Let the aliases name what was pushed; one that names another version of here by now is taken away."""
    now = dict(there.client.get_registered_model(model).aliases)
    of_here = {str(each.version) for each in known.values()}
    found: dict[str, str | None] = {}
    for alias in _ALIASES:
        version = decisions.of(alias)
        pushed = known.get(version) if version else None
        if pushed is not None:
            there.client.set_registered_model_alias(model, alias, pushed.version)
        elif str(now.get(alias)) in of_here:
            there.client.delete_registered_model_alias(model, alias)
        found[alias] = version if pushed is not None else None
    return found
