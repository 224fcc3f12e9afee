"""Limits of counts that come from elsewhere, and what to say where a count breaks one."""

from collections.abc import Iterable

MAX_COUNT = 2**47
"""Counts of one partition are below this. There are at most 2^15 partitions, so all of them sum to a 64-bit number, with room."""


def outside(name: str, value: int, limit: int = MAX_COUNT) -> str | None:
    """What is wrong with a number that has to be at least 0 and below a limit; None: nothing.

    >>> outside("predictions", -1, 10)
    'predictions is -1, not from 0 to 9'
    """
    return None if 0 <= value < limit else f"{name} is {value}, not from 0 to {limit - 1}"


def negative(name: str, counts: Iterable[int]) -> str | None:
    """Whether one of some counts is below 0.

    >>> negative("positives", [1, -1])
    'positives: one is negative'
    """
    return f"{name}: one is negative" if min(counts, default=0) < 0 else None


def not_rising(name: str, numbers: list[int], limit: int) -> str | None:
    """Whether some numbers do not rise, or are not at least 0 and below a limit.

    >>> not_rising("bins", [1, 3, 3], 10)
    'bins do not rise from 0 to 9'
    """
    rises = numbers == sorted(set(numbers)) and all(0 <= each < limit for each in numbers)
    return None if rises else f"{name} do not rise from 0 to {limit - 1}"


def beyond(name: str, part: int, whole: int) -> str | None:
    """Whether the sum of some parts is more than their whole.

    >>> beyond("tp and fp", 3, 2)
    'tp and fp add up to 3, of 2'
    """
    return f"{name} add up to {part}, of {whole}" if part > whole else None


def first(problems: Iterable[str | None]) -> str | None:
    """The first problem that is one."""
    return next((problem for problem in problems if problem is not None), None)
