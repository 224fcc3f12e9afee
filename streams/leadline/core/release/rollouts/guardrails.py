"""Fast guardrails of a rollout: what workers tell of how the versions score, and how far the scores are apart. They need no label."""

import json
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from leadline.core.reference import ReferenceProfile
from leadline.core.release.lead import FAILED, PASSED
from leadline.core.release.rollouts.checks import ALL, LEAST_REQUESTS, MOST_WINDOWS, SIGMAS, check
from leadline.core.release.rollouts.estimates import Profiles, estimated
from leadline.core.release.rollouts.under_way import OfModel, UnderWay
from leadline.core.tables import Table
from leadline.records import Check, Comparison, VersionHealth, WorkerHealth
from leadline.settings import ModelSettings

FRESH_MS, SETTLING_MS = 180_000, 30_000
"""What a worker told longer ago does not count, nor what it told before the rollout had begun for so long: it may be of the one before."""
LEAST_FAILED = 5
"""Requests that failed, below which nothing is judged."""
LEAST_SECONDS = 0.001
"""A batch that is scored within so long is slow for nobody."""
_SUM_UNIT = 10**12


class Guarded(NamedTuple):
    """The checks; why the rollout is broken, and why it may not go on: a worker cannot load a version, or none has scored with it."""

    checks: list[Check]
    broken: str = ""
    unusable: str = ""
    unscored: str = ""

    @property
    def held(self) -> str:
        """Why it may not go on; empty: it may."""
        return self.unusable or self.unscored


class _Scored(NamedTuple):
    """All that workers told of a version."""

    requests: int
    failed: int
    calls: int
    seconds: float
    stopped: str

    @property
    def failed_share(self) -> float:
        return self.failed / max(self.requests, 1)

    @property
    def per_request(self) -> float:
        return self.seconds / max(self.requests, 1)

    @property
    def per_call(self) -> float:
        return self.seconds / max(self.calls, 1)


def judge(model: str, of: OfModel, workers: Table, profiles: Profiles, settings: ModelSettings) -> Guarded:
    """Every guardrail for each version of a rollout; ``profiles``: the references of its versions."""
    rollout, policy = of.under_way, settings.rollout
    assert rollout is not None
    told = _told(workers, max(of.clock - FRESH_MS, rollout.began + SETTLING_MS))
    champion = _scored(told, model, rollout.champion)
    checks, unusable, unscored = list[Check](), list[str](), list[str]()
    for version in rollout.arms:
        found = _scored(told, model, version)
        checks += [_failed(version, found, champion, policy.max_failed)]
        checks += [_slower(version, found, champion, policy.max_slower), _stopped(version, found)]
        checks += [_shift(rollout, version, profiles.get(rollout.champion), policy.max_shift)]
        checks += [estimated(of, version, profiles, settings)]
        unusable += _unusable(told, f"{model} {version}")
        unscored += _unscored(version, found, champion)
    broken = "; ".join(each.reason for each in checks if each.outcome == FAILED)
    return Guarded(checks, broken, "; ".join(unusable), "; ".join(unscored))


def remember_scores(rollout: UnderWay, comparison: Comparison) -> None:
    """Keep the sums of the scores of a window, over all segments."""
    if comparison.segment != ALL:
        return
    key = json.dumps([comparison.challenger, comparison.window_start, comparison.sample])
    counts = comparison.counts
    held = rollout.scores | {key: [counts.pairs, counts.first_score_sum, counts.second_score_sum]}
    newest = sorted(held, key=lambda each: json.loads(each)[1])[-MOST_WINDOWS:]
    rollout.scores = {each: held[each] for each in newest}


# -- what workers tell ------------------------------------------------------------------------------------------------


def _told(workers: Table, since: int) -> list[WorkerHealth]:
    """The newest record of each worker that told something since a time."""
    newest = (workers.newest(key) for key in workers.all_keys())
    return [each for each in newest if isinstance(each, WorkerHealth) and each.told_at > since]


def _scored(told: Sequence[WorkerHealth], model: str, version: str) -> _Scored:
    of = [each for health in told for each in health.scored if (each.model, each.version) == (model, version)]
    stopped = next((each.stopped for each in of if each.stopped), "")
    seconds = sum(each.seconds for each in of if math.isfinite(each.seconds))
    return _Scored(sum(map(_requests, of)), sum(map(_no_score, of)), sum(e.calls for e in of), seconds, stopped)


def _requests(health: VersionHealth) -> int:
    return max(health.requests, 0)


def _no_score(health: VersionHealth) -> int:
    return max(0, min(health.failed, health.requests))


