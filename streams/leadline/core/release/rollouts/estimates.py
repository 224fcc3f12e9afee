"""The guardrail of estimated performance: what is expected of a version and of its champion in the same windows, before any label.

The stage `performance` estimates each window of each version that answered, by what the reference of the version says of its scores. Here
that is a loss: the share of wrong answers, or of a regression the mean absolute error. Windows are compared one by one, so what a day
does to both makes no difference. Chance is in the requests, and in both references, whose days vary. An estimate lies where scores
mean something else by now; where labels of earlier windows have shown that, they count for the challenger.
"""

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.core.reference import ReferenceProfile
from leadline.core.release.rollouts.checks import ALL, LEAST_REQUESTS, MOST_WINDOWS, SIGMAS, check
from leadline.core.release.rollouts.under_way import MOST_ARMS, Estimate, Missed, OfModel, UnderWay
from leadline.core.statistics.overdispersion import deflation, spread_of
from leadline.records import Check, Metric, WindowMetrics
from leadline.settings import ModelSettings

MOST_MISSED = 8
"""Windows whose labels say how far the estimates of a version are off, the newest ones."""
_MOST_VERSIONS = MOST_ARMS + 2
_MOST_REQUESTS, _MOST_VALUE = 2**53, 1e50
_LEAST_APART = 3
"""Windows that say how far they lie apart."""
_LEAST_VARIANCE = 1e-12
_NAME = "estimated"

Floats = NDArray[np.float64]
Profiles = Mapping[str, ReferenceProfile | None]


# -- what comes -------------------------------------------------------------------------------------------------------


def remember_estimate(of: OfModel, record: WindowMetrics) -> None:
    """Keep what is expected of a version in a window of the rollout, and how far labels show its estimates to be off."""
    if record.segment != ALL:
        return
    missed, found, rollout = _missed(record), _estimate(record), of.under_way
    if missed is not None:
        _remember_missed(of.missed, record, missed)
    if found is not None and rollout is not None and _is_judged(rollout, record):
        held = rollout.estimates.get(record.window_start, {}) | {record.model_version: found}
        windows = rollout.estimates | {record.window_start: held}
        rollout.estimates = dict(sorted(windows.items())[-MOST_WINDOWS:])


def _is_judged(rollout: UnderWay, record: WindowMetrics) -> bool:
    """Whether it is a window in which both answered, from its beginning on."""
    if rollout.answers is None or rollout.state == "watched":
        return False
    return record.model_version in (rollout.champion, *rollout.arms) and record.window_start >= rollout.answers


def _estimate(record: WindowMetrics) -> Estimate | None:
    """None where there is none, or a number that cannot be."""
    if record.task == "regression":
        mean, deviation = _value(record.estimated_mae), _value(record.estimated_rmse)
        square = None if deviation is None else deviation**2
    else:
        right = _value(record.estimated_accuracy)
        mean = square = None if right is None else 1 - right
    if mean is None or square is None or mean < 0 or not 0 < record.predictions <= _MOST_REQUESTS:
        return None
    return Estimate(record.predictions, mean, square)


def _value(metric: Metric | None) -> float | None:
    return metric.value if metric is not None and abs(metric.value) <= _MOST_VALUE else None


def _missed(record: WindowMetrics) -> Missed | None:
    """None before the labels of a window are there."""
    off = record.estimated_error
    if off is None or not abs(off) <= _MOST_VALUE or not 0 < record.matched <= _MOST_REQUESTS:
        return None
    return Missed(record.matched, off if record.task == "regression" else -off)


def _remember_missed(missed: dict[str, dict[int, Missed]], record: WindowMetrics, found: Missed) -> None:
    """Keep the newest windows of each version, and the versions whose labels came last."""
    held = missed.get(record.model_version, {})
    kept = dict(sorted((held | {record.window_start: found}).items())[-MOST_MISSED:])
    if kept != held:
        missed.pop(record.model_version, None)
        missed[record.model_version] = kept
        if len(missed) > _MOST_VERSIONS:
            del missed[next(iter(missed))]


# -- what it says -----------------------------------------------------------------------------------------------------


class _Beside(NamedTuple):
    """The champion and a version over the windows that have an estimate of both: requests, and the mean loss expected of each.

    ``corrected``: how much of how far they are apart was taken away by labels; ``deviation``: of what is left, by chance.
    """

    windows: int
    requests: tuple[int, int]
    losses: tuple[float, float]
    corrected: float
    deviation: float


