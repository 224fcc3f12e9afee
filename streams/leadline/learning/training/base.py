"""Rows from before Leadline: the file that ``[training] base`` names."""

from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path

import numpy as np
import pyarrow as pa

from leadline.learning.reference import numbers, read_reference, texts, times
from leadline.learning.training.errors import TrainingError
from leadline.learning.training.outcomes import Outcomes
from leadline.learning.training.rows import schema, with_sample
from leadline.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Base:
    """The file as it was read: its name, the sha256 of its bytes, and its rows."""

    file: str
    digest: str
    rows: int


def read_base(root: Path, settings: ModelSettings) -> tuple[pa.Table, Base] | None:
    """The file, which is named from the folder of model.toml; None where none is. Raises TrainingError."""
    name = settings.training.base
    if not name:
        return None
    path = root / settings.name / name
    try:
        table = read_reference(path, settings.categorical)
        digest = sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError) as error:
        raise TrainingError(f"[training] base: {error}") from None
    return table, Base(name, digest, len(table))


def digest_of_base(root: Path, model: str, name: str) -> str:
    """The sha256 of such a file; empty where it cannot be read."""
    try:
        with (root / model / name).open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def base_rows(table: pa.Table, settings: ModelSettings, outcomes: Outcomes) -> pa.Table:
    """Its rows as `leadline.learning.training.rows.schema` has them. Raises TrainingError that names the column."""
    try:
        columns = _columns(table, settings, outcomes)
    except ValueError as error:
        raise TrainingError(
            f"[training] base = {settings.training.base!r}: {error}; it has the features by name, outcome and event_time"
        ) from None
    wanted = schema(settings)
    return with_sample(pa.table({field.name: columns[field.name] for field in wanted}, wanted), settings.training.seed)


def _columns(table: pa.Table, settings: ModelSettings, outcomes: Outcomes) -> dict[str, pa.Array]:
    count, moments = len(table), pa.array(times(table, "event_time"))
    found = {"request_id": _ids(table), "user_id": _optional(table, "user_id"), "model_version": _same("", count)}
    found |= {"event_time": moments, "scored_at": moments, "revision": pa.array(np.zeros(count, np.int64))}
    found |= {"outcome": outcomes.read(table, "outcome"), "score": pa.nulls(count, pa.float64())}
    found |= {"segments": _segments(table, settings.segments), "why": pa.array(np.zeros(count, np.int8))}
    found |= {f"f:{name}": pa.array(numbers(table, name), pa.float64(), from_pandas=True) for name in settings.numeric}
    return found | {f"f:{name}": texts(table, name) for name in settings.categorical}


def _ids(table: pa.Table) -> pa.Array:
    if "request_id" not in table.column_names:
        return pa.array([f"base:{at:09}" for at in range(len(table))], pa.string())
    found = texts(table, "request_id")
    if found.null_count or len(found.unique()) < len(found):
        raise ValueError("a request_id is missing, or there twice")
    return found


def _optional(table: pa.Table, name: str) -> pa.Array:
    return texts(table, name).fill_null("") if name in table.column_names else _same("", len(table))


def _segments(table: pa.Table, names: list[str]) -> pa.ListArray:
    """As predictions have them."""
    said = [[f"{name}={text or ''}" for text in _optional(table, name).to_pylist()] for name in names]
    rows = zip(*said, strict=True) if said else ([] for _ in range(len(table)))
    return pa.array([list(row) for row in rows], pa.list_(pa.string()))


def _same(value: str, count: int) -> pa.Array:
    return pa.array([value], pa.string()).take(pa.array(np.zeros(count, np.int64)))
