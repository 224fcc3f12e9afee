"""The reference of a replay: what each version that answered is watched by, and the features of its requests."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from leadline.core.columnar.columns import Bools, Floats, Ints
from leadline.core.models import Signature
from leadline.core.reference import ReferenceProfile
from leadline.core.texts import Texts
from leadline.learning.facts import ScoredRows, reference_profile
from leadline.learning.reference import inputs, signature_of
from leadline.replay.errors import LogError
from leadline.replay.labels import labels_of, numbered
from leadline.replay.tables import convert, read_table
from leadline.settings import ModelSettings
from leadline.wire.column_conversion import converted, moments_of, numbers_of, untyped_identifiers_of
from leadline.wire.conversion import outcome

_COLUMNS = ("request_id", "event_time", "model_version", "score", "label_pred", "segment", "label")
_BEFORE = "segment"
"""The features of a stream are the columns behind this one."""


@dataclass(frozen=True, slots=True)
class Features:
    """The features of requests, by their id: a column of ``table`` for each, as text; which of them are numbers."""

    ids: pa.Array
    table: pa.RecordBatch
    numeric: list[str]
    categorical: list[str]

    @property
    def names(self) -> list[str]:
        return [*self.numeric, *self.categorical]

    def of(self, ids: pa.Array) -> pa.Table:
        """The features of these requests beside their ids, null where nothing is known of one; numbers as numbers."""
        rows = self.table.take(pc.index_in(ids, value_set=self.ids))
        columns = {name: pa.array(numbers_of(rows[name])) for name in self.numeric}
        return pa.table({"": ids, **columns} | {name: rows[name] for name in self.categorical})

    def matrix(self, ids: pa.Array, signature: Signature) -> Floats:
        """The features of these requests as a model sees them."""
        return inputs(self.of(ids), signature).matrix


NO_FEATURES = Features(pa.array([], pa.string()), pa.record_batch({"": pa.array([], pa.string())}), [], [])


@dataclass(frozen=True, slots=True)
class Described:
    """A version that has reference rows."""

    version: str
    signature: Signature
    profile: ReferenceProfile


def read_features(path: Path, settings: ModelSettings) -> Features:
    """The columns behind ``segment``, numbers where every value is one, unless the settings list the features. Raises LogError."""
    names = _feature_names(path, settings)
    table = read_table(path, ("request_id", *names))
    ids = convert(path, table, "request_id", untyped_identifiers_of)
    if pc.count_distinct(ids).as_py() < len(ids):
        raise LogError(f"{path}: a request_id is there twice: each request has its features once")
    table = pa.record_batch({name: _empty_as_null(table[name]) for name in names})
    listed = bool(settings.numeric or settings.categorical)
    numeric = settings.numeric if listed else [name for name in names if _all_numbers(table[name])]
    return Features(ids, table, list(numeric), [name for name in names if name not in numeric])


def _feature_names(path: Path, settings: ModelSettings) -> list[str]:
    if settings.numeric or settings.categorical:
        return [*settings.numeric, *settings.categorical]
    try:
        with pyarrow.csv.open_csv(path) as reader:
            there = reader.schema.names
    except (pa.ArrowException, OSError) as error:
        raise LogError(f"{path}: not a CSV file with features: {error}") from None
    if _BEFORE not in there:
        raise LogError(
            f"{path}: has no column {_BEFORE}: the features are those behind it; or list them in the settings"
        )
    return list(there[there.index(_BEFORE) + 1 :])


def _empty_as_null(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(column, ""), None, column)


def _all_numbers(column: pa.Array) -> bool:
    try:
        column.cast(pa.float64())
    except pa.ArrowException:
        return False
    return True


def read_reference(path: Path, features: Features, settings: ModelSettings, positive: str | None) -> list[Described]:
    """Each version of a labelled and scored reference. Raises LogError that names the file, the row and what is wrong."""
    regression = settings.task == "regression"
    table = read_table(path, tuple(name for name in _COLUMNS if name != "label_pred" or not regression))
    said, truth = _labels(path, table, regression, positive)
    scores = convert(path, table, "score", numbers_of)
    times = convert(path, table, "event_time", moments_of)
    for name, column in (("label", truth), ("score", scores)):
        if not np.isfinite(column).all():
            raise LogError(
                f"{path}: {name}, row {np.flatnonzero(~np.isfinite(column))[0] + 1}: is missing or not finite"
            )
    known = features.of(convert(path, table, "request_id", untyped_identifiers_of))
    segments = Texts.of(table["segment"])
    found = []
    for version, rows in _by_version(table["model_version"]):
        own = known.take(pa.array(rows))
        signature = signature_of(own, settings)
        scored = ScoredRows(scores[rows], truth[rows], said[rows], times[rows], {"": segments.take(rows)})
        profile = reference_profile(settings, signature, inputs(own, signature).matrix, scored)
        found.append(Described(version, signature, profile))
    return found


def _by_version(versions: pa.Array) -> Iterator[tuple[str, Ints]]:
    for version in pc.unique(versions).to_pylist():
        yield version, np.flatnonzero(pc.equal(versions, version).to_numpy(zero_copy_only=False))


def _labels(path: Path, table: pa.RecordBatch, regression: bool, positive: str | None) -> tuple[Bools, Floats]:
    if regression:
        truth = convert(path, table, "label", lambda column: converted(column, outcome, pa.float64()))
        return np.zeros(len(table), bool), truth.to_numpy(zero_copy_only=False)
    labels = [convert(path, table, name, labels_of) for name in ("label_pred", "label")]
    said, truth = (each.to_numpy(zero_copy_only=False) for each in numbered(labels, positive))
    return said == 1, truth


@dataclass(frozen=True, slots=True)
class Watched:
    """The versions that are watched, and the features of all requests."""

    versions: list[Described]
    features: Features

    @classmethod
    def read(cls, reference: Path, features: Path | None, settings: ModelSettings, positive: str | None) -> Self:
        """From the files; without one of features only scores are watched. Raises LogError."""
        known = NO_FEATURES if features is None else read_features(features, settings)
        try:
            own = settings.model_copy(update={"numeric": known.numeric, "categorical": known.categorical})
            return cls(read_reference(reference, known, own, positive), known)
        except ValueError as error:
            raise LogError(f"{reference}: {error}") from None

    def settings(self, settings: ModelSettings) -> ModelSettings:
        """The settings with the features that there are, and the one category, without a name, by which a log has segments."""
        known = {"numeric": self.features.numeric, "categorical": self.features.categorical, "segments": [""]}
        return settings.model_copy(update=known)

    def inputs(self, predictions: pa.RecordBatch) -> dict[str, pa.Array]:
        """The columns ``features`` and ``signature`` of predictions; those of a version without reference have none."""
        size = np.zeros(len(predictions), np.int64)
        values, signatures = (
            np.zeros((len(predictions), len(self.features.names))),
            np.full(len(predictions), "", object),
        )
        for each in self.versions:
            rows = np.flatnonzero(pc.equal(predictions["model_version"], each.version).to_numpy(zero_copy_only=False))
            size[rows], signatures[rows] = values.shape[1], each.signature.id
            values[rows] = self.features.matrix(predictions["request_id"].take(pa.array(rows)), each.signature)
        offsets = np.concatenate([[0], np.cumsum(size)]).astype(np.int32)
        flat = values[size > 0].ravel()
        features = pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))
        return {"features": features, "signature": pa.array(signatures, pa.string())}
