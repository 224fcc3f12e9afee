"""Requests in their two forms: a run of them as columns, a few as records. Their features, and the predictions made of them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan, nan
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.core.columnar.columns import Floats, Ints, alike, ints, lengths
from leadline.core.processor import Batch, Lookups, Output
from leadline.core.scoring.features import Columns, Features, Inputs
from leadline.core.scoring.routing import Route
from leadline.core.texts import MISSING, Texts
from leadline.records import SHADOW, Prediction, PredictionRequest


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of some requests, row by row: what the model took, its score and label (None: it gives none), their arrival time, and
    how old their looked-up features are.
    """

    inputs: Inputs
    scores: Floats
    labels: Ints | None
    arrival_ms: Ints
    age_ms: Floats | None


class Requests(Protocol):
    """Some requests, in either form."""

    def __len__(self) -> int: ...

    def by_model(self) -> Iterator[tuple[str, Ints]]:
        """Each model that is asked, with the indices of its requests."""
        ...

    def take(self, rows: Ints) -> "Requests":
        """The requests at these indices, which rise."""
        ...

    def inputs(self, features: Features) -> Inputs:
        """One row a request, one column a feature. Of a name given twice the last counts."""
        ...

    def category(self, name: str) -> list[str]:
        """What each request says for one category; empty where it says nothing."""
        ...

    def names(self) -> list[list[str]]:
        """The names of the features and categories of each request, each once."""
        ...

    def others(self, known: frozenset[str], given: Inputs | None) -> Counter[str]:
        """The names that are not known, and how often each is there. ``given``: what the requests gave; where it is all, it is quick."""
        ...

    def longest_category(self) -> int:
        """Bytes of the longest value of any category, or more."""
        ...

    def users(self) -> list[str]:
        """Who asks; where nobody is named, the request itself."""
        ...

    def ids(self) -> list[str]:
        """The id of each request."""
        ...

    def predictions(self, keys: list[bytes], partition: int, scored: Scored, route: Route) -> Output:
        """The predictions that a version made in its role."""
        ...


def topic_of(role: str) -> str:
    """Where the predictions of a role go: nobody acts on a shadow by mistake."""
    return "shadow-predictions" if role == SHADOW else "predictions"


def requests_of(batch: Batch) -> Requests:
    """The requests of a batch."""
    return Few(batch.records) if batch.columns is None else Many(batch.columns)  # type: ignore[arg-type]