def _unusable(told: Sequence[WorkerHealth], name: str) -> list[str]:
    found = {each.worker_id: each.unusable[name] for each in told if name in each.unusable}
    return [f"worker {worker} cannot load {name}: {why}" for worker, why in sorted(found.items())]


def _unscored(version: str, found: _Scored, champion: _Scored) -> list[str]:
    idle = bool(champion.requests) and not found.requests
    return [f"no worker tells that it has scored with {version}"] if idle else []


# -- the checks -------------------------------------------------------------------------------------------------------


def _failed(version: str, found: _Scored, champion: _Scored, limit: float) -> Check:
    """How many more of its requests fail than of the champion's, where that is more than chance beyond the limit.

    What nobody can score, since it lacks features, fails of both.
    """
    if not found.requests:
        return check("failed", None, limit, False, f"nobody tells of {version}")
    beside = f"{champion.failed_share:.2%} of the champion's" if champion.requests else "nobody tells of the champion"
    of = f"{found.failed:,} of {found.requests:,} requests of ten minutes ({found.failed_share:.2%})"
    reason = f"{version} gave no score for {of}, {beside} (at most {limit:.2%} more)"
    more = found.failed_share - champion.failed_share
    beyond = more - SIGMAS * _by_chance(found, champion, limit) > limit
    return check("failed", more, limit, found.failed >= LEAST_FAILED and beyond, reason)


def _by_chance(found: _Scored, champion: _Scored, limit: float) -> float:
    """The standard deviation of the difference of two shares that are ``limit`` apart. A champion that scored little may fail alike."""
    expected = min(1.0, champion.failed_share + limit)
    pooled = (found.failed + champion.failed) / (found.requests + champion.requests)
    own, beside = expected * (1 - expected) / found.requests, pooled * (1 - pooled) / max(champion.requests, 1)
    return math.sqrt(own + beside)


def _slower(version: str, found: _Scored, champion: _Scored, limit: float) -> Check:
    """How many times as long it takes: for a request and for a batch, whichever is less.

    Who gets few requests has small batches, in which each request takes longer.
    """
    if min(found.requests, champion.requests) < LEAST_REQUESTS or not champion.seconds > 0:
        return check("slower", None, limit, False, f"too few requests to tell how long {version} takes")
    times = min(found.per_request / champion.per_request, found.per_call / champion.per_call)
    batch = f"{1000 * found.per_call:.3g} ms for a batch"
    reason = f"{version} takes {times:.3g} times as long as the champion ({batch}, at most {limit:g} times)"
    return check("slower", times, limit, times > limit and found.per_call > LEAST_SECONDS, reason)


def _stopped(version: str, found: _Scored) -> Check:
    reason = f"{version} was stopped: {found.stopped}" if found.stopped else f"{version} was not stopped"
    return Check("stopped", ALL, None, None, FAILED if found.stopped else PASSED, reason)


def _shift(rollout: UnderWay, version: str, reference: ReferenceProfile | None, limit: float) -> Check:
    """How far the mean scores on the same requests are apart."""
    of = [sums for key, sums in rollout.scores.items() if json.loads(key)[0] == version]
    pairs, first, second = (sum(column) for column in zip(*of, strict=True)) if of else (0, 0, 0)
    spread = None if reference is None else deviation(reference)
    if pairs < LEAST_REQUESTS or not spread:
        return check("shift", None, limit, False, f"too few pairs, or no reference, to compare the scores of {version}")
    shift = (second - first) / _SUM_UNIT / pairs / spread
    apart = f"{shift:+.2f} standard deviations from the champion's on the same {pairs:,} requests"
    reason = f"the mean score of {version} is {apart} (at most {limit:g})"
    return check("shift", shift, limit, abs(shift) > limit, reason)


def deviation(reference: ReferenceProfile) -> float | None:
    """The standard deviation of the scores of a reference, from the bins that it is kept in; None where it does not say.

    The two outer bins count as if they ended as far out as their neighbours are wide.
    """
    for feature in reference.features:
        if feature.kind == "score" and len(feature.edges) > 1:
            counts = np.array(feature.counts[:-1], float)
            middles = np.array(list(_middles(feature.edges)))
            mean = float(np.average(middles, weights=counts)) if counts.sum() else 0.0
            return math.sqrt(float(np.average((middles - mean) ** 2, weights=counts))) if counts.sum() else None
    return None


def _middles(edges: Sequence[float]) -> Iterator[float]:
    yield edges[0] - (edges[1] - edges[0]) / 2
    yield from ((low + high) / 2 for low, high in pairwise(edges))
    yield edges[-1] + (edges[-1] - edges[-2]) / 2
