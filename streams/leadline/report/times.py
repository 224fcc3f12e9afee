"""Times on an axis."""

import numpy as np

from leadline.records import iso

_HOUR, _DAY = 3_600_000, 86_400_000
_STEPS = (*(i * 60_000 for i in (1, 5, 15)), *(i * _HOUR for i in (1, 3, 6, 12)), *(i * _DAY for i in (1, 2, 7, 14)))
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 600, 1200, 6000)


def time_ticks(low: int, high: int, most: int = 8) -> list[tuple[int, str]]:
    """Round times between two, with their words.

    >>> time_ticks(0, 4 * 86_400_000)[:2]
    [(0, '1970-01-01'), (43200000, '01-01 12:00')]
    >>> [words for _, words in time_ticks(0, 150 * 86_400_000)]
    ['1970-01', '1970-02', '1970-03', '1970-04', '1970-05']
    """
    step = next((each for each in _STEPS if (high - low) / each <= most), None)
    if step is None:
        return _months(low, high, most + 2)  # their words are short
    first = -(-low // step) * step
    return [(at, _words(at, i == 0, step)) for i, at in enumerate(range(first, high + 1, step))]


def _months(low: int, high: int, most: int) -> list[tuple[int, str]]:
    first, last = (int(np.datetime64(at, "ms").astype("datetime64[M]").astype(int)) for at in (low - 1, high))
    step = next((each for each in _MONTHS if (last - first) / each <= most), _MONTHS[-1])
    months = np.arange(-(-(first + 1) // step) * step, last + 1, step).astype("datetime64[M]")
    return [(int(month.astype("datetime64[ms]").astype(int)), str(month)) for month in months]


def _words(at: int, is_first: bool, step: int) -> str:
    date, _, time = iso(at).removesuffix("Z").partition("T")
    if is_first:
        return date
    return date[-5:] if step >= _DAY else f"{date[-5:]} {time[:5]}"


def age_words(age_ms: int) -> str:
    """How old something is, or how long it takes.

    >>> [age_words(each) for each in (0, 1_200_000, 7_200_000, 86_400_000, 129_600_000)]
    ['0 min', '20 min', '2 h', '1 d', '36 h']
    """
    if age_ms < 2 * _HOUR:
        return f"{age_ms / 60_000:.3g} min"
    is_days = age_ms >= _DAY and (age_ms % _DAY == 0 or age_ms >= 3 * _DAY)
    return f"{age_ms / _DAY:.3g} d" if is_days else f"{age_ms / _HOUR:.3g} h"
