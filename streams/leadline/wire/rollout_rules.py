"""The rules of a record of `rollouts`: all who score go by it, so it has to say without a doubt who answers."""

import math

from leadline.records import Assignment, Rollout, brief
from leadline.wire.limits import NAME_BYTES, ROLLOUT_EARLIER, ROLLOUT_SHARES
from leadline.wire.times import AHEAD, EARLIEST_MS, LATEST_MS, OUT_OF_RANGE

AHEAD_MS = 30 * 86_400_000
"""So long after its arrival a rollout takes effect at most: each one takes effect after the one before it, so none of them ever would."""
_REVISIONS = 2**47
_ROUNDING = 1e-9
Broken = tuple[str, str]


def broken_rollout(rollout: Rollout, key: bytes | None, arrival_ms: int) -> Broken | None:
    """The first rule that it breaks: the reason, and what to do. None where it keeps all rules."""
    if rollout.model.encode() != key:
        return "key-mismatch", "the key of a rollout must be its model in UTF-8: it is looked up by that"
    if not 0 <= rollout.revision < _REVISIONS:
        return "counts-out-of-range", f"revision is {rollout.revision}, not from 0 to {_REVISIONS - 1}"
    if rollout.effective_at > arrival_ms + AHEAD_MS:
        return (
            AHEAD,
            "effective_at is more than 30 days ahead of the arrival: no later rollout would take effect before",
        )
    if len(rollout.earlier) > ROLLOUT_EARLIER:
        return "too-long", f"earlier has at most {ROLLOUT_EARLIER} entries"
    names = (rollout.model, rollout.before, rollout.challenger, rollout.mode, rollout.state)
    held: list[Rollout | Assignment] = [rollout, *rollout.earlier]
    return _long(*names) or next((broken for each in held if (broken := _broken(each))), None)


def _broken(each: Rollout | Assignment) -> Broken | None:
    if not each.champion:
        return "no-champion", "champion is empty: somebody has to answer"
    if not EARLIEST_MS <= each.effective_at <= LATEST_MS:
        return OUT_OF_RANGE, "effective_at is not within the years 1 to 9999 (milliseconds?)"
    if len(each.shares) > ROLLOUT_SHARES:
        return "too-long", f"shares has at most {ROLLOUT_SHARES} entries"
    long = _long(each.champion, each.salt, each.rollout_id, *each.shares)
    return long or _no_shares(each)


def _no_shares(each: Rollout | Assignment) -> Broken | None:
    said = None
    if not all(0 <= share <= 1 for share in each.shares.values()) or math.fsum(each.shares.values()) > 1 + _ROUNDING:
        said = "shares are from 0 to 1, and all together at most 1"
    elif each.champion in each.shares:
        said = f"the champion {brief(each.champion)} has a share: it answers the rest"
    elif not 0 < each.sample <= 1:
        said = f"sample is {each.sample}, not above 0 and at most 1"
    return None if said is None else ("shares-out-of-range", said)


def _long(*names: str) -> Broken | None:
    is_long = any(len(name.encode()) > NAME_BYTES for name in names)
    return ("too-long", f"the names in a rollout have at most {NAME_BYTES} bytes") if is_long else None
