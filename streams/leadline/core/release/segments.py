"""Segment by segment: a challenger that is worse in one of them is stopped, by the name of that segment.

A segment passes only where its rows show, at the same level as all rows, that the challenger is not worse there by the margin or more. So a
challenger that is worse by that much in any compared segment gets through at most as often as alpha, however many segments there are: each
of them has to pass. The price is paid by good challengers, which are held where a segment is too small to show anything.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from leadline.core.release.held_out import Answers, HeldOut
from leadline.core.release.lead import FAILED, NO_EVIDENCE, PASSED, Lead, Level, above
from leadline.core.release.merits import measured
from leadline.records import Check, brief
from leadline.settings.release import GateSettings

NOT_WORSE, NOT_COMPARED, ALIKE = "not-worse", "not-compared", "alike"
SHOWN = 100
"""Checks of segments that a verdict lists; the others are counted."""
_NAMED = 5
_FIRST = {FAILED: 0, NO_EVIDENCE: 1, PASSED: 2}


class _Small(NamedTuple):
    """Segments of too few rows to be compared."""

    segments: int
    rows: int
    largest: str


def segment_checks(
    gate: GateSettings,
    metric: str,
    rows: HeldOut,
    champion: Answers,
    challenger: Answers,
    level: Level,
    chance: np.random.Generator,
) -> Iterator[Check]:
    """A check for each segment that is compared, and one that says which are not; those that did not pass come first."""
    found = []
    for name in rows.segments:
        for segment, of in rows.by_segment(name):
            if len(of) >= gate.min_rows:
                pair = champion.take(of), challenger.take(of)
                lead = Lead.of(metric, rows.take(of), *pair, -gate.segment_margin)
                found.append(above(NOT_WORSE, segment, lead, level, chance) if lead else _undefined(segment, metric))
        if small := _small(rows, name, gate.min_rows):
            yield _not_compared(name, small, gate.min_rows)
    yield from _most_telling(found)


def alike_checks(gate: GateSettings, metric: str, rows: HeldOut, challenger: Answers) -> Iterator[Check]:
    """For each name of segments, whether the challenger does about equally well in all of them that are compared."""
    limit = gate.max_gap
    if limit is None:
        return
    for name in rows.segments:
        values = {
            segment: value for segment, of in rows.by_segment(name)
            if len(of) >= gate.min_rows and (value := measured(metric, challenger.take(of), rows.truth[of])) is not None
        }  # fmt: skip
        yield _alike(name, metric, values, limit)
    if not rows.segments:
        yield Check(ALIKE, "*", None, limit, NO_EVIDENCE, "max_gap is asked for, and model.toml names no segments")


def _alike(name: str, metric: str, values: dict[str, float], limit: float) -> Check:
    if len(values) < 2:
        why = f"{len(values)} of its segments have enough rows to be compared, and two are needed"
        return Check(ALIKE, name, None, limit, NO_EVIDENCE, why)
    least, most = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    gap = values[most] - values[least]
    reason = (
        f"{metric} is {values[least]:.4g} in {brief(least)} and {values[most]:.4g} in {brief(most)}, "
        f"{gap:.4g} apart; at most {limit:g} is allowed"
    )
    return Check(ALIKE, name, gap, limit, PASSED if gap <= limit else FAILED, reason)


def _undefined(segment: str, metric: str) -> Check:
    return Check(NOT_WORSE, segment, None, None, NO_EVIDENCE, f"{metric} is not defined on its rows")


def _small(rows: HeldOut, name: str, least: int) -> _Small | None:
    small = [(segment, len(of)) for segment, of in rows.by_segment(name) if len(of) < least]
    if not small:
        return None
    named = ", ".join(f"{brief(segment)} ({count})" for segment, count in small[:_NAMED])
    return _Small(len(small), sum(count for _, count in small), named + (" and others" if small[_NAMED:] else ""))


def _not_compared(name: str, small: _Small, least: int) -> Check:
    reason = f"{small.segments} segments of fewer than {least} rows, {small.rows:,} rows in all, are not compared: {small.largest}"
    return Check(NOT_COMPARED, name, float(small.segments), None, NO_EVIDENCE, reason)


def _most_telling(found: Sequence[Check]) -> Iterator[Check]:
    ordered = sorted(found, key=lambda each: (_FIRST[each.outcome], each.value or 0.0))
    yield from ordered[:SHOWN]
    if rest := ordered[SHOWN:]:
        outcome = min((each.outcome for each in rest), key=_FIRST.__getitem__)
        reason = f"{len(rest)} more segments are compared; the outcome is the worst of them"
        yield Check(NOT_WORSE, f"{len(rest)} more", None, rest[0].limit, outcome, reason)
