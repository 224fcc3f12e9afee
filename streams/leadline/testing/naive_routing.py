"""Who answers a request, and who says what it would have answered, one request at a time; shares no code with scoring."""

import hashlib
from collections.abc import Collection, Sequence

from leadline.records import Assignment


def assignment_at(history: Sequence[Assignment], arrival_ms: int) -> Assignment:
    """The newest assignment that held; the history is from the newest to the oldest, which holds from ever."""
    return next((each for each in history if arrival_ms >= each.effective_at), history[-1])


def answers(
    history: Sequence[Assignment], user_or_request: str, arrival_ms: int, usable: Collection[str]
) -> tuple[str, str]:
    """The version that answers, and its role. For what is not usable the champion answers, and for that the one before it."""
    held = assignment_at(history, arrival_ms)
    number, above = _number(f"{held.salt}\0{user_or_request}"), 0.0
    for name in sorted(held.shares):
        above += held.shares[name]
        if number < above:
            if name in usable:
                return name, "challenger"
            break
    champions = [each.champion for each in history[history.index(held) :]]
    return next(name for name in champions if name in usable), "champion"


def says(
    history: Sequence[Assignment], user_or_request: str, request_id: str, arrival_ms: int, usable: Collection[str]
) -> set[str]:
    """The versions that say what they would have answered."""
    held = assignment_at(history, arrival_ms)
    if not held.shares or _number(f"sample\0{held.salt}\0{request_id}") >= held.sample:
        return set()
    name, role = answers(history, user_or_request, arrival_ms, usable)
    return ({held.champion, *held.shares} & {*usable}) - {name if role == "challenger" else held.champion}


def _number(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
