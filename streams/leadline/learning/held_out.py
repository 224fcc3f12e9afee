"""Held-out rows from a file, and what a version says of them by the way that requests are scored."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.core.columnar.columns import Floats
from leadline.core.models import LoadedVersion
from leadline.core.release.held_out import DAY_MS, Answers, HeldOut
from leadline.core.scoring.features import Inputs
from leadline.core.scoring.serving import needed_features, predicted_labels
from leadline.core.texts import MISSING, Texts
from leadline.learning.classes import same, values
from leadline.learning.errors import RegistryError
from leadline.learning.reference import inputs, read_reference, texts, times
from leadline.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Held:
    """Rows of a file: as they are there, and as the gate takes them. ``lacking``: segments of the model for which there is no column."""

    path: Path
    table: pa.Table
    rows: HeldOut
    lacking: list[str]

    def inputs(self, version: LoadedVersion) -> Inputs:
        """What a version takes, of each row. Raises RegistryError where the rows do not have it."""
        try:
            return inputs(self.table, version.signature)
        except ValueError as error:
            raise RegistryError(f"{self.path}: {error}") from None


def read_held(path: Path, settings: ModelSettings, version: LoadedVersion, outcome: str, time: str) -> Held:
    """The rows of a file, with their truth in the column ``outcome`` and their event time in ``time``. Raises RegistryError."""
    try:
        table = read_reference(path, text=[*settings.categorical, *settings.segments])
        _check_any(table)
        found = {name: _segment(table, name) for name in settings.segments}
        segments = {name: column for name, column in found.items() if column is not None}
        rows = HeldOut(_truth(table, outcome, version), times(table, time) // DAY_MS, segments)
    except ValueError as error:
        said = str(error)
        raise RegistryError(said if str(path) in said else f"{path}: {said}") from None
    return Held(path, table, rows, [name for name in settings.segments if name not in segments])


def _segment(table: pa.Table, name: str) -> Texts | None:
    """The texts of a segment: a column of its name, or ``name=text`` in the column ``segments``, as predictions have it."""
    if name in table.column_names:
        return Texts.of(texts(table, name))
    if "segments" not in table.column_names or not pa.types.is_list(table["segments"].type):
        return None
    lists, before = table["segments"].combine_chunks(), f"{name}="
    mine = pc.starts_with(lists.flatten(), pattern=before)
    rows = pc.list_parent_indices(lists).filter(mine).to_numpy()
    said = Texts.of(pc.utf8_slice_codeunits(lists.flatten().filter(mine), start=len(before)))
    codes = np.full(len(table), MISSING, np.int64)
    codes[rows] = said.codes
    return Texts(said.texts, codes) if len(rows) else None


def _check_any(table: pa.Table) -> None:
    if not len(table):
        raise ValueError("it has no rows")


def answers(version: LoadedVersion, inputs_: Inputs) -> Answers:
    """What a version says: no score where a request like this would be refused, or the score is no number."""
    scores = np.array(version.predictor.predict(*inputs_), np.float64)
    scores[(np.isnan(inputs_.matrix) & needed_features(version)).any(axis=1) | ~np.isfinite(scores)] = np.nan
    return Answers(scores, predicted_labels(version, inputs_, scores))


def _truth(table: pa.Table, outcome: str, version: LoadedVersion) -> Floats:
    """The outcome of each row: a number, or for yes and no 1 and 0, however the classes are written. Raises ValueError."""
    if version.settings.task == "regression":
        return values(table, outcome)
    column = Texts.of(texts(table, outcome))
    missing = np.flatnonzero(column.codes < 0)
    if len(missing):
        raise ValueError(
            f"column {outcome!r}: {len(missing)} rows have no outcome (first row {missing[0] + 1}); leave them out"
        )
    known = [_class_of(text, version) for text in column.texts]
    other = [at for at, found in enumerate(known) if found is None]
    if other:
        row = int(np.flatnonzero(np.isin(column.codes, other))[0]) + 1
        raise ValueError(
            f"column {outcome!r} has {column.texts[other[0]]!r} in row {row}, which is no class of the model"
        )
    return np.array([*known, 0.0], np.float64)[column.codes]


def _class_of(text: str, version: LoadedVersion) -> float | None:
    """1 for the positive class, 0 for the other, None for what is neither."""
    profile, positive = version.profile, version.settings.positive_outcome
    words = profile.class_names if profile else []
    if same(text, positive) or (words and same(text, words[-1])):
        return 1.0
    others = [*(profile.classes if profile else []), *words] or [0.0]
    return 0.0 if any(same(text, each) for each in others) else None
