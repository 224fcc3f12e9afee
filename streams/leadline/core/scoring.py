"""Scoring: a run of requests becomes one matrix, one call of the model, and a run of predictions."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.core.batch import Batch, Effects, Lookups, Output, Reject
from leadline.core.catalog import Catalog, Signature, Version
from leadline.core.columns import Floats, Ints, alike, ints, pick
from leadline.settings import ModelSettings


class Scoring:
    """Scores requests with the champion of their model. Keeps nothing."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @property
    def wake_at_ms(self) -> int | None:
        """Never by itself."""
        return None

    def on_time(self, now_ms: int, idle: frozenset[str]) -> Effects:  # noqa: ARG002
        """Nothing."""
        return Effects()

    def on_batch(self, batch: Batch) -> Effects:
        """One prediction for each request that can be scored, on the request's own partition number."""
        effects = Effects()
        for model, rows in _by_model(batch):
            version = self._catalog.champion(model)
            if self._catalog.settings(model) is None:
                _refuse(
                    effects,
                    rows,
                    "unknown-model",
                    f"there are no settings for {model!r}: add it with `leadline model add`",
                )
            elif version is None:
                _refuse(
                    effects,
                    rows,
                    "no-champion",
                    f"no version of {model!r} answers: name one with `leadline model promote`",
                )
            else:
                self._score(batch, rows, version, effects)
        return effects

    def _score(self, batch: Batch, rows: Ints, version: Version, effects: Effects) -> None:
        requests = _rows(batch, rows)
        lookups = _lookups(batch.lookups, rows)
        matrix = to_matrix(requests, version.signature, lookups)
        if version.settings.missing == "refuse":
            rows, requests, matrix, lookups = _complete(rows, requests, matrix, lookups, version.signature, effects)
        if not len(rows):
            return
        scores = np.asarray(version.predictor.predict(matrix), np.float64)
        finite = np.isfinite(scores)
        if not finite.all():
            detail = f"{version.settings.name} {version.version} gave NaN or infinity"
            _refuse(effects, rows[~finite], "score-not-finite", detail)
            kept = np.flatnonzero(finite)
            rows, requests, matrix, lookups = _kept(kept, rows, requests, matrix, lookups)
            scores = scores[kept]
        if not len(rows):
            return
        arrival_ms = batch.arrival_ms[rows]
        age = None if lookups is None else arrival_ms - lookups.updated_ms
        columns = _predictions(requests, matrix, scores, arrival_ms, age, version)
        keys = pick(batch.keys, rows)
        effects.outputs.append(Output("predictions", keys, batch.partition, columns=columns, arrival_ms=arrival_ms))


def _by_model(batch: Batch) -> Iterator[tuple[str, Ints]]:
    if batch.columns is None or not len(batch):
        return
    column = batch.columns["model"]
    if alike(column):
        yield column[0].as_py(), np.arange(len(batch))
        return
    coded = column.dictionary_encode()
    codes = ints(coded.indices)
    for code, model in enumerate(coded.dictionary.to_pylist()):
        yield model, np.flatnonzero(codes == code)


def _rows(batch: Batch, rows: Ints) -> pa.RecordBatch:
    assert batch.columns is not None
    return batch.columns if len(rows) == len(batch) else batch.columns.take(pa.array(rows))


def _refuse(effects: Effects, rows: Ints, reason: str, detail: str) -> None:
    effects.rejects.extend(Reject(i, reason, detail) for i in rows.tolist())


def _lookups(lookups: Lookups | None, rows: Ints) -> Lookups | None:
    return lookups and Lookups(
        {name: column[rows] for name, column in lookups.values.items()}, lookups.updated_ms[rows]
    )


def _complete(
    rows: Ints,
    requests: pa.RecordBatch,
    matrix: Floats,
    lookups: Lookups | None,
    signature: Signature,
    effects: Effects,
) -> tuple[Ints, pa.RecordBatch, Floats, Lookups | None]:
    """The rows in which nothing is missing; the others are refused, naming what is."""
    missing = np.isnan(matrix)
    whole = ~missing.any(axis=1)
    for i in np.flatnonzero(~whole).tolist():
        names = ", ".join(name for name, gone in zip(signature.names, missing[i], strict=True) if gone)
        effects.rejects.append(Reject(int(rows[i]), "feature-missing", f"missing: {names}"))
    return _kept(np.flatnonzero(whole), rows, requests, matrix, lookups)