def estimated(of: OfModel, version: str, profiles: Profiles, settings: ModelSettings) -> Check:
    """How much worse a version is expected to be than the champion, and whether that is more than chance beyond the limit."""
    limit, is_regression = settings.rollout.max_estimated_drop, settings.task == "regression"
    found = _beside(of, version, profiles)
    scale = 0.0 if found is None else found.losses[0] if is_regression else 1.0
    if found is None or not scale > 0:
        reason = f"too few requests of {version} and the champion in the same windows have an estimate, by a reference of each"
        return check(_NAME, None, limit, False, reason)
    more, chance = (found.losses[1] - found.losses[0]) / scale, SIGMAS * found.deviation / scale
    told = _of_regression if is_regression else _of_classes
    return check(_NAME, more, limit, more - chance > limit, told(version, found, more, chance, limit))


def _beside(of: OfModel, version: str, profiles: Profiles) -> _Beside | None:
    """None where too little is known of one of them."""
    assert of.under_way is not None
    names = of.under_way.champion, version
    known = [each for each in of.under_way.estimates.values() if set(names) <= each.keys()]
    table = np.array([[each[name] for name in names] for each in known], np.float64).reshape(len(known), 2, 3)
    by_reference = [_by_reference(profiles.get(name)) for name in names]
    requests, losses, squares = np.moveaxis(table, 2, 0)
    if requests.sum(axis=0).min() < LEAST_REQUESTS or None in by_reference:
        return None
    weights = requests.prod(axis=1) / requests.sum(axis=1)
    weights /= weights.sum()
    spread = np.maximum(squares - losses**2, 0.0)
    labels, by = np.array([_sum(of.missed.get(name, {}).values()) for name in names]).T
    corrected = np.clip(by, [-np.inf, 0.0], [0.0, np.inf])
    of_both = (weights @ spread) @ (np.array(by_reference, np.float64) + (corrected != 0) / np.maximum(labels, 1))
    variance = _chance(weights, losses[:, 1] - losses[:, 0], (spread / requests).sum(axis=1)) + float(of_both)
    champion, challenger = (weights @ losses - corrected).tolist()
    total = requests.sum(axis=0).astype(int).tolist()
    return _Beside(
        len(known), (total[0], total[1]), (champion, challenger), float(abs(corrected).sum()), math.sqrt(variance)
    )


def _by_reference(profile: ReferenceProfile | None) -> float | None:
    """How much of the variance of a row the mean of a reference has: rows of one window of it share its weather.

    None where it has no rows with outcomes, or times and too few windows to say how far they lie apart.
    """
    if profile is None or profile.calibration is None or not sum(profile.calibration.rows):
        return None
    rows = sum(profile.calibration.rows)
    if not profile.window:
        return 1 / rows
    windows = next((each.windows for each in profile.segments if each.segment == ALL), [])
    if len(windows) < _LEAST_APART:
        return None
    table = np.array(windows, np.float64)
    counts = table[:, 1]
    found = spread_of(table[:, 2], table[:, -1], counts)
    return float(deflation((counts**2).sum() / counts.sum(), found.rho)) / rows


def _sum(windows: Collection[Missed]) -> tuple[int, float]:
    labels = sum(each.labels for each in windows)
    return labels, sum(each.labels * each.by for each in windows) / max(labels, 1)


def _chance(weights: Floats, apart: Floats, variance: Floats) -> float:
    """The variance of the weighted mean of how far windows are ``apart``: by their requests, and by what is seen, whichever is more.

    Of what is seen the lesser of two: how far windows are from their mean, and from the one before, so that a lasting change is no spread.
    """
    own, windows = float(weights**2 @ variance), len(weights)
    if windows < _LEAST_APART:
        return own
    each = np.maximum(variance, _LEAST_VARIANCE)
    of_windows = float(((apart - weights @ apart) ** 2 / each).sum()) / (windows - 1)
    of_steps = float((np.diff(apart) ** 2 / (each[1:] + each[:-1])).mean())
    return float(weights**2 @ each) * max(1.0, min(of_windows, of_steps))


def _of_classes(version: str, found: _Beside, more: float, chance: float, limit: float) -> str:
    champion, challenger = (1 - loss for loss in found.losses)
    said = f"the estimated accuracy of {version} is {challenger:.3f} {_over(found, f'{champion:.3f}')}"
    return f"{said}: {-more:+.3f}, {chance:.3f} of it may be chance (at most {limit:g} less)"


def _of_regression(version: str, found: _Beside, more: float, chance: float, limit: float) -> str:
    champion, challenger = found.losses
    said = f"the estimated mae of {version} is {challenger:.4g} {_over(found, f'{champion:.4g}')}"
    return f"{said}: {more:+.1%}, {chance:.1%} of it may be chance (at most {limit:.1%} more)"


def _over(found: _Beside, champion: str) -> str:
    own, beside = found.requests
    labels = f", {found.corrected:.3g} of it by labels that came" if found.corrected else ""
    return (
        f"over {beside:,} requests, the champion's {champion} over {own:,} of the same {found.windows} windows{labels}"
    )
