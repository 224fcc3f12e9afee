"""What a model takes: a matrix of numbers, a data frame, or rows of mixed values; always in its own order and its own types.

pandas is imported where the first model that takes a data frame is made ready.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.core.models import Signature
from leadline.core.scoring.features import Inputs
from leadline.core.texts import Texts
from leadline.learning.encoders import Own, by_text
from leadline.learning.errors import RegistryError
from leadline.learning.served import Served
from leadline.records import to_number

Take = Callable[[Inputs], Any]
_Column = Callable[[Inputs], NDArray[Any]]


def taker(served: Served, signature: Signature, own: Own) -> Take:
    """How the inputs of a version become what its model takes. Raises RegistryError where pandas is needed and is not there."""
    if served.form == "matrix":
        return _matrix(served, signature)
    columns = {name: _column(name, served, signature, own) for name in served.columns}
    return _frame(columns) if served.form == "frame" else _rows(columns)


def dtypes_of(taken: Any) -> tuple[str, ...]:
    """The dtype of each column of what a model takes; of a column of mixed values, that of the values."""
    if isinstance(taken, np.ndarray):
        kinds = [type(each).__name__ if taken.dtype == object else str(taken.dtype) for each in taken[0].tolist()]
        return tuple(kinds)
    return tuple(map(str, taken.dtypes))


def _matrix(served: Served, signature: Signature) -> Take:
    order = [signature.names.index(name) for name in served.columns]
    if order == list(range(len(order))):
        return lambda inputs: inputs.matrix
    return lambda inputs: inputs.matrix[:, order]


def _frame(columns: dict[str, _Column]) -> Take:
    try:
        from pandas import DataFrame
    except ImportError:
        raise RegistryError(
            "the model takes a data frame, and pandas is not installed: pip install 'leadline[frames]'"
        ) from None
    return lambda inputs: DataFrame({name: column(inputs) for name, column in columns.items()})


def _rows(columns: dict[str, _Column]) -> Take:
    def take(inputs: Inputs) -> NDArray[Any]:
        rows = np.empty((len(inputs.matrix), len(columns)), object)
        for at, column in enumerate(columns.values()):
            rows[:, at] = column(inputs)
        return rows

    return take


def _column(name: str, served: Served, signature: Signature, own: Own) -> _Column:
    at = signature.names.index(name)
    if name in signature.numeric or name in served.codes:
        return lambda inputs: inputs.matrix[:, at]
    values = _Values(own.get(name))
    return lambda inputs: values(inputs.texts[name])


class _Values:
    """Categories in the type in which a model learned them."""

    def __init__(self, own: NDArray[Any] | None) -> None:
        self._kind = "O" if own is None else own.dtype.kind
        self._known = by_text([] if own is None else own.tolist())
        self._missing = self._known.get(None, np.nan)

    def __call__(self, column: Texts) -> NDArray[Any]:
        values = [self._value(text) for text in column.texts]
        if self._kind in "iuf" and not any(isinstance(value, str) for value in values):
            found: NDArray[Any] = np.array([*values, np.nan], np.float64)[column.codes]
            return found
        table = np.empty(len(values) + 1, object)
        table[:] = [*values, self._missing]
        found = table[column.codes]
        return found.astype(bool) if self._kind == "b" and all(isinstance(each, bool) for each in found) else found

    def _value(self, text: str) -> Any:
        """A category that the model does not know has the type of those that it knows, where it can."""
        if text in self._known:
            return self._known[text]
        try:
            return to_number(text) if self._kind in "iuf" else text
        except ValueError:
            return text
