"""The rules that counts of pairs must keep, so that those of all partitions can be summed."""

from collections.abc import Iterator

from leadline.core.windows.aggregates import limits
from leadline.core.windows.keys import STATES
from leadline.core.windows.loss_grid import GRID
from leadline.records import PairCounts, PairPartial

_TASKS = ("binary", "decision", "regression")
_MOST_SUM, _MOST_TIME = 2**110, 2**61
_COUNTS = ("both", "first", "second", "neither", "alike", "unlike")
_NAMES = (
    "unknown-state",
    f"a state is open, {', '.join(STATES)}, a task {', '.join(_TASKS)}, and first stands before second",
)


def broken_pairs(partial: PairPartial) -> tuple[str, str] | None:
    """The first rule that the counts of one partition break: the reason for the dead letter, and what is wrong."""
    if partial.state not in ("open", *STATES) or partial.task not in _TASKS or partial.first >= partial.second:
        return _NAMES
    problem = limits.first(_problems(partial))
    return None if problem is None else ("counts-out-of-range", problem)


def _problems(partial: PairPartial) -> Iterator[str | None]:
    yield limits.outside("source_partition", partial.source_partition, 2**15)
    yield limits.outside("revision", partial.revision)
    if not 0 < partial.sample <= 1:
        yield f"sample is {partial.sample}, not above 0 and at most 1"
    if not -_MOST_TIME < partial.window_start < partial.window_end < _MOST_TIME:
        yield "window_end is not after window_start, or too far away"
    for counts in (partial.counts, partial.mature):
        yield from _out_of_range(counts) if counts is not None else ()


def _out_of_range(counts: PairCounts) -> Iterator[str | None]:
    for name in _COUNTS:
        yield limits.outside(name, getattr(counts, name))
    if max(abs(counts.first_score_sum), abs(counts.second_score_sum)) >= _MOST_SUM:
        yield "a sum of scores is too large"
    for name in ("lower", "upper"):
        tally = getattr(counts, name)
        if len(tally) not in (0, len(GRID)):
            yield f"{name} has {len(tally)} numbers, not {len(GRID)}"
        yield limits.first(limits.outside(name, each) for each in tally)
