"""Labels of two classes as 1 and 0."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from leadline.replay.errors import LogError
from leadline.wire.column_conversion import converted
from leadline.wire.conversion import ConversionError, class_text, outcome

_SHOWN = 5
_BOTH = {"0", "1"}


def labels_of(column: pa.Array) -> pa.Array:
    """The labels of a column, each with one text; nothing is null. Raises ConversionError.

    >>> labels_of(pa.array(["1", "1.0", "True", "yes", ""])).to_pylist()
    ['1', '1', '1', 'yes', None]
    """
    return converted(column, _label, pa.string())


def numbered(columns: Sequence[pa.Array], positive: str | None) -> list[pa.Array]:
    """The labels as 1 where they are the positive one, as 0 where they are the other. Raises LogError where that is not clear.

    A column of 0 and 1 stays as it is where the positive label is a word.

    >>> [column.to_pylist() for column in numbered([pa.array(["yes", None]), pa.array(["0", "1"])], "yes")]
    [[1.0, None], [0.0, 1.0]]
    """
    each = [set(pc.unique(column.drop_null()).to_pylist()) for column in columns]
    yes = "1" if positive is None else str(_label(positive))
    own = [_BOTH if _is_word(yes) and labels <= _BOTH else labels for labels in each]
    named = set[str]().union(*(labels for labels in own if labels is not _BOTH))
    if positive is None and not named <= _BOTH:
        raise LogError(f"the labels are {_listed(named)}: say which one is positive with --positive")
    if len({yes, *named}) > 2 or (positive is not None and yes not in named):
        raise LogError(f"--positive {positive}: the labels are {_listed(set().union(*each))}: it should be one of two")
    return [
        pc.equal(column, "1" if labels is _BOTH else yes).cast(pa.float64())
        for column, labels in zip(columns, own, strict=True)
    ]


def _is_word(label: str) -> bool:
    try:
        return outcome(label) is None
    except ConversionError:
        return True


def _label(value: Any) -> str | None:
    found = class_text(value)
    if found is not None and found.lower() == "nan":
        raise ConversionError("is NaN: leave it empty where there is no label")
    return found


def _listed(labels: set[str]) -> str:
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(sorted(labels)[:_SHOWN]) + more
