"""Requests as a matrix of features, and their scores as predictions: a column at a time, or where they are few one by one.

Every column costs some microseconds, however short it is; one request alone is a tenth as dear as a column of one (docs/measured).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan, nan
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.core.columnar.columns import Floats, Ints, alike, ints
from leadline.core.models import Signature, Version
from leadline.core.processor import Batch, Lookups, Output
from leadline.records import Prediction, PredictionRequest


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of some requests, row by row: their matrix, score, arrival time, and how old their looked-up features are."""

    matrix: Floats
    scores: Floats
    arrival_ms: Ints
    age_ms: Floats | None


class Requests(Protocol):
    """Some requests, in either form."""

    def __len__(self) -> int: ...

    def by_model(self) -> Iterator[tuple[str, Ints]]:
        """Each model that is asked, with the places of its requests."""
        ...

    def take(self, rows: Ints) -> "Requests":
        """The requests at these places, which rise."""
        ...

    def matrix(self, signature: Signature) -> Floats:
        """One row a request, one column a feature in the signature's order; NaN is missing, a category is its index, -1 one never seen.

        Of a name given twice the last counts.
        """
        ...

    def category(self, name: str) -> list[str]:
        """What each request says for one category; empty where it says nothing."""
        ...

    def predictions(self, keys: list[bytes], partition: int, scored: Scored, version: Version, role: str) -> Output:
        """The predictions that a version made in its role."""
        ...


def requests_of(batch: Batch) -> Requests:
    """The requests of a batch."""
    return Few(batch.records) if batch.columns is None else Many(batch.columns)  # type: ignore[arg-type]


def to_matrix(requests: Requests, signature: Signature, lookups: Lookups | None = None) -> Floats:
    """The matrix of some requests; what the request itself says comes before what is looked up."""
    matrix = requests.matrix(signature)
    for name, column in (lookups.values if lookups else {}).items():
        if name in signature.numeric:
            own = matrix[:, signature.numeric.index(name)]
            own[:] = np.where(np.isnan(own), column, own)
    return matrix


# -- one by one -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Few:
    """Requests as records."""

    records: list[PredictionRequest]

    def __len__(self) -> int:
        return len(self.records)

    def by_model(self) -> Iterator[tuple[str, Ints]]:
        models = [record.model for record in self.records]
        for model in dict.fromkeys(models):
            yield model, np.array([i for i, each in enumerate(models) if each == model], np.int64)

    def take(self, rows: Ints) -> "Few":
        return self if len(rows) == len(self.records) else Few([self.records[i] for i in rows.tolist()])

    def matrix(self, signature: Signature) -> Floats:
        rows = [
            [
                *(record.features.get(name, nan) for name in signature.numeric),
                *(_index(record.categories.get(name), signature.categories[name]) for name in signature.categorical),
            ]
            for record in self.records
        ]
        return np.array(rows, np.float64).reshape(len(rows), len(signature.names))

    def category(self, name: str) -> list[str]:
        return [record.categories.get(name, "") for record in self.records]

    def predictions(self, keys: list[bytes], partition: int, scored: Scored, version: Version, role: str) -> Output:
        settings, ages = version.settings, [None] * len(keys) if scored.age_ms is None else scored.age_ms.tolist()
        made = [
            Prediction(
                request.request_id, request.model, version.version, role, request.user_id, request.event_time, arrival_ms, score,
                int(score >= settings.threshold) if settings.task == "binary" else None, features, version.signature.id,
                [f"{name}={request.categories.get(name, '')}" for name in settings.segments],
                None if age is None or isnan(age) else int(age),
            )
            for request, features, score, arrival_ms, age in zip(
                self.records, scored.matrix.tolist(), scored.scores.tolist(), scored.arrival_ms.tolist(), ages, strict=True
            )
        ]  # fmt: skip
        return Output("predictions", keys, partition, records=made, arrival_ms=scored.arrival_ms)


def _index(category: str | None, known: list[str]) -> float:
    if category is None:
        return nan
    return known.index(category) if category in known else -1


