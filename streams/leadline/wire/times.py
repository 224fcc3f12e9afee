"""Which times of a record cannot be: out of all range, in another unit than milliseconds, or far ahead of its arrival."""

from collections.abc import Iterator

from leadline.core.columnar.columns import Bools, Ints

EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
_YEAR_2001_MS = 10**12
_SECONDS = 10**9, 10**10
"""Times in seconds of the years 2001 to 2286. As milliseconds they are of the first months of 1970."""
_UNITS = {"microseconds": 10**15, "nanoseconds": 10**18}
"""The smallest times of 2001 in other units; ten times as much is the year 2286."""
OUT_OF_RANGE, UNIT, AHEAD = "time-out-of-range", "event-time-unit", "event-time-ahead"
TIMES = {"PredictionRequest": ["event_time"], "Prediction": ["event_time", "scored_at"], "Outcome": ["outcome_time"]}


def impossible(field: str, times: Ints, arrival_ms: Ints, max_ahead_ms: int | None) -> Iterator[tuple[Bools, str, str]]:
    """For each rule: which times break it, the reason, and what to do. When a score was made is looked at for its range alone."""
    for unit, least in _UNITS.items():
        yield (times >= least) & (times < 10 * least), OUT_OF_RANGE, _unit(field, unit)
    outside = (times < EARLIEST_MS) | (times > LATEST_MS)
    yield outside, OUT_OF_RANGE, _outside(field)
    if field == "scored_at":
        return
    low, high = _SECONDS
    seconds = (times >= low) & (times < high) & (arrival_ms >= _YEAR_2001_MS)
    yield seconds, UNIT, _unit(field, "seconds")
    if max_ahead_ms is not None:
        yield times > arrival_ms + max_ahead_ms, AHEAD, _ahead(field, max_ahead_ms)


def impossible_time(field: str, time: int, arrival_ms: int, max_ahead_ms: int | None) -> tuple[str, str] | None:
    """The same for one time: the first rule that it breaks; None: none.

    >>> impossible_time("event_time", 1_790_000_000, 1_790_000_000_000, 86_400_000)
    ('event-time-unit', 'event_time looks like seconds: write milliseconds')
    >>> impossible_time("event_time", 1_790_000_000_000_000, 1_790_000_000_000, 86_400_000)
    ('time-out-of-range', 'event_time looks like microseconds: write milliseconds')
    >>> impossible_time("event_time", 1_790_086_400_001, 1_790_000_000_000, 86_400_000)[0]
    'event-time-ahead'
    >>> impossible_time("event_time", -3_600_000, 1_790_000_000_000, 86_400_000) is None
    True
    """
    for unit, least in _UNITS.items():
        if least <= time < 10 * least:
            return OUT_OF_RANGE, _unit(field, unit)
    if not EARLIEST_MS <= time <= LATEST_MS:
        return OUT_OF_RANGE, _outside(field)
    if _SECONDS[0] <= time < _SECONDS[1] and arrival_ms >= _YEAR_2001_MS:
        return UNIT, _unit(field, "seconds")
    if max_ahead_ms is not None and time > arrival_ms + max_ahead_ms:
        return AHEAD, _ahead(field, max_ahead_ms)
    return None


def _unit(field: str, unit: str) -> str:
    return f"{field} looks like {unit}: write milliseconds"


def _outside(field: str) -> str:
    return f"{field} is not within the years 1 to 9999 (milliseconds?)"


def _ahead(field: str, max_ahead_ms: int) -> str:
    hours = f"{max_ahead_ms / 3_600_000:.6g}"
    return f"{field} is more than {hours} h ahead of the arrival: a wrong clock, or a wrong unit? (LEADLINE_MAX_AHEAD)"
