"""Rows of training sets: what one is made of, and how labeled predictions become such rows.

A row has the features by name, exactly as they were used. What was scored by another signature is mapped by name; where that would be a
guess, the row says why it cannot be used.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leadline.core.columnar.columns import Bools, Floats
from leadline.core.models import Signature
from leadline.learning.training.errors import TrainingError
from leadline.settings import ModelSettings

ABOUT = ("request_id", "user_id", "event_time", "outcome", "model_version", "champion_score", "segments")
"""The columns of a training set beside the features."""
WHY = (
    "",
    "the signature by which it was scored is on no version here",
    "the signature by which it was scored lacks a feature of model.toml",
    "the text of a category that was never seen is not in the prediction",
    "the prediction has not as many features as its signature",
    "the outcome is no class of the model",
)
"""Why a row cannot be used, by number."""
_UNKNOWN, _LACKS, _UNSEEN, _DAMAGED, NO_CLASS = 1, 2, 3, 4, 5
_COPIED = ("request_id", "user_id", "model_version", "event_time", "scored_at", "score", "segments")
SignatureOf = Callable[[str], Signature | None]
"""A signature by its id; None where no version here has it."""


def check_names(settings: ModelSettings) -> None:
    """Raise TrainingError where a feature is called as a column of training sets is."""
    taken = [name for name in (*settings.numeric, *settings.categorical) if name in ABOUT]
    if taken:
        raise TrainingError(
            f"{settings.name} has a feature {taken[0]!r}, and a training set has a column of that name: give the feature another one"
        )


def mapped(
    batch: pa.RecordBatch, settings: ModelSettings, signature_of: SignatureOf, seed: int, also: tuple[str, ...] = ()
) -> pa.Table:
    """Labeled predictions of the model as rows of `schema`, in any order; those of other models are left out.

    ``also``: further columns of whole numbers that the rows have.
    """
    prediction = batch["prediction"]
    mine = pc.equal(prediction.field("model"), settings.name)
    batch = batch if pc.all(mine).as_py() else batch.filter(mine)
    parts = [_mapped(part, settings, signature, also) for part, signature in _by_signature(batch, signature_of)]
    found = pa.concat_tables([schema(settings, also).empty_table(), *parts])
    return with_sample(found, seed)


def schema(settings: ModelSettings, also: tuple[str, ...] = ()) -> pa.Schema:
    """The columns of rows before the newest ones are chosen; features are called ``f:`` and their name, so that they clash with none."""
    fields = [(name, pa.string()) for name in ("request_id", "user_id", "model_version")]
    fields += [(name, pa.int64()) for name in ("event_time", "scored_at", "revision")]
    fields += [
        ("outcome", pa.float64()),
        ("score", pa.float64()),
        ("segments", pa.list_(pa.string())),
        ("why", pa.int8()),
    ]
    fields += [(f"f:{name}", pa.float64()) for name in settings.numeric]
    fields += [(f"f:{name}", pa.string()) for name in settings.categorical]
    fields += [(name, pa.int64()) for name in also]
    return pa.schema(fields)


def with_sample(rows: pa.Table, seed: int) -> pa.Table:
    """The rows, each with the number by which samples are taken: the same request has the same one."""
    return rows.append_column(
        "sample", pa.array([sampled_by(each, seed) for each in rows["request_id"].to_pylist()], pa.uint64())
    )


def sampled_by(request_id: str, seed: int) -> int:
    """The first 8 bytes of sha256(seed, 0x00, request id): a sample has the rows with the lowest ones.

    >>> sampled_by("r1", 0)
    3544954545969457603
    """
    return int.from_bytes(sha256(b"%d\0%s" % (seed, request_id.encode())).digest()[:8], "big")


def _by_signature(
    batch: pa.RecordBatch, signature_of: SignatureOf
) -> Iterator[tuple[pa.RecordBatch, Signature | None]]:
    """The rows of each signature, with it."""
    ids = batch["prediction"].field("signature")
    for each in ids.unique().to_pylist():
        yield batch.filter(pc.equal(ids, each)), signature_of(each)


def _mapped(
    batch: pa.RecordBatch, settings: ModelSettings, signature: Signature | None, also: tuple[str, ...]
) -> pa.Table:
    """Rows that were scored by one signature."""
    prediction = batch["prediction"]
    columns = {name: prediction.field(name) for name in _COPIED}
    columns |= {name: batch[name] for name in ("revision", "outcome", *also)}
    features, why = _features(prediction, settings, signature)
    columns |= {f"f:{name}": column for name, column in features.items()}
    columns["why"] = pa.array(why, pa.int8())
    wanted = schema(settings, also)
    return pa.table({field.name: columns[field.name].cast(field.type) for field in wanted}, wanted)


def _features(
    prediction: pa.StructArray, settings: ModelSettings, signature: Signature | None
) -> tuple[dict[str, pa.Array], NDArray[np.int64]]:
    """The features by name, and why each row cannot be used."""
    count = len(prediction)
    nothing = {name: pa.nulls(count, pa.float64()) for name in settings.numeric}
    nothing |= {name: pa.nulls(count, pa.string()) for name in settings.categorical}
    if signature is None:
        return nothing, np.full(count, _UNKNOWN)
    if set(settings.numeric) - set(signature.numeric) or set(settings.categorical) - set(signature.categorical):
        return nothing, np.full(count, _LACKS)
    matrix, whole = _matrix(prediction.field("features"), len(signature.names))
    found = {name: _nulls(matrix[:, signature.names.index(name)]) for name in settings.numeric}
    why = np.where(whole, 0, _DAMAGED)
    for name in settings.categorical:
        at = signature.categorical.index(name)
        codes = matrix[:, len(signature.numeric) + at]
        found[name], unseen = _texts(prediction.field("categories"), at, codes, signature.categories[name])
        why = np.where((why == 0) & unseen, _UNSEEN, why)
    return found, why


def _nulls(column: Floats) -> pa.Array:
    return pa.array(column, pa.float64(), from_pandas=True)


def _matrix(lists: pa.ListArray, width: int) -> tuple[Floats, Bools]:
    """One row a row, and which rows have as many numbers as they should."""
    whole = pc.list_value_length(lists).to_numpy(zero_copy_only=False) == width
    matrix = np.full((len(lists), width), np.nan)
    some = lists if whole.all() else lists.filter(pa.array(whole))
    matrix[whole] = some.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return matrix, whole


def _texts(lists: pa.ListArray, at: int, codes: Floats, categories: list[str]) -> tuple[pa.Array, Bools]:
    """The texts of one category, and where nobody knows it: older predictions have only its number."""
    sizes = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    named = sizes > at
    starts = np.cumsum(sizes) - sizes
    said = lists.flatten().take(pa.array(starts + at, mask=~named))
    by_number = pa.array(categories, pa.string()).take(
        pa.array(np.nan_to_num(codes, nan=-1).astype(np.int64), mask=~(codes >= 0))
    )
    texts = pc.if_else(pa.array(named), said, by_number)
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts), ~named & (codes < 0)
