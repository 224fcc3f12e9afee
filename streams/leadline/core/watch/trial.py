"""What settings would have cost on a reference, and how soon they would have seen a fall: its own windows, as if they came live.

The detectors are those of the alerting stage. Concept drift and calibration are not tried: the reference does not keep, by window, which
scores had which outcomes. Nor are early incidents, which rest on those scores too.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import NamedTuple

import numpy as np

from leadline.core.reference import ReferenceProfile
from leadline.core.statistics.own_windows import LEAST_WINDOWS
from leadline.core.watch.confirmed import Confirmed, Scale
from leadline.core.watch.drift import Partial, Summary
from leadline.core.watch.drift_incidents import Drifting
from leadline.core.watch.incidents import Incidents
from leadline.core.watch.own_stream import Chance, Change, OwnStream
from leadline.core.watch.two_nulls import VersionNulls
from leadline.core.watch.waiting import Block
from leadline.core.watch.yardstick import yardstick
from leadline.records import Alert
from leadline.settings import Allowed, ModelSettings
from leadline.settings.model import Kind

FALLS = (0.02, 0.05, 0.1, 0.2)
LABELS = (1.0, 0.5)
MOST_WINDOWS = 200
"""A fall that is not seen in so many windows is not seen."""
PARTS = 8
"""A window is compared with the reference without that eighth of it, in time, in which the window is."""
_TRIED = ("accuracy", "mae", "rmse")
_DRIFT = ("data-drift", "prediction-drift")


class Cost(NamedTuple):
    """False incidents of a kind in ``blocks`` judged blocks, and how many the budget allows in that time (None: it has no budget)."""

    incidents: int
    allowed: float | None
    blocks: int


class Seen(NamedTuple):
    """How soon a fall is seen with this share of the labels: the share of draws in which it is, and the median of windows and time.

    The median is None where the fall is not seen in half of the draws.
    """

    fall: float
    labels: float
    share: float
    windows: int | None
    ms: int | None


class OfPerformance(NamedTuple):
    """What became of performance. ``replayed``: the reference's own windows as they were; ``drawn``: many more, drawn from them.

    ``reference`` and ``limit`` of all requests together; ``segments``: how many are judged.
    """

    reference: float
    limit: float
    segments: int
    error_rate: str
    replayed: Cost
    drawn: Cost
    falls: list[Seen]


class Trial(NamedTuple):
    """What became of one set of settings. ``performance``: None where it cannot be tried, and ``why``.

    ``own_windows``: whether drift was judged by the reference's own windows, and not by independent rows alone.
    """

    performance: OfPerformance | None
    why: str
    drift: Cost
    pipeline: Cost
    own_windows: bool


def try_settings(profile: ReferenceProfile, settings: ModelSettings, chance: Chance, draws: int) -> Trial:
    """Try settings on a reference that has windows of its own."""
    stream, yard = OwnStream.of(profile, settings), yardstick(profile, settings)
    why = _why_not(settings, yard is not None and stream is not None)
    tried = None
    if yard is not None and stream is not None and not why:
        tried = _performance(Scale(yard, settings), stream, chance, draws)
    drift, windows = list(_drift(profile, settings)), len(profile.windows)
    return Trial(
        tried,
        why,
        Cost(_opened(drift, _DRIFT), _allowed(settings, "data-drift", windows, settings.window), windows),
        Cost(_opened(drift, ("pipeline",)), None, windows),
        windows >= LEAST_WINDOWS,
    )


def _performance(scale: Scale, stream: OwnStream, chance: Chance, draws: int) -> OfPerformance:
    yard, most = scale.yard, _most(scale)
    limit = float(yard.limits[0])
    return OfPerformance(
        float(yard.references[0]),
        math.sqrt(limit) if yard.metric == "rmse" else limit,
        len(yard.segments),
        yard.error_rate,
        _cost(scale, [stream.as_it_was()], len(stream.blocks)),
        _cost(scale, (stream.drawn(chance, most, Change()) for _ in range(draws)), most * draws),
        [_seen(scale, stream, chance, draws, Change(fall, labels)) for fall in FALLS for labels in LABELS],
    )


def _why_not(settings: ModelSettings, is_known: bool) -> str:
    metric = settings.alerts.metric
    if metric not in _TRIED:
        return f"the reference's own windows hold no {metric}: only {', '.join(_TRIED)} can be tried"
    return "" if is_known else f"the reference has no {metric} by window"


def _most(scale: Scale) -> int:
    return max(1, MOST_WINDOWS * scale.settings.window // scale.size)


def _allowed(settings: ModelSettings, kind: Kind, blocks: int, size: int) -> float:
    """How many false incidents of a kind the budget allows in so many blocks."""
    allowed = Allowed.of(settings.alerts.false_alarms)
    return allowed.number * settings.alerts.weight(kind) * blocks * size / allowed.period_ms


# -- performance ------------------------------------------------------------------------------------------------------


def _cost(scale: Scale, streams: Iterable[Iterable[Block]], blocks: int) -> Cost:
    opened = sum(sum(1 for _ in _openings(scale, stream)) for stream in streams)
    return Cost(opened, _allowed(scale.settings, "performance", blocks, scale.size), blocks)


def _openings(scale: Scale, blocks: Iterable[Block]) -> Iterator[int]:
    """The number of each block, from 1 on, that opens an incident."""
    confirmed, incidents = Confirmed(), Incidents("", "", "", {})
    for number, block in zip(count(1), blocks, strict=False):
        alerts = confirmed.judge(block, scale, incidents, {}, block.end)
        if any(alert.state == "opened" for alert in alerts):
            yield number


def _seen(scale: Scale, stream: OwnStream, chance: Chance, draws: int, change: Change) -> Seen:
    most = _most(scale)
    found = [next(_openings(scale, stream.drawn(chance, most, change)), None) for _ in range(draws)]
    seen = sorted(each for each in found if each is not None)
    share = len(seen) / draws
    if 2 * len(seen) <= draws:
        return Seen(change.fall, change.labels, share, None, None)
    blocks = seen[draws // 2]
    settings = scale.settings
    windows = blocks * scale.size // settings.window
    return Seen(change.fall, change.labels, share, windows, blocks * scale.size + settings.mature_after)


# -- drift ------------------------------------------------------------------------------------------------------------


def _opened(alerts: Iterable[Alert], kinds: Sequence[str]) -> int:
    return sum(alert.state == "opened" and alert.kind in kinds for alert in alerts)


def _drift(profile: ReferenceProfile, settings: ModelSettings) -> Iterator[Alert]:
    """The incidents of the own windows, each compared with a reference without it and its neighbours."""
    drifting, incidents = Drifting(), Incidents("", "", "", {})
    own = sorted(profile.windows, key=lambda each: each.start)
    for part in np.array_split(np.arange(len(own)), min(PARTS, max(1, len(own)))):
        nulls = VersionNulls.of(_without(profile, part.tolist()), settings.drift.method)
        for i in part.tolist():
            start, end = own[i].start, own[i].start + settings.window
            counts = dict(zip((each.name for each in profile.features), own[i].counts, strict=True))
            summary = Summary("", "", start, [Partial(1, end, True, end, counts)])
            for verdict in nulls.judge(summary.counts(profile), settings.drift):
                if verdict.found.live.any():
                    yield from drifting.take(summary.report(verdict), settings, incidents, end)


def _without(profile: ReferenceProfile, places: list[int]) -> ReferenceProfile:
    """The reference without some of its windows; as it is where too few would be left to know how they vary."""
    own = sorted(profile.windows, key=lambda each: each.start)
    left = [each for i, each in enumerate(own) if i not in set(places)]
    if len(left) < LEAST_WINDOWS:
        return profile
    features = [
        replace(each, counts=np.subtract(each.counts, sum(np.array(own[i].counts[j]) for i in places)).tolist())
        for j, each in enumerate(profile.features)
    ]
    return replace(profile, features=features, windows=left, predictions=sum(each.predictions for each in left))
