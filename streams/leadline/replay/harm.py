"""How many requests the worse of two versions would have answered, by the steps of a rollout."""

from collections.abc import Mapping

from leadline.core.scoring.routing import assignments, fractions
from leadline.records import Assignment
from leadline.replay.what_if import Decided, Question


def harmed(question: Question, decided: Decided, requests: Mapping[str, int]) -> int:
    """The requests until the verdict, or the end of the logs, that went to the version which was right alone less often in the last look.

    Who would have answered is computed from the assignments of the rollout, as anybody can who has its records. ``requests``: when each
    was asked for. 0 where both were right alone as often.
    """
    if not decided.looks or not decided.rollouts:
        return 0
    last = decided.looks[-1].look
    if last.better == last.worse:
        return 0
    asked = [(at, name) for name, at in requests.items() if at <= decided.at]
    answered = _answered_by_challenger(assignments(decided.rollouts[-1]), question.challenger, asked)
    return answered if last.worse > last.better else len(asked) - answered


def _answered_by_challenger(held: list[Assignment], challenger: str, asked: list[tuple[int, str]]) -> int:
    """``held``: the newest assignment first; it has one challenger."""
    count, left = 0, asked
    for each in held:
        own = [name for at, name in left if at >= each.effective_at]
        left = [(at, name) for at, name in left if at < each.effective_at]
        if each.champion == challenger:
            count += len(own)
        elif each.shares.get(challenger, 0.0) > 0:
            count += int((fractions(each.salt.encode() + b"\0", own) < each.shares[challenger]).sum())
    return count