# -- a column at a time -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Many:
    """Requests as columns."""

    columns: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.columns.num_rows)

    def by_model(self) -> Iterator[tuple[str, Ints]]:
        column = self.columns["model"]
        if alike(column):
            if len(column):
                yield column[0].as_py(), np.arange(len(column))
            return
        coded = column.dictionary_encode()
        codes = ints(coded.indices)
        for code, model in enumerate(coded.dictionary.to_pylist()):
            yield model, np.flatnonzero(codes == code)

    def take(self, rows: Ints) -> "Many":
        return self if len(rows) == len(self) else Many(self.columns.take(pa.array(rows)))

    def matrix(self, signature: Signature) -> Floats:
        matrix = np.full((len(self), len(signature.names)), nan)
        place = {name: at for at, name in enumerate(signature.numeric)}
        matrix[:, : len(place)] = _numeric(self.columns["features"], place)
        _categorical(self.columns["categories"], signature, matrix)
        return matrix

    def category(self, name: str) -> list[str]:
        names, items, offsets = _entries(self.columns["categories"])
        said = [""] * len(self)
        own = (
            np.flatnonzero(np.array(pc.equal(names, name).to_numpy(zero_copy_only=False), bool))
            if len(names)
            else np.zeros(0, np.int64)
        )
        rows = np.repeat(np.arange(len(self)), np.diff(offsets))[own]
        for row, value in zip(rows.tolist(), items.take(pa.array(own)).to_pylist(), strict=True):
            said[row] = value
        return said

    def predictions(self, keys: list[bytes], partition: int, scored: Scored, version: Version, role: str) -> Output:
        requests, settings, count, width = self.columns, version.settings, len(keys), scored.matrix.shape[1]
        labels = (
            pa.array((scored.scores >= settings.threshold).astype(np.int64))
            if settings.task == "binary"
            else pa.nulls(count, pa.int64())
        )
        features = pa.ListArray.from_arrays(
            pa.array(np.arange(count + 1, dtype=np.int32) * width), pa.array(scored.matrix.reshape(-1))
        )
        columns = pa.record_batch(
            {
                "request_id": requests["request_id"],
                "model": requests["model"],
                "model_version": pa.repeat(version.version, count),
                "role": pa.repeat(role, count),
                "user_id": requests["user_id"],
                "event_time": requests["event_time"],
                "scored_at": pa.array(scored.arrival_ms),
                "score": pa.array(scored.scores),
                "predicted_label": labels,
                "features": features,
                "signature": pa.repeat(version.signature.id, count),
                "segments": self._segments(settings.segments),
                "feature_age_ms": pa.nulls(count, pa.int64())
                if scored.age_ms is None
                else pa.array(scored.age_ms, pa.int64(), from_pandas=True),
            }
        )
        return Output("predictions", keys, partition, columns=columns, arrival_ms=scored.arrival_ms)

    def _segments(self, names: list[str]) -> pa.ListArray:
        said = [[f"{name}={value}" for value in self.category(name)] for name in names]
        flat = [column[row] for row in range(len(self)) for column in said]
        return pa.ListArray.from_arrays(
            pa.array(np.arange(len(self) + 1, dtype=np.int32) * len(names)), pa.array(flat, pa.string())
        )


def _entries(column: pa.MapArray) -> tuple[pa.Array, pa.Array, Ints]:
    """Names, values and row offsets of a map column, whatever part of a larger one it is."""
    offsets = column.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    start, stop = int(offsets[0]), int(offsets[-1])
    return column.keys.slice(start, stop - start), column.items.slice(start, stop - start), offsets - start


def _numeric(column: pa.MapArray, place: dict[str, int]) -> Floats:
    names, items, offsets = _entries(column)
    count, values = len(column), items.to_numpy(zero_copy_only=False).astype(np.float64)
    width = int(offsets[1]) if count else 0
    matrix = np.full((count, len(place)), np.nan)
    if _same_names(names, offsets, width):
        given = values.reshape(count, width)
        for at, name in enumerate(names.slice(0, width).to_pylist()):
            if name in place:
                matrix[:, place[name]] = given[:, at]
        return matrix
    _scatter(matrix, names, values, offsets, place)
    return matrix


def _same_names(names: pa.Array, offsets: Ints, width: int) -> bool:
    """Whether every row gives the same names in the same order."""
    count = len(offsets) - 1
    return count > 0 and np.array_equal(offsets, np.arange(count + 1) * width) and alike(names, width)


def _scatter(matrix: Floats, names: pa.Array, values: Floats, offsets: Ints, place: dict[str, int]) -> None:
    coded = names.dictionary_encode()
    target = np.array([place.get(name, -1) for name in coded.dictionary.to_pylist()], np.int64)
    at = target[coded.indices.to_numpy(zero_copy_only=False)] if len(names) else np.zeros(0, np.int64)
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    known = at >= 0
    matrix[rows[known], at[known]] = values[known]


def _categorical(column: pa.MapArray, signature: Signature, matrix: Floats) -> None:
    if not signature.categorical:
        return
    place = {name: len(signature.numeric) + at for at, name in enumerate(signature.categorical)}
    names, items, offsets = _entries(column)
    coded_names, coded = names.dictionary_encode(), items.dictionary_encode()
    name_codes = coded_names.indices.to_numpy(zero_copy_only=False)
    value_codes = coded.indices.to_numpy(zero_copy_only=False)
    rows, said = np.repeat(np.arange(len(column)), np.diff(offsets)), coded.dictionary.to_pylist()
    for code, name in enumerate(coded_names.dictionary.to_pylist()):
        if name in place:
            index = {category: at for at, category in enumerate(signature.categories[name])}
            known = np.array([index.get(value, -1) for value in said], np.float64)
            own = name_codes == code
            matrix[rows[own], place[name]] = known[value_codes[own]]
