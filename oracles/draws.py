"""Streams of windows that are the same in both environments: numpy alone is needed, and a seed.

A model says yes to three of ten rows and is sure of it by 0.8 to 1, of which its score tells: so often it is right, nine times of ten on
average. From window ``good`` on it is right less often by ``fall``, which scores do not tell.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

REFERENCE_WINDOWS = 30


class Cell(NamedTuple):
    """``varying``: by how much the share of right answers moves from window to window; ``reference``: rows of it, 0 for thirty windows."""

    size: int
    missing: float = 0.0
    varying: float = 0.0
    reference: int = 0
    fall: float = 0.0
    windows: int = 300
    good: int = 0


class Drawn(NamedTuple):
    """Rows of windows, one a line: ``known`` says which have their outcome."""

    score: NDArray[np.float64]
    said: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    known: NDArray[np.bool_]


def drawn(cell: Cell, seed: int) -> tuple[Drawn, Drawn]:
    """The reference, with all its outcomes, and the stream."""
    rng = np.random.Generator(np.random.PCG64([seed, cell.size, int(1000 * cell.fall), int(100 * cell.missing)]))
    windows = max(2, cell.reference // cell.size) if cell.reference else REFERENCE_WINDOWS
    size = min(cell.size, cell.reference // windows) if cell.reference else cell.size
    reference = _rows(rng, windows, size, np.zeros(windows), cell.varying, 0.0)
    worse = np.where(np.arange(cell.windows) >= cell.good, cell.fall, 0.0)
    return reference, _rows(rng, cell.windows, cell.size, worse, cell.varying, cell.missing)


def _rows(
    rng: np.random.Generator, windows: int, size: int, worse: NDArray[np.float64], varying: float, missing: float
) -> Drawn:
    shape = windows, size
    said, sure = rng.random(shape) < 0.3, 0.8 + 0.2 * rng.random(shape)
    # twelve uniform numbers less six are normal enough, and the same in every release of numpy
    moved = varying * (rng.random((windows, 12)).sum(axis=1) - 6) - worse
    right = rng.random(shape) < sure + moved[:, None]
    known = rng.random(shape) >= missing
    return Drawn(np.where(said, sure, 1 - sure), said, said == right, known)


def firing(cell: Cell, seed: int, chance: float) -> list[int]:
    """The windows in which one fires that knows nothing."""
    rng = np.random.Generator(np.random.PCG64([seed, 99]))
    return np.flatnonzero(rng.random(cell.windows) < chance).tolist()