def _kept(
    places: Ints, rows: Ints, requests: pa.RecordBatch, matrix: Floats, lookups: Lookups | None
) -> tuple[Ints, pa.RecordBatch, Floats, Lookups | None]:
    return rows[places], requests.take(pa.array(places)), matrix[places], _lookups(lookups, places)


# -- the matrix ---------------------------------------------------------------------------------------------------------


def to_matrix(requests: pa.RecordBatch, signature: Signature, lookups: Lookups | None = None) -> Floats:
    """One row a request, one column a feature in the signature's order; NaN is missing, a category is its index, -1 one never seen.

    What the request itself says comes before what is looked up; of a name given twice the last counts.
    """
    matrix = np.full((requests.num_rows, len(signature.names)), np.nan)
    place = {name: at for at, name in enumerate(signature.numeric)}
    matrix[:, : len(place)] = _numeric(requests["features"], place)
    for name, column in (lookups.values if lookups else {}).items():
        if name in place:
            own = matrix[:, place[name]]
            matrix[:, place[name]] = np.where(np.isnan(own), column, own)
    _categorical(requests["categories"], signature, matrix)
    return matrix


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


# -- predictions --------------------------------------------------------------------------------------------------------


def _predictions(
    requests: pa.RecordBatch, matrix: Floats, scores: Floats, arrival_ms: Ints, age: Floats | None, version: Version
) -> pa.RecordBatch:
    count, settings = len(scores), version.settings
    width = matrix.shape[1]
    labels = (
        pa.array((scores >= settings.threshold).astype(np.int64))
        if settings.task == "binary"
        else pa.nulls(count, pa.int64())
    )
    features = pa.ListArray.from_arrays(
        pa.array(np.arange(count + 1, dtype=np.int32) * width), pa.array(matrix.reshape(-1))
    )
    return pa.record_batch(
        {
            "request_id": requests["request_id"],
            "model": requests["model"],
            "model_version": pa.repeat(version.version, count),
            "role": pa.repeat("champion", count),
            "user_id": requests["user_id"],
            "event_time": requests["event_time"],
            "scored_at": pa.array(arrival_ms),
            "score": pa.array(scores),
            "predicted_label": labels,
            "features": features,
            "signature": pa.repeat(version.signature.id, count),
            "segments": _segments(requests["categories"], settings),
            "feature_age_ms": pa.nulls(count, pa.int64())
            if age is None
            else pa.array(age, pa.int64(), from_pandas=True),
        }
    )


def _segments(categories: pa.MapArray, settings: ModelSettings) -> pa.ListArray:
    count, width = len(categories), len(settings.segments)
    columns = [[f"{name}={value}" for value in category(categories, name)] for name in settings.segments]
    flat = [column[row] for row in range(count) for column in columns]
    return pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * width), pa.array(flat, pa.string()))


def category(categories: pa.MapArray, name: str) -> list[str]:
    """What each request says for one category; empty where it says nothing."""
    names, items, offsets = _entries(categories)
    said = [""] * len(categories)
    own = (
        np.flatnonzero(np.array(pc.equal(names, name).to_numpy(zero_copy_only=False), bool))
        if len(names)
        else np.zeros(0, np.int64)
    )
    rows = np.repeat(np.arange(len(categories)), np.diff(offsets))[own]
    for row, value in zip(rows.tolist(), items.take(pa.array(own)).to_pylist(), strict=True):
        said[row] = value
    return said


def lookup_keys(batch: Batch, catalog: Catalog) -> dict[tuple[str, str], tuple[Ints, list[str]]]:
    """What has to be looked up for a batch: for each (model, view) the rows that want it, and the key of each."""
    wanted: dict[tuple[str, str], tuple[Ints, list[str]]] = defaultdict(lambda: (np.zeros(0, np.int64), []))
    for model, rows in _by_model(batch):
        settings = catalog.settings(model)
        for view, lookup in (settings.lookups if settings else {}).items():
            wanted[model, view] = rows, category(_rows(batch, rows)["categories"], lookup.key)
    return dict(wanted)
