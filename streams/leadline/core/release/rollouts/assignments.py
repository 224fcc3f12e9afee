"""The history of who answers, as each rollout carries it: scorers route a request by its own arrival time."""

from dataclasses import replace

from leadline.records import LEAD_MS, Assignment, Rollout

MOST_EARLIER = 16
"""Assignments before its own that a rollout carries."""


NO_TIME = -(2**63)


def follow(rollout: Rollout, holds: Rollout | None, now_ms: int = NO_TIME) -> Rollout:
    """A rollout with the time from which it holds and what held before. The first one of a model holds from ever.

    ``now_ms``: when it is written, where that is known: what came before then is answered already.

    >>> first = follow(Rollout("m", "v1", 50, "ada", "first"), None)
    >>> second = follow(Rollout("m", "v2", 60, "ada", "better"), first)
    >>> first.effective_at, second.effective_at, [each.champion for each in second.earlier]
    (0, 3060, ['v1'])
    """
    if holds is None:
        return replace(rollout, effective_at=0, earlier=[])
    if replace(_assignment(rollout), effective_at=holds.effective_at) == _assignment(holds):
        return replace(rollout, effective_at=holds.effective_at, earlier=holds.earlier)
    effective_at = max(max(rollout.event_time, now_ms) + LEAD_MS, holds.effective_at + 1)
    earlier = [_assignment(holds), *holds.earlier][:MOST_EARLIER]
    return replace(rollout, effective_at=effective_at, earlier=earlier)


def champion_since(rollout: Rollout) -> int:
    """When the champion of a rollout became that, as far as the rollout tells: not each step of a rollout is a promotion.

    >>> step = Rollout("m", "v1", 90, "", "", shares={"v2": 0.1}, effective_at=3090, earlier=[Assignment("v1", 3050, {}, "", 1.0, "")])
    >>> champion_since(step), champion_since(Rollout("m", "v1", 90, "", ""))
    (50, 90)
    """
    since = rollout.effective_at - LEAD_MS if rollout.effective_at else rollout.event_time
    for each in rollout.earlier:
        if each.champion != rollout.champion:
            break
        since = max(each.effective_at - LEAD_MS, 0)
    return since


def _assignment(rollout: Rollout) -> Assignment:
    return Assignment(
        rollout.champion, rollout.effective_at, rollout.shares, rollout.salt, rollout.sample, rollout.rollout_id
    )
