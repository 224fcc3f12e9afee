"""Outcomes by score: the share of positives in groups of the score, live and in the reference."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from leadline.core.columnar.columns import Floats
from leadline.core.reference import ReferenceProfile
from leadline.core.statistics.intervals import wilson
from leadline.core.windows.aggregates.by_score import EDGES, SCORE_BINS
from leadline.core.windows.keys import WindowKey
from leadline.records import WindowPartial, iso
from leadline.report.collect import Collected

GROUPS = 12
_MIDDLES = np.concatenate([[EDGES[0] / 2], (EDGES[1:] + EDGES[:-1]) / 2, [(1 + EDGES[-1]) / 2]])
"""The score that stands for each bin."""
_MOST = 1 << 47


def reliability(found: Collected, keys: Sequence[WindowKey], profile: ReferenceProfile | None) -> dict[str, Any]:
    """Groups of the score with about equally many live outcomes; ``why`` there are none."""
    if found.settings.counted_as != "binary":
        return {"groups": [], "why": "the scores are no probabilities"}
    if not found.has_partials:
        return {
            "groups": [],
            "why": "the topic window-partials cannot be read: it is between the stages, and readers have no right to it",
        }
    shown = set(keys)
    partials = [each for (key, _), each in found.partials.items() if key in shown and _is_possible(each)]
    counts = np.zeros((2, SCORE_BINS))
    for each in partials:
        for row, kind in zip(counts, (each.positives, each.negatives), strict=True):
            row += np.bincount(each.score_bins, kind, SCORE_BINS)
    if not counts.any():
        return {"groups": [], "why": "no outcome has come yet"}
    starts = [each.window_start for each in partials]
    groups = _groups(counts, _reference(profile))
    return {"groups": groups, "why": "", "from": iso(min(starts)), "to": iso(max(each.window_end for each in partials))}


def _is_possible(record: WindowPartial) -> bool:
    lists = record.score_bins, record.positives, record.negatives
    if len({len(each) for each in lists}) > 1 or not record.score_bins:
        return False
    values = [*record.positives, *record.negatives]
    return (
        0 <= min(record.score_bins) <= max(record.score_bins) < SCORE_BINS and 0 <= min(values) <= max(values) < _MOST
    )


def _reference(profile: ReferenceProfile | None) -> Floats:
    """Rows and positives of the reference in each bin."""
    found = np.zeros((2, SCORE_BINS))
    known = profile.calibration if profile is not None else None
    if known is not None and len(known.sums) == 1 and known.bins and max(known.bins) < SCORE_BINS:
        found[0, known.bins], found[1, known.bins] = known.rows, known.sums[0]
    return found


def _groups(counts: Floats, reference: Floats) -> list[dict[str, Any]]:
    live = counts.sum(axis=0)
    places = np.minimum((np.cumsum(live) - live / 2) / live.sum() * GROUPS, GROUPS - 1e-9).astype(int)
    return [_group(counts[:, own], reference[:, own], _MIDDLES[own]) for own in _each(places, live) if live[own].any()]


def _each(places: Any, live: Floats) -> list[Any]:
    return [np.flatnonzero(places == place) for place in np.unique(places[live > 0])]


def _group(counts: Floats, reference: Floats, middles: Floats) -> dict[str, Any]:
    live = counts.sum(axis=0)
    rows, positives, known = int(live.sum()), int(counts[0].sum()), float(reference[0].sum())
    share = wilson(positives, rows)
    return {
        "score": float((live * middles).sum() / rows),
        "live_rows": rows,
        "live": None if share is None else share.value,
        "live_low": None if share is None else share.low,
        "live_high": None if share is None else share.high,
        "reference_rows": int(known),
        "reference_score": float((reference[0] * middles).sum() / known) if known else None,
        "reference": float(reference[1].sum()) / known if known else None,
    }
