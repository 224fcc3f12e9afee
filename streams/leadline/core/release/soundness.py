"""Checks of a challenger by itself: how sure its scores are, what it costs, and what goes in."""

import numpy as np
from scipy.stats import mannwhitneyu

from leadline.core.columnar.columns import Floats
from leadline.core.models import Signature
from leadline.core.release.held_out import Answers, HeldOut
from leadline.core.release.lead import FAILED, NO_EVIDENCE, PASSED
from leadline.core.release.merits import over_chance
from leadline.core.statistics.whole_days import LEAST_DAYS, day_sums, student
from leadline.records import Check

BINS = 10
_NAMED = 5


def calibration_error(scores: Floats, truth: Floats) -> float:
    """Mean distance of scores from outcomes, over bins of about equally many rows; equal scores are in one bin.

    >>> calibration_error(np.array([0.2, 0.2, 0.9, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]))
    0.15
    """
    edges = np.quantile(scores, np.arange(1, BINS) / BINS, method="inverted_cdf")
    at = np.searchsorted(np.unique(edges), scores)
    off = np.bincount(at, weights=scores - truth)
    return round(float(np.abs(off).sum()) / len(scores), 12)


def calibration_check(limit: float, rows: HeldOut, challenger: Answers, probabilities: bool, least: int) -> Check:
    """Whether the scores are as often right as they say. Chance only adds to the error, so few rows make it no smaller."""
    name = "calibration"
    if not probabilities:
        return Check(
            name,
            "*",
            None,
            limit,
            NO_EVIDENCE,
            "the scores are those of a decision function: nothing is promised by them",
        )
    if len(rows) < least:
        return Check(name, "*", None, limit, NO_EVIDENCE, f"{len(rows)} rows say too little, {least} are needed")
    error = calibration_error(challenger.scores, rows.truth)
    reason = f"scores are {error:.4g} from the outcomes in the mean of {BINS} bins; at most {limit:g} is allowed"
    return Check(name, "*", error, limit, PASSED if error <= limit else FAILED, reason)


def order_check(level: float, rows: HeldOut, challenger: Answers, least: int) -> Check | None:
    """Whether rows of the outcome have the lower scores, by more than chance at a level; None where rows are too few to say so.

    Days count once. Of fewer days than say anything rows do: then a version that only tosses coins is failed more often than by ``level``.
    """
    positive = rows.truth > 0
    parts = over_chance(challenger.scores, positive) if len(rows) >= least else None
    if parts is None:
        return None
    auc = 0.5 + float(parts.mean())
    sums = day_sums(-parts, rows.days)
    if len(sums) >= LEAST_DAYS:
        p, told = student(sums), f"{len(sums)} days"
    else:
        yes, no = challenger.scores[positive], challenger.scores[~positive]
        p, told = float(mannwhitneyu(yes, no, alternative="less", method="asymptotic").pvalue), "too few days to count"
    seen = f"auc {auc:.4g} on {len(rows):,} rows of {told}"
    if auc < 0.5 and p <= level:
        return Check("order", "*", auc, 0.5, FAILED, f"scores run the wrong way: {seen}, p {p:.2g} by chance")
    return Check("order", "*", auc, 0.5, PASSED, f"nothing says that scores run the wrong way: {seen}")


def at_most(name: str, value: float, limit: float | None, what: str) -> Check | None:
    """Whether something is within its limit; None where there is none."""
    if limit is None:
        return None
    outcome = PASSED if value <= limit else FAILED
    return Check(name, "*", value, limit, outcome, f"{what.format(value)}; at most {what.format(limit)} is allowed")


def signature_check(champion: Signature, challenger: Signature) -> Check:
    """Whether the same goes in: failed where the features are others; categories that came or went are said."""
    if champion.names != challenger.names:
        asked = [name for name in challenger.names if name not in champion.names]
        reason = (
            f"it asks for other features than the champion: {', '.join(asked[:_NAMED]) or 'fewer, or in another order'}"
        )
        return Check("signature", "*", None, None, FAILED, reason)
    differ = [_difference(name, champion, challenger) for name in challenger.categorical]
    said = [each for each in differ if each]
    reason = "the same features"
    reason += f"; categories differ: {', '.join(said[:_NAMED])}" if said else " and categories"
    return Check("signature", "*", float(len(said)), None, PASSED, reason)


def _difference(name: str, champion: Signature, challenger: Signature) -> str:
    before, after = set(champion.categories.get(name, ())), set(challenger.categories.get(name, ()))
    if before == after:
        return ""
    return f"{name} ({len(after - before)} new, {len(before - after)} gone)"
