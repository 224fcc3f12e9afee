"""A check of the shop's own, beside those that the gate has."""

import numpy as np
import pyarrow as pa

from leadline.records import Check

SAVED, SPENT = 5.0, 3.0
"""What a return that was foreseen saves, and what each warning costs."""


def profit(held_out: pa.Table, champion: np.ndarray | None, challenger: np.ndarray) -> Check:
    """The challenger earns at least what the champion earns, within a hundredth."""
    returned = held_out["returned"].to_numpy()
    earned, before = (None if each is None else _earned(each, returned) for each in (challenger, champion))
    limit = 0.0 if before is None else 0.99 * before
    outcome = "passed" if earned >= limit else "failed"
    return Check("profit", "*", earned, limit, outcome, f"it earns {earned:.0f}, and has to earn {limit:.0f}")


def _earned(scores: np.ndarray, returned: np.ndarray) -> float:
    warned = scores >= 0.5
    return float((SAVED * returned[warned]).sum() - SPENT * warned.sum())
