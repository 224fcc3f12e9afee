"""Labels of two classes as 1 and 0."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from leadline.replay.errors import LogError
from leadline.wire.column_conversion import converted
from leadline.wire.conversion import ConversionError, category, outcome

_SHOWN = 5


def labels_of(column: pa.Array) -> pa.Array:
    """The labels of a column, each with one text; nothing is null. Raises ConversionError.

    >>> labels_of(pa.array(["1", "1.0", "True", "yes", ""])).to_pylist()
    ['1', '1', '1', 'yes', None]
    """
    return converted(column, _label, pa.string())


def numbered(columns: Sequence[pa.Array], positive: str | None) -> list[pa.Array]:
    """The labels as 1 where they are the positive one, as 0 where they are the other. Raises LogError where that is not clear.

    >>> [column.to_pylist() for column in numbered([pa.array(["yes", None]), pa.array(["no", "no"])], "yes")]
    [[1.0, None], [0.0, 0.0]]
    """
    labels = sorted({label for column in columns for label in pc.unique(column).to_pylist() if label is not None})
    yes = _label(positive) if positive is not None else "1"
    if positive is None and not {"0", "1"}.issuperset(labels):
        raise LogError(f"the labels are {_listed(labels)}: say which one is positive with --positive")
    if len({yes, *labels}) > 2 or (positive is not None and yes not in labels):
        raise LogError(f"--positive {positive}: the labels are {_listed(labels)}: it should be one of two")
    return [pc.equal(column, yes).cast(pa.float64()) for column in columns]


def _label(value: Any) -> str | None:
    try:
        found = outcome(value)
    except ConversionError:
        return category(value)
    if found is not None and found != found:
        raise ConversionError("is NaN: leave it empty where there is no label")
    return category(found)


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(labels[:_SHOWN]) + more