def to_inputs(requests: Requests, features: Features, lookups: Lookups | None = None) -> Inputs:
    """What a model takes of some requests; what the request itself says comes before what is looked up."""
    inputs = requests.inputs(features)
    matrix = inputs.matrix
    for name, column in (lookups.values if lookups else {}).items():
        if name in features.numeric:
            own = matrix[:, features.numeric.index(name)]
            own[:] = np.where(np.isnan(own), column, own)
    return inputs


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

    def inputs(self, features: Features) -> Inputs:
        rows = [features.row(record.features, record.categories) for record in self.records]
        texts = {
            name: Texts.of_few(record.categories.get(name) for record in self.records) for name in features.categorical
        }
        return Inputs(np.array(rows, np.float64).reshape(len(rows), len(features.names)), texts)

    def category(self, name: str) -> list[str]:
        return [record.categories.get(name, "") for record in self.records]

    def names(self) -> list[list[str]]:
        return [list(dict.fromkeys([*record.features, *record.categories])) for record in self.records]

    def others(self, known: frozenset[str], given: Inputs | None) -> Counter[str]:  # noqa: ARG002
        said = (names for record in self.records for names in (record.features, record.categories))
        return Counter(name for names in said if not names.keys() <= known for name in names if name not in known)

    def longest_category(self) -> int:
        return 4 * max((len(value) for record in self.records for value in record.categories.values()), default=0)

    def users(self) -> list[str]:
        return [record.user_id or record.request_id for record in self.records]

    def ids(self) -> list[str]:
        return [record.request_id for record in self.records]

    def predictions(self, keys: list[bytes], partition: int, scored: Scored, route: Route) -> Output:
        version, none = route.version, [None] * len(keys)
        ages = none if scored.age_ms is None else scored.age_ms.tolist()
        labels = none if scored.labels is None else scored.labels.tolist()
        made = [
            Prediction(
                request_id=request.request_id,
                model=request.model,
                model_version=version.version,
                role=route.role,
                user_id=request.user_id,
                event_time=request.event_time,
                scored_at=arrival_ms,
                score=score,
                predicted_label=label,
                features=features,
                signature=version.signature.id,
                segments=[f"{name}={request.categories.get(name, '')}" for name in version.settings.segments],
                feature_age_ms=None if age is None or isnan(age) else int(age),
                categories=[request.categories.get(name, "") for name in version.signature.categorical],
                rollout_id=route.rollout_id,
                sample=route.sample,
            )
            for request, features, score, label, arrival_ms, age in zip(
                self.records,
                scored.inputs.matrix.tolist(),
                scored.scores.tolist(),
                labels,
                scored.arrival_ms.tolist(),
                ages,
                strict=True,
            )
        ]
        return Output(topic_of(route.role), keys, partition, records=made, arrival_ms=scored.arrival_ms)


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
        return self if len(rows) == len(self) else Many(self.columns.take(pa.array(rows, pa.int32())))

    def inputs(self, features: Features) -> Inputs:
        numbers = _numbers(self.columns["features"], features.numeric)
        texts = _texts(self.columns["categories"], features.categorical)
        return features.inputs(Columns(len(self), numbers, texts))

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

    def names(self) -> list[list[str]]:
        features, categories = (self.columns[name].to_pylist() for name in ("features", "categories"))
        return [
            list(dict.fromkeys(name for name, _ in (*one, *other)))
            for one, other in zip(features, categories, strict=True)
        ]

    def others(self, known: frozenset[str], given: Inputs | None) -> Counter[str]:
        columns = [_entries(self.columns[name]) for name in ("features", "categories")]
        if given is not None and sum(len(names) for names, _, _ in columns) == _values(given):
            return Counter()
        found = Counter[str]()
        for names, _, offsets in columns:
            found.update(_counted(names, offsets, known))
        return found

    def longest_category(self) -> int:
        return int(lengths(_entries(self.columns["categories"])[1]).max(initial=0))

    def users(self) -> list[str]:
        users = self.columns["user_id"]
        found: list[str] = pc.if_else(pc.equal(users, ""), self.columns["request_id"], users).to_pylist()
        return found

    def ids(self) -> list[str]:
        found: list[str] = self.columns["request_id"].to_pylist()
        return found

    def predictions(self, keys: list[bytes], partition: int, scored: Scored, route: Route) -> Output:
        requests, count, version = self.columns, len(keys), route.version
        columns = pa.record_batch(
            {
                "request_id": requests["request_id"],
                "model": requests["model"],
                "model_version": pa.repeat(version.version, count),
                "role": pa.repeat(route.role, count),
                "user_id": requests["user_id"],
                "event_time": requests["event_time"],
                "scored_at": pa.array(scored.arrival_ms),
                "score": pa.array(scored.scores),
                "predicted_label": pa.nulls(count, pa.int64()) if scored.labels is None else pa.array(scored.labels),
                "features": _lists(pa.array(scored.inputs.matrix.reshape(-1)), count),
                "signature": pa.repeat(version.signature.id, count),
                "segments": self._segments(version.settings.segments),
                "feature_age_ms": pa.nulls(count, pa.int64())
                if scored.age_ms is None
                else pa.array(scored.age_ms, pa.int64(), from_pandas=True),
                "categories": _lists(_named(scored.inputs, version.signature.categorical), count),
                "rollout_id": pa.repeat(route.rollout_id, count),
                "sample": pa.repeat(route.sample, count),
            }
        )
        return Output(topic_of(route.role), keys, partition, columns=columns, arrival_ms=scored.arrival_ms)

    def _segments(self, names: list[str]) -> pa.ListArray:
        said = [[f"{name}={value}" for value in self.category(name)] for name in names]
        flat = [column[row] for row in range(len(self)) for column in said]
        return _lists(pa.array(flat, pa.string()), len(self))


