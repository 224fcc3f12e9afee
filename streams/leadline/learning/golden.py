"""The golden sample of a version: some rows of its reference with their scores. Whoever loads it has to give the same ones."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from leadline.core.columnar.columns import Floats
from leadline.core.models import Predictor
from leadline.core.scoring.features import Inputs
from leadline.core.texts import Texts
from leadline.learning.errors import RegistryError

PARITY = 1e-9
"""How far a score may be from what it was, in parts of it where it is above 1."""
_ROWS = 32


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows as the signature has them, None where a value is missing, and their scores."""

    rows: list[list[float | None]]
    texts: dict[str, list[str | None]]
    scores: list[float]

    @classmethod
    def of(cls, inputs: Inputs, scores: Floats) -> Self:
        """Rows from all over the reference."""
        at = np.unique(np.linspace(0, len(scores) - 1, _ROWS).astype(np.int64))
        some = inputs.take(at)
        rows = [[None if np.isnan(each) else each for each in row] for row in some.matrix.tolist()]
        texts = {
            name: [column.texts[code] if code >= 0 else None for code in column.codes.tolist()]
            for name, column in some.texts.items()
        }
        return cls(rows, texts, scores[at].tolist())

    def inputs(self, width: int) -> Inputs:
        """The rows again, of so many features."""
        matrix = np.array([[np.nan if each is None else each for each in row] for row in self.rows], np.float64)
        texts = {name: Texts.of_few(values) for name, values in self.texts.items()}
        return Inputs(matrix.reshape(len(self.rows), width), texts)

    def check(self, predictor: Predictor, width: int, name: str, within: float = PARITY) -> None:
        """Raises RegistryError where another score is given than when the version was added."""
        try:
            found = predictor.predict(*self.inputs(width))
        except Exception as error:  # a file that was put together by hand
            raise RegistryError(
                f"{name}: its golden sample cannot be scored ({type(error).__name__}: {error})"
            ) from error
        at = worst(found, np.array(self.scores), within)
        if at is not None:
            raise RegistryError(
                f"{name} gives {float(found[at])!r} for row {at + 1} of its golden sample, and gave {self.scores[at]!r} when it was added: "
                "install the releases that its manifest names, or add the model again"
            )


def worst(found: Floats, expected: Floats, within: float = PARITY) -> int | None:
    """The row that is furthest from what is expected, where one is too far."""
    if found.shape != expected.shape:
        return 0
    far = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    far[~np.isfinite(far)] = np.inf
    at = int(far.argmax()) if len(far) else 0
    return at if len(far) and far[at] > within else None


def check_parity(found: Floats, expected: Floats, column: str, within: float = PARITY) -> None:
    """Raises ValueError where a score is another than the user's own."""
    at = worst(found, expected, within)
    if at is not None:
        raise ValueError(
            f"column {column!r} has {float(expected[at])!r} in row {at + 1}, and the model is served with {float(found[at])!r}: "
            f"not equal to {within:g}; the columns or categories are others than in your own process"
        )
