"""The verdict on a rollout, at any look."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from leadline.core.release.evidence import sentences
from leadline.core.release.evidence.columns import Columns
from leadline.core.release.evidence.counted import ALL, Due, Floats, cells, due
from leadline.core.release.evidence.evidence import Shown, Worse, shown, worse
from leadline.core.release.evidence.sentences import number
from leadline.core.release.evidence.terms import Terms
from leadline.core.release.look import Look
from leadline.records import Check, brief

MOST_SEGMENTS = 200
"""Segments that are looked at beside the protected ones: those with the most pairs."""


class _Sums(NamedTuple):
    """The pairs of all windows that are due, as they were counted when due."""

    windows: int
    labelled: int
    better: int
    same: int
    worse: int
    unlike: int

    @property
    def pairs(self) -> int:
        return self.better + self.same + self.worse


def look(columns: Columns, terms: Terms) -> Look:
    """What the pairs of a rollout that are due say.

    promote: the evidence that the challenger is not worse by the margin reaches 1 / alpha in all pairs and in each protected segment.
    roll-back: the evidence that it is worse does, in the weighted mean over all pairs and segments; it goes first. Both by the counts as
    they were when due and as they are now, and whatever the missing labels would say.
    """
    counted = due(columns, terms)
    sums = _sums(counted.of_all())
    if not sums.labelled:
        return _nothing(sums, terms)
    found = {of.segment: shown(of, terms) for of in cells(counted, terms.rollout.protected, MOST_SEGMENTS)}
    against = worse(list(found.values()))
    needed = [ALL, *(each for each in terms.rollout.protected if each != ALL)]
    proven = {segment: found[segment].not_worse.both if segment in found else 0.0 for segment in needed}
    checks = _checks(found, against, needed, sums, terms)
    verdict, segment = _verdict(proven, against, sums, terms)
    return Look(
        verdict,
        segment,
        sums.pairs,
        sums.better,
        sums.same,
        sums.worse,
        sums.unlike,
        math.exp(min(proven.values())),
        math.exp(against.total.both),
        checks,
        _reason(verdict, segment, counted, sums, proven, against, terms),
    )


def _verdict(proven: Mapping[str, float], against: Worse, sums: _Sums, terms: Terms) -> tuple[str, str]:
    """And the segment that decides: where it is worse, or where the least is proven."""
    least = min(proven, key=proven.__getitem__)
    if sums.pairs < terms.rollout.min_pairs:
        return "hold", ALL
    if against.total.both >= terms.log_limit:
        return "roll-back", _worst(against, terms)
    return "promote" if proven[least] >= terms.log_limit else "hold", least


def _worst(against: Worse, terms: Terms) -> str:
    """The one whose share is enough by itself; of several, all pairs or the largest. ``several``: none is."""
    named = {segment: share.both for segment, share in against.shares.items() if share.both >= terms.log_limit}
    return ALL if ALL in named else max(named, key=named.__getitem__, default="several")


def _sums(numbers: Floats) -> _Sums:
    both, first, second, neither, alike, unlike = map(round, numbers.sum(axis=0).tolist())
    labelled, same = both + first + second + neither, both + neither + alike
    return _Sums(len(numbers), labelled, second, same, first, unlike)


def _nothing(sums: _Sums, terms: Terms) -> Look:
    reason = f"no pairs with labels are due yet: {sums.windows} windows are, with {sums.same + sums.unlike} pairs without a label"
    checks = [sentences.pairs(0, terms)]
    return Look("no-labels", ALL, sums.pairs, sums.better, sums.same, sums.worse, sums.unlike, 1.0, 1.0, checks, reason)


def _checks(
    found: Mapping[str, Shown], against: Worse, needed: Sequence[str], sums: _Sums, terms: Terms
) -> list[Check]:
    return [
        sentences.pairs(sums.pairs, terms),
        *(sentences.not_worse(segment, found.get(segment), terms) for segment in needed),
        *sentences.is_worse(against, terms),
        *(sentences.labels(found[segment], terms) for segment in needed if segment in found),
        sentences.spread(found[ALL]),
        *sentences.sampling(found[ALL]),
        *sentences.budget(terms),
    ]


def _reason(
    verdict: str, segment: str, counted: Due, sums: _Sums, proven: Mapping[str, float], against: Worse, terms: Terms
) -> str:
    told = (
        f"of {sums.pairs:,} pairs in {_windows(sums)} {brief(counted.challenger)} alone was right in {sums.better:,} and "
        f"{brief(counted.champion)} alone in {sums.worse:,}"
    )
    if counted.is_regression:
        told = f"of {sums.pairs:,} pairs in {_windows(sums)}"
    where = "" if segment == ALL else " in several segments" if segment == "several" else f" in {brief(segment)}"
    if verdict == "roll-back":
        return f"{told}: evidence {number(against.total.both)} that it is worse{where}; {terms.limit:g} is proof"
    if verdict == "hold" and sums.pairs < terms.rollout.min_pairs:
        return f"{told}: fewer than {terms.rollout.min_pairs:,}"
    least = min(proven.values())
    return (
        f"{told}: evidence {number(least)} that it is not worse{where}, {number(against.total.both)} that it is; "
        f"{terms.limit:g} is proof"
    )


def _windows(sums: _Sums) -> str:
    return "1 window" if sums.windows == 1 else f"{sums.windows:,} windows"
