"""Adds a version of a model to the disk, so that no worker ever sees half of it."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from leadline.core.columnar.columns import Floats
from leadline.core.models import LoadedVersion, Signature, Version
from leadline.core.reference import ReferenceProfile
from leadline.core.scoring.features import Inputs
from leadline.core.texts import Texts
from leadline.learning.classes import on_the_wire, truth, values
from leadline.learning.confined import examine_apart
from leadline.learning.deciding import Sample
from leadline.learning.errors import RegistryError
from leadline.learning.examine import Examined, examine
from leadline.learning.facts import ScoredRows, reference_profile
from leadline.learning.from_joblib import converted
from leadline.learning.golden import Golden, check_parity
from leadline.learning.limits import GOLDEN, LIMITS, LINEAR, MANIFEST, MODEL, PROFILE, SERVED, SIGNATURE
from leadline.learning.manifest import manifest, to_json
from leadline.learning.model_files import SETTINGS, ModelFiles, valid_name
from leadline.learning.models import file_of
from leadline.learning.native.kinds import parity_of, releases_of
from leadline.learning.reference import check_coding, inputs, numbers, read_reference, signature_of, texts, times
from leadline.learning.registry import Registry
from leadline.learning.written import write_settings, write_version
from leadline.settings import ModelSettings, load_model_settings
from leadline.settings.files import read_file
from leadline.settings.parts import PART_OF, Part

__all__ = ["Added", "add_described", "add_file", "add_trained", "add_version", "read_reference", "signature_of"]


@dataclass(frozen=True, slots=True)
class Added:
    """A version that was added, what was understood of its model, and the accuracy of always naming the commoner class."""

    version: Version
    examined: Examined
    majority: float


def add_version(
    root: Path,
    settings: ModelSettings,
    version: str | None,
    model: Any,
    reference: pa.Table,
    outcome: str,
    signature: Signature | None = None,
    time: str | None = None,
) -> LoadedVersion:
    """Write a version and its model's settings below ``root``; returns it as workers will read it.

    ``version``: None takes the next number. ``model``: a fitted estimator. ``reference``: data that stands for live data, with the
    column ``outcome``. ``signature``: by which the model was trained, since that numbers the categories; None where it was trained
    on ``reference`` itself, or has no categories. ``time``: the column of ``reference`` with event times, where it has them: from its own
    windows it is seen how much windows differ without a change. Raises RegistryError where the version exists, a name is not allowed, the
    settings differ from those on disk, or the model does not fit; ValueError for a wrong reference.
    """
    new = _New(root, settings, version, reference, outcome, signature, time)
    data = _dump(model)
    new.write(data, examine(data, settings, new.sample, "the model"))
    return ModelFiles(root).load(settings.name, new.version)


def add_file(
    root: Path,
    settings: ModelSettings,
    version: str | None,
    file: Path,
    reference: pa.Table,
    outcome: str,
    scores: str = "",
    time: str | None = None,
    form: str = "skops",
    origin: Mapping[str, str] | None = None,
) -> Added:
    """The same for a skops file that somebody else may have made: it is read in a process of its own, with limits, and nowhere else.

    ``scores``: a column of the reference with the user's own scores, which are to be the same. ``form``: ``joblib`` for a file that the
    user made himself (`leadline.learning.from_joblib`). ``origin``: where else the model is from, which the manifest remembers.
    ``time`` and what is raised: see `add_version`.
    """
    new = _New(root, settings, version, reference, outcome, None, time, origin or {})
    try:
        data = read_file(file, LIMITS[MODEL])
    except OSError as error:
        raise RegistryError(f"{file} cannot be read: {error.strerror}") from None
    if form == "joblib":
        data = converted(data, settings.trusted, str(file))
    examined = examine_apart(data, settings, new.sample, str(file))
    if scores:
        check_parity(examined.scores, numbers(reference, scores), scores, parity_of(data))
    new.write(data, examined)
    return Added(ModelFiles(root).describe(settings.name, new.version), examined, new.majority)


def add_trained(
    root: Path,
    settings: ModelSettings,
    data: bytes,
    reference: pa.Table,
    outcome: str,
    time: str,
    beside: Callable[[ReferenceProfile], dict[str, bytes]],
) -> Added:
    """The same for the bytes of a model that was trained here, as the next version; ``beside`` gives further files of it."""
    new = _New(root, settings, None, reference, outcome, None, time)
    examined = examine_apart(data, settings, new.sample, "the new model")
    new.write(data, examined, beside)
    return Added(ModelFiles(root).describe(settings.name, new.version), examined, new.majority)


def add_described(
    root: Path, settings: ModelSettings, version: str, signature: Signature, profile: ReferenceProfile
) -> None:
    """Write a version whose model answers elsewhere: its predictions are joined and watched, not made. Raises RegistryError."""
    _check_free(root, settings, version)
    files = {SIGNATURE: to_json(asdict(signature)), PROFILE: to_json(asdict(profile))}
    files[MANIFEST] = manifest(settings.name, version, files, {"reference_rows": profile.predictions})
    write_settings(root / settings.name / SETTINGS, settings)
    write_version(root / settings.name / version, files)


_NEAR = 1e-6
NO_ORIGIN: Mapping[str, str] = {}


class _New:
    """A version that is to be added: its name is free, and its reference fits the settings."""

    def __init__(
        self,
        root: Path,
        settings: ModelSettings,
        version: str | None,
        reference: pa.Table,
        outcome: str,
        signature: Signature | None,
        time: str | None,
        origin: Mapping[str, str] = NO_ORIGIN,
    ) -> None:
        self.version = Registry(ModelFiles(root)).next_version(settings.name) if version is None else version
        _check_free(root, settings, self.version)
        check_coding(reference, settings)
        known = signature_of(reference, settings) if signature is None else signature
        _check_signature(known, settings)
        self.sample = Sample(known, inputs(reference, known), coded=signature is not None)
        self.majority = 0.0
        self._times = None if time is None else times(reference, time)
        self._reference, self._outcome = reference, outcome
        self._root, self._settings = root, settings
        self._facts = _facts(outcome, len(reference)) | dict(origin)

    def write(
        self, data: bytes, examined: Examined, beside: Callable[[ReferenceProfile], dict[str, bytes]] = lambda _: {}
    ) -> None:
        """Write the version, whole or not at all."""
        name, root = self._settings.name, self._root
        profile = self._profile(examined)
        files = self._files(data, examined, profile) | beside(profile)
        files[MANIFEST] = manifest(name, self.version, files, self._facts | releases_of(data))
        try:
            write_settings(root / name / SETTINGS, _with_missing(self._settings, examined))
            write_version(root / name / self.version, files)
        except OSError as error:
            raise RegistryError(f"{root / name / self.version} was not added: {error}; make room or rights") from error

    def _profile(self, examined: Examined) -> ReferenceProfile:
        _check_scores(examined.scores, self._settings)
        rows = self._rows(examined)
        profile = reference_profile(self._settings, examined.signature, self._inputs(examined).matrix, rows)
        outcomes = on_the_wire(examined.served.classes, examined.served.positive)
        return replace(profile, classes=outcomes.numbers, class_names=outcomes.names)

    def _inputs(self, examined: Examined) -> Inputs:
        signature, known = examined.signature, self.sample
        return known.inputs if signature == known.signature else inputs(self._reference, signature)

    def _files(self, data: bytes, examined: Examined, profile: ReferenceProfile) -> dict[str, bytes]:
        """The files of the version but its manifest."""
        golden = Golden.of(self._inputs(examined), examined.scores)
        found = {file_of(data): data, SIGNATURE: to_json(asdict(examined.signature)), PROFILE: to_json(asdict(profile))}
        found |= {SERVED: to_json(asdict(examined.served)), GOLDEN: to_json(asdict(golden))}
        return found if examined.linear is None else found | {LINEAR: to_json(asdict(examined.linear))}

    def _rows(self, examined: Examined) -> ScoredRows:
        return ScoredRows(examined.scores, self._outcomes(examined), examined.labels, self._times, self._segments())

    def _outcomes(self, examined: Examined) -> Floats:
        table, outcome, served = self._reference, self._outcome, examined.served
        if self._settings.task == "regression":
            return values(table, outcome)
        positive = truth(table, outcome, served.classes, served.positive)
        self.majority = max(float(positive.mean()), 1 - float(positive.mean()))
        return positive.astype(np.float64)

    def _segments(self) -> dict[str, Texts]:
        """The categories by which there are segments, where the reference has them."""
        names = [name for name in self._settings.segments if name in self._reference.column_names]
        return {name: Texts.of(texts(self._reference, name)) for name in names}


def _with_missing(settings: ModelSettings, examined: Examined) -> ModelSettings:
    """The settings, which say what becomes of a request that lacks a feature: it is refused where the model can go without none."""
    if settings.missing is not None:
        return settings
    return settings.model_copy(update={"missing": "nan" if any(examined.takes_missing) else "refuse"})


def _check_free(root: Path, settings: ModelSettings, version: str) -> None:
    for what, name in (("model", settings.name), ("version", version)):
        if not valid_name(name):
            raise RegistryError(f"{name!r} cannot name a {what}: use letters, digits, '.', '_', '-', at most 100")
    if (root / settings.name / version).exists():
        raise RegistryError(f"{root / settings.name / version} exists; a version never changes: use another name")
    path = root / settings.name / SETTINGS
    if path.exists():
        _check_same(path, settings)


def _check_same(path: Path, settings: ModelSettings) -> None:
    there = load_model_settings(path)
    unset = {name for name in ("positive", "threshold", "missing") if getattr(settings, name) is None}
    differ = [
        name for name in ModelSettings.model_fields
        if name not in unset and getattr(there, name) != getattr(settings, name)
    ]  # fmt: skip
    if differ:
        named = ", ".join(f"{name} ({PART_OF[name]})" for name in differ)
        watched = any(PART_OF[name] is Part.WATCH for name in differ)
        live = "; those of the watch change by `leadline model configure`" if watched else ""
        raise RegistryError(f"{path} differs in {named}; add the version with the settings of that file{live}")


def _check_signature(signature: Signature, settings: ModelSettings) -> None:
    if (signature.numeric, signature.categorical) != (settings.numeric, settings.categorical):
        raise RegistryError(f"the signature has {signature.names}: not the features of the settings, in their order")


def _dump(model: Any) -> bytes:
    from skops.io import dumps

    found: bytes = dumps(model)
    return found


def _check_scores(scores: Floats, settings: ModelSettings) -> None:
    bad = np.flatnonzero(np.isnan(scores))
    if len(bad):
        raise ValueError(
            f"the model gives no score to {len(bad)} of {len(scores)} rows of the reference (first row {bad[0] + 1}): "
            "a feature is missing or infinite there; leave those rows out, or train a model that takes them"
        )
    outside = np.flatnonzero((scores < -_NEAR) | (scores > 1 + _NEAR))
    if settings.counted_as == "binary" and len(outside):
        row = int(outside[0])
        raise ValueError(
            f"the model gives {float(scores[row])!r} as a probability (row {row + 1}): it gives raw scores; let it give probabilities, or "
            'say score = "decision" in model.toml where it has a decision_function'
        )


def _facts(outcome: str, rows: int) -> dict[str, Any]:
    versions = {name: metadata.version(name) for name in ("leadline", "scikit-learn", "skops")}
    return {"outcome": outcome, "reference_rows": rows, "python": platform.python_version(), **versions}