def _lists(values: pa.Array, count: int) -> pa.ListArray:
    """So many lists of equal length."""
    width = len(values) // max(count, 1)
    return pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32) * width), values)


def _named(inputs: Inputs, names: list[str]) -> pa.Array:
    """The categories of the rows one after another, empty where one is missing."""
    columns = [inputs.texts[name] for name in names]
    if not columns:
        return pa.array([], pa.string())
    starts = np.cumsum([0, *(len(column.texts) for column in columns)])
    codes = [np.where(each.codes < 0, starts[-1], each.codes + at) for each, at in zip(columns, starts, strict=False)]
    different = pa.array([*(text for column in columns for text in column.texts), ""], pa.string())
    return different.take(pa.array(np.stack(codes, axis=1).reshape(-1)))


def _entries(column: pa.MapArray) -> tuple[pa.Array, pa.Array, Ints]:
    """Names, values and row offsets of a map column, whatever part of a larger one it is."""
    offsets = column.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    start, stop = int(offsets[0]), int(offsets[-1])
    return column.keys.slice(start, stop - start), column.items.slice(start, stop - start), offsets - start


def _values(inputs: Inputs) -> int:
    """How many values of the features are there."""
    codes = [column.codes for column in inputs.texts.values()]
    numbers = inputs.matrix[:, : inputs.matrix.shape[1] - len(codes)]
    return numbers.size - int(np.isnan(numbers).sum()) + sum(int((each >= 0).sum()) for each in codes)


def _counted(names: pa.Array, offsets: Ints, known: frozenset[str]) -> dict[str, int]:
    """How often each name is there that is not known."""
    count, width = len(offsets) - 1, int(offsets[1]) if len(offsets) > 1 else 0
    if _same_names(names, offsets, width):
        return {name: count for name in names.slice(0, width).to_pylist() if name not in known}
    said = ((each["values"], each["counts"]) for each in pc.value_counts(names).to_pylist())
    return {name: times for name, times in said if name not in known}


def _numbers(column: pa.MapArray, wanted: list[str]) -> dict[str, Floats]:
    names, items, offsets = _entries(column)
    count, values = len(column), items.to_numpy(zero_copy_only=False).astype(np.float64)
    width = int(offsets[1]) if count else 0
    if _same_names(names, offsets, width):
        given = values.reshape(count, width)
        return {name: given[:, at] for at, name in enumerate(names.slice(0, width).to_pylist())}
    return _scattered(names, values, offsets, wanted)


def _same_names(names: pa.Array, offsets: Ints, width: int) -> bool:
    """Whether every row gives the same names in the same order."""
    count = len(offsets) - 1
    return count > 0 and np.array_equal(offsets, np.arange(count + 1) * width) and alike(names, width)


def _scattered(names: pa.Array, values: Floats, offsets: Ints, wanted: list[str]) -> dict[str, Floats]:
    coded, column = names.dictionary_encode(), {name: at for at, name in enumerate(wanted)}
    target = np.array([column.get(name, -1) for name in coded.dictionary.to_pylist()], np.int64)
    at = target[ints(coded.indices)]
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    known, found = at >= 0, np.full((len(wanted), len(offsets) - 1), nan)
    found[at[known], rows[known]] = values[known]
    return dict(zip(wanted, found, strict=True))


def _texts(column: pa.MapArray, wanted: list[str]) -> dict[str, Texts]:
    if not wanted:
        return {}
    names, items, offsets = _entries(column)
    coded_names, coded = names.dictionary_encode(), Texts.of(items)
    name_codes, rows = ints(coded_names.indices), np.repeat(np.arange(len(column)), np.diff(offsets))
    found = {}
    for code, name in enumerate(coded_names.dictionary.to_pylist()):
        if name in wanted:
            codes, own = np.full(len(column), MISSING, np.int64), name_codes == code
            codes[rows[own]] = coded.codes[own]
            found[name] = Texts(coded.texts, codes)
    return found
