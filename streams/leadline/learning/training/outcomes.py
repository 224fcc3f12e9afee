"""The outcomes of a model: on the wire they are numbers, in a training set the classes that its versions have."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.core.reference import ReferenceProfile
from leadline.learning.classes import on_the_wire
from leadline.learning.reference import numbers, texts
from leadline.learning.training.errors import TrainingError
from leadline.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Outcomes:
    """``numbers``: the classes on the wire, none for regression or where nothing is known.

    ``names``: those of 0 and 1, where they are words.
    """

    numbers: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    @classmethod
    def of_profile(cls, profile: ReferenceProfile | None) -> "Outcomes":
        """As the reference of a version has them."""
        return cls() if profile is None else cls(list(profile.classes), list(profile.class_names))

    def read(self, table: pa.Table, name: str) -> pa.Array:
        """A column of a file as on the wire. Raises ValueError for one that is missing, or no class."""
        if not self.names:
            found = pa.array(numbers(table, name), pa.float64(), from_pandas=True)
        else:
            said = texts(table, name)
            found = pc.index_in(said, value_set=pa.array(self.names, pa.string())).cast(pa.float64())
        if found.null_count:
            row = int(np.flatnonzero(found.is_null().to_numpy(zero_copy_only=False))[0]) + 1
            raise ValueError(f"column {name!r}, row {row}: no outcome of the model{self._said()}")
        return found

    def usable(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Which outcomes are classes; any is for a regression."""
        known = self.numbers or [0.0, 1.0] if self.names else self.numbers
        return pc.is_in(column, value_set=pa.array(known, pa.float64())) if known else pc.is_finite(column)

    def classes(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """A column of the wire as classes."""
        return (
            pa.chunked_array([pa.array(self.names, pa.string())]).take(column.cast(pa.int64()))
            if self.names
            else column
        )

    def _said(self) -> str:
        return f" (its classes are {self.names or self.numbers})" if self.names or self.numbers else ""


def known_by_base(table: pa.Table, settings: ModelSettings) -> Outcomes:
    """The outcomes where no version is there yet: as the base has them."""
    if settings.task == "regression" or "outcome" not in table.column_names:
        return Outcomes()
    said = sorted(set(texts(table, "outcome").drop_null().to_pylist()))
    try:
        return Outcomes(*on_the_wire(said, str(settings.positive)))
    except ValueError as error:
        raise TrainingError(f"[training] base: {error}") from None
