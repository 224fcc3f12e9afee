"""Numbers for the (model, version, segments) that predictions belong to, kept in the store."""

import json
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from leadline.core.columnar.columns import Bools, Floats, Ints, distinct
from leadline.core.join.class_names import are_names, number_of
from leadline.core.models import Models
from leadline.core.processor import Store
from leadline.core.store_keys import JoinKeys
from leadline.core.windows.keys import window_start
from leadline.settings import ModelSettings

OTHER = ("other",)
"""The segment of predictions whose own segments are over the model's limit."""
SEGMENTS_BYTES = 4 << 20
"""Bytes of the segments of all combinations of a version, which are in memory."""
_NEVER = 2**62
_TABLE = np.dtype(
    [
        ("model", np.int64),
        ("version", np.int64),
        ("horizon", np.int64),
        ("seal", np.int64),
        ("forget", np.int64),
        ("window", np.int64),
        ("mature", np.int64),
        ("assume", np.int64),
        ("negative", np.float64),
        ("binary", np.bool_),
        ("decision", np.bool_),
        ("threshold", np.float64),
        ("positive", np.float64),
        ("any_class", np.bool_),
        ("classes", np.float64, (2,)),
        ("names", np.float64, (2,)),
    ]
)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Predictions that fall into the same windows; ``segments`` starts with ``*``.

    ``classes``: the two outcomes that there are; None where any number is one, or nobody knows. ``class_names``: what the model calls
    them, where they are words. They stay as they were at the first prediction.
    """

    model: str
    version: str
    segments: tuple[str, ...]
    settings: ModelSettings
    classes: tuple[float, ...] | None = None
    class_names: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[float, ...]:
        """The number of each class name."""
        return tuple(map(number_of, self.class_names))

    @property
    def seal_ms(self) -> int:
        """How long after the event an outcome may arrive."""
        return _NEVER if self.settings.grace is None else self.settings.horizon + self.settings.grace

    @property
    def forget_ms(self) -> int:
        """How long after a window's end its predictions are taken, and their requests remembered: else a repeat would count."""
        return _NEVER if self.settings.grace is None else self.seal_ms + self.settings.grace

    @property
    def assume_ms(self) -> int:
        """How long after the event a prediction without an outcome counts as labelled with the negative class."""
        return self.seal_ms if self.settings.unlabelled == "negative" else _NEVER

    @property
    def negative(self) -> float:
        """The outcome that is a no: the class that is not the positive one."""
        others = [each for each in self.classes or (0.0, 1.0) if each != self.settings.positive_outcome]
        return others[0]


class Cohorts:
    """The cohorts of one task. A cohort keeps its number.

    ``most_windows``: in how many windows a prediction of any of them counts at most: one of each segment. ``any_assumed``: whether for some
    no outcome means no.
    """

    def __init__(self, store: Store, models: Models) -> None:
        self._store = store
        self._models = models
        self._numbers: dict[tuple[str, str, tuple[str, ...]], int] = {}
        self._of_version: Counter[tuple[str, str]] = Counter()
        self._bytes_of_version: Counter[tuple[str, str]] = Counter()
        self._versions: dict[tuple[str, str], int] = {}
        self._model_numbers: dict[str, int] = {}
        self._score_edges: dict[int, Floats] = {}
        self.most_windows = 1
        self.any_assumed = False
        self._has_classes = False
        self._common_classes = frozenset[float]()
        self._cohorts: list[Cohort] = []
        self._table: NDArray[Any] = np.zeros(0, _TABLE)
        for _, value in store.scan(JoinKeys.COHORT, JoinKeys.COHORT + b"\xff" * 5):
            model, version, *segments = json.loads(value)
            self._append(model, version, tuple(segments), _unpacked(store.get(_classes_key(len(self._cohorts)))))

    def __getitem__(self, number: int) -> Cohort:
        return self._cohorts[number]

    def horizon(self, numbers: Ints) -> Ints:
        """Label horizon of each cohort, in ms."""
        return self._column("horizon", numbers)

    def seal(self, numbers: Ints) -> Ints:
        """`Cohort.seal_ms` of each cohort."""
        return self._column("seal", numbers)

    def forgotten(self, numbers: Ints, event_time: Ints) -> Ints:
        """When the request of each prediction of these cohorts is forgotten, and its window takes no more."""
        size = self.window(numbers)
        forgotten: Ints = window_start(event_time, size) + size + self._column("forget", numbers)
        return forgotten

    def deadline(self, numbers: Ints, event_time: Ints) -> Ints:
        """The last outcome time that is in the horizon of each prediction of these cohorts."""
        deadline: Ints = event_time + self.horizon(numbers)
        return deadline

    def matures(self, numbers: Ints, event_time: Ints) -> Ints:
        """The last moment before the window of each prediction of these cohorts is mature: what arrives up to then is judged."""
        matures: Ints = window_start(event_time, self.window(numbers)) + self._column("mature", numbers)
        return matures

    def matured_at(self, number: int, event_time: int) -> int:
        """`matures` of one prediction."""
        return int(self.matures(np.array([number]), np.array([event_time]))[0])

    def assumed(self, numbers: Ints, event_time: Ints) -> Ints:
        """The last moment before each prediction of these cohorts counts as labelled where it has no outcome."""
        assumed: Ints = event_time + self._column("assume", numbers)
        return assumed

    def negative(self, numbers: Ints) -> Floats:
        """`Cohort.negative` of each cohort."""
        return self._column("negative", numbers)

    def window(self, numbers: Ints) -> Ints:
        """Window size of each cohort, in ms."""
        return self._column("window", numbers)

    def binary(self, numbers: Ints) -> Bools:
        """Whether each cohort's model has the task binary."""
        return self._column("binary", numbers)

    def decision(self, numbers: Ints) -> Bools:
        """Whether each cohort's scores are those of a decision function."""
        return self._column("decision", numbers)

    def threshold(self, numbers: Ints) -> Floats:
        """The score from which on each cohort's model says yes."""
        return self._column("threshold", numbers)

    def positive(self, numbers: Ints) -> Floats:
        """The outcome that each cohort's model calls yes."""
        return self._column("positive", numbers)

    def are_classes_of_all(self, outcomes: Floats) -> bool:
        """Whether each outcome surely is a class, whichever cohort it belongs to: so it is nearly always."""
        if not self._has_classes:
            return not are_names(outcomes).any()
        return bool((np.isnan(outcomes) | np.isin(outcomes, list(self._common_classes))).all())

    def is_class(self, numbers: Ints, outcomes: Floats) -> Bools:
        """Whether each outcome, as `known_outcomes` says it, is a class of the cohort beside it; NaN, which takes back, is."""
        if self.are_classes_of_all(outcomes):
            return np.ones(len(outcomes), bool)
        known = self._column("classes", numbers)
        found: Bools = (
            (self._column("any_class", numbers) & ~are_names(outcomes))
            | np.isnan(outcomes)
            | (known == outcomes[:, None]).any(axis=1)
        )
        return found

    def known_outcomes(self, numbers: Ints, outcomes: Floats) -> Floats:
        """Each outcome as the cohort beside it counts it: a class that is named has its number."""
        if not are_names(outcomes).any():
            return outcomes
        names, classes = self._column("names", numbers), self._column("classes", numbers)
        found: Floats = np.select(list((names == outcomes[:, None]).T), list(classes.T), outcomes)
        return found

    def model(self, numbers: Ints) -> Ints:
        """A number for the model of each cohort."""
        return self._column("model", numbers)

    def version(self, numbers: Ints) -> Ints:
        """A number for the (model, version) of each cohort."""
        return self._column("version", numbers)

    def score_edges(self, version: int) -> Floats:
        """Between which values scores that are no probabilities are counted, by the number of their version.

        None where nobody knew when its first prediction came: then a decision function is counted by the logistic function, and a
        regression not at all.
        """
        if version not in self._score_edges:
            self._score_edges[version] = np.frombuffer(self._store.get(_edges_key(version)) or b"", "<f8")
        return self._score_edges[version]

    def error_bound(self, number: int) -> float:
        """The largest error of the version of a cohort that counts in pairs; NaN where its reference says none. It is kept from the first
        pair on, as it was then.

        It is three times the root of the mean squared error of the reference, or where that is not known the range of its scores.
        """
        cohort = self._cohorts[number]
        version = self._versions[cohort.model, cohort.version]
        key = JoinKeys.ERROR_BOUND + version.to_bytes(4, "big")
        held = self._store.get(key)
        if held is None:
            held = struct.pack("<d", self._described_bound(cohort, self.score_edges(version)))
            self._store.put(key, held)
        return float(struct.unpack("<d", held)[0])

    def _described_bound(self, cohort: Cohort, edges: Floats) -> float:
        described = self._models.version(cohort.model, cohort.version)
        rmse = described.profile.metrics.get("rmse", 0.0) if described and described.profile else 0.0
        span = float(edges[-1] - edges[0]) if len(edges) else 0.0
        found = [each for each in (3 * rmse, span) if 0 < each < np.inf]
        return found[0] if found else np.nan

    def versions(self, numbers: Ints) -> tuple[list[tuple[str, str]], Ints]:
        """The (model, version) pairs of these cohorts, each once, and for each cohort the index of its pair."""
        found, index = distinct(self.version(numbers))
        names = list(self._versions)
        return [names[number] for number in found.tolist()], index

    def _column(self, name: str, numbers: Ints) -> NDArray[Any]:
        if len(self._table) != len(self._cohorts):
            self._table = np.array([self._row(cohort) for cohort in self._cohorts], _TABLE)
        column: NDArray[Any] = self._table[name][numbers]
        return column

    def _row(self, cohort: Cohort) -> tuple[Any, ...]:
        """What `_TABLE` holds of a cohort."""
        own, version = cohort.settings, self._versions[cohort.model, cohort.version]
        times = own.horizon, cohort.seal_ms, cohort.forget_ms, own.window, own.window + own.mature_after
        counted = own.task == "binary", own.counted_as == "decision", own.known_threshold, own.positive_outcome
        assumed, none = (cohort.assume_ms, cohort.negative), (np.nan, np.nan)
        classes, names = cohort.classes or (0.0, 0.0), cohort.names or none
        return (
            self._model_numbers[cohort.model],
            version,
            *times,
            *assumed,
            *counted,
            cohort.classes is None,
            classes,
            names,
        )

    def number(self, columns: pa.RecordBatch) -> NDArray[np.int64]:
        """Cohort of each prediction of a batch; -1 where the model is not known."""
        code = _combine(_codes(columns["model"]), _codes(columns["model_version"]), _list_codes(columns["segments"]))
        codes, inverse = distinct(code)
        first = np.zeros(len(codes), np.int64)
        first[inverse[::-1]] = np.arange(len(code))[::-1]
        rows = columns.select(["model", "model_version", "segments"]).take(pa.array(first)).to_pylist()
        known = [self._known(row["model"], row["model_version"], tuple(row["segments"])) for row in rows]
        return np.array(known, np.int64)[inverse]

    def _known(self, model: str, version: str, segments: tuple[str, ...]) -> int:
        number, settings = self._numbers.get((model, version, segments)), self._models.settings(model)
        if number is None and settings is not None:
            if segments not in ((), OTHER) and self._is_full(model, version, segments, settings.segment_limit):
                return self._known(model, version, OTHER)
            classes = self._classes(model, version, settings)
            self._keep_score_edges(model, version, settings)
            number = self._append(model, version, segments, classes)
            if classes.numbers is not None:
                self._store.put(_classes_key(number), json.dumps(classes).encode())
            self._store.put(
                JoinKeys.COHORT + number.to_bytes(4, "big"), json.dumps([model, version, *segments]).encode()
            )
        return -1 if number is None else number

    def _classes(self, model: str, version: str, settings: ModelSettings) -> "_Classes":
        described = self._models.version(model, version) if settings.task == "binary" else None
        profile = described and described.profile
        if not profile or len(profile.classes) != 2:
            return _Classes()
        return _Classes(tuple(profile.classes), tuple(profile.class_names))

    def _keep_score_edges(self, model: str, version: str, settings: ModelSettings) -> None:
        """Of a version that is new; its files may be gone some day, and scores are counted in one way or another."""
        if (model, version) in self._versions or settings.counted_as == "binary":
            return
        described = self._models.version(model, version)
        if described is not None and described.profile is not None:
            edges = np.array(described.profile.score_edges, "<f8")
            self._store.put(_edges_key(len(self._versions)), edges.tobytes())

    def why_unusable(self, model: str) -> str | None:
        """As `Models.why_unusable`."""
        return self._models.why_unusable(model)

    def _is_full(self, model: str, version: str, segments: tuple[str, ...], limit: int) -> bool:
        """Whether a version has so many combinations of segments, or such long ones, that it takes no further one."""
        size = self._bytes_of_version[model, version] + _size(segments)
        return self._of_version[model, version] >= limit or size > SEGMENTS_BYTES

    def _append(self, model: str, version: str, segments: tuple[str, ...], classes: "_Classes") -> int:
        settings = self._models.settings(model) or ModelSettings(name=model)
        number = self._numbers[model, version, segments] = len(self._cohorts)
        self._of_version[model, version] += 1
        self._bytes_of_version[model, version] += _size(segments)
        self._versions.setdefault((model, version), len(self._versions))
        self._model_numbers.setdefault(model, len(self._model_numbers))
        self._cohorts.append(Cohort(model, version, tuple(dict.fromkeys(("*", *segments))), settings, *classes))
        if classes.numbers is not None:
            own = frozenset(classes.numbers)
            common = self._common_classes & own if self._has_classes else own
            self._common_classes, self._has_classes = common, True
        self.any_assumed |= settings.unlabelled == "negative"
        self.most_windows = max(self.most_windows, len(self._cohorts[-1].segments))
        return number


class _Classes(NamedTuple):
    """`Cohort.classes` and `Cohort.class_names`."""

    numbers: tuple[float, ...] | None = None
    names: tuple[str, ...] = ()


def _unpacked(value: bytes | None) -> _Classes:
    return _Classes(*map(tuple, json.loads(value))) if value else _Classes()


def _edges_key(version: int) -> bytes:
    return JoinKeys.SCORE_EDGES + version.to_bytes(4, "big")


def _classes_key(number: int) -> bytes:
    return JoinKeys.CLASSES + number.to_bytes(4, "big")


def _size(segments: tuple[str, ...]) -> int:
    return sum(len(segment.encode()) for segment in segments)


def _codes(column: pa.Array) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = column.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _list_codes(column: pa.Array) -> NDArray[np.int64]:
    sizes: NDArray[np.int64] = column.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    values = _codes(column.flatten())
    code, starts = sizes.copy(), np.cumsum(sizes) - sizes
    for index in range(int(sizes.max(initial=0))):
        has = np.flatnonzero(sizes > index)
        part = np.full(len(sizes), -1, np.int64)
        part[has] = values[starts[has] + index]
        code = _combine(code, part)
    return code


def _combine(*codes: NDArray[np.int64]) -> NDArray[np.int64]:
    combined = codes[0]
    for code in codes[1:]:
        combined = distinct(combined)[1] * (int(code.max(initial=0)) + 2) + code + 1
    return combined
