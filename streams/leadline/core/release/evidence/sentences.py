"""The checks of a look, each with its numbers in one sentence."""

import math
from collections.abc import Iterator, Sequence

from leadline.core.release.evidence.counted import ALL
from leadline.core.release.evidence.evidence import Shown, Twice, Worse
from leadline.core.release.evidence.terms import Terms
from leadline.core.release.lead import FAILED, NO_EVIDENCE, PASSED
from leadline.records import Check, brief

PAIRS, IS_NOT_WORSE, IS_WORSE, LABELS, SPREAD, SAMPLING, BUDGET = (
    "pairs", "not-worse", "worse", "missing-labels", "spread", "sampling", "budget",
)  # fmt: skip
SHOWN = 100
"""Segments that a look lists; the others are in the mean."""


def number(log_evidence: float) -> str:
    """Evidence for a person.

    >>> number(0.0), number(math.log(23.44)), number(-12.0), number(99.0)
    ('1', '23.4', 'below 0.001', 'above 1,000,000')
    """
    value = math.exp(min(log_evidence, 20.0))
    if value > 1e6:
        return "above 1,000,000"
    if value >= 1000:
        return f"{value:,.0f}"
    return "below 0.001" if value < 0.001 else f"{value:.3g}"


def pairs(count: int, terms: Terms) -> Check:
    least = terms.rollout.min_pairs
    reason = f"{count:,} pairs of windows that are due are known; before {least:,} there is no verdict"
    return Check(PAIRS, ALL, float(count), float(least), PASSED if count >= least else NO_EVIDENCE, reason)


def not_worse(segment: str, found: Shown | None, terms: Terms) -> Check:
    """Whether it is proven to be no worse there than the margin allows."""
    if found is None:
        reason = f"there are no pairs of {brief(segment)} that are due, and what is missing proves nothing"
        return Check(IS_NOT_WORSE, segment, None, terms.limit, NO_EVIDENCE, reason)
    reached = found.not_worse.both >= terms.log_limit
    claim = f"worse by less than {terms.margin(segment):g}" if terms.margin(segment) else "better"
    reason = (
        f"evidence that it is {claim}: {_twice(found.not_worse)}, of {found.pairs:,} pairs; {terms.limit:g} is proof"
    )
    return Check(
        IS_NOT_WORSE, segment, _value(found.not_worse), terms.limit, PASSED if reached else NO_EVIDENCE, reason
    )


def labels(found: Shown, terms: Terms) -> Check:
    """What the missing labels have to do with it: a promotion has to hold as if the challenger was wrong in all of them."""
    log_limit, segment = terms.log_limit, found.of.segment
    differ = round(float(found.of.frozen.lower[:, found.of.grid != 0].sum())) + found.unlike
    if not found.unlike:
        return Check(
            LABELS, segment, 0.0, None, PASSED, f"each of the {differ:,} pairs in which they differ has its label"
        )
    bound = " or no bound of losses" if len(found.of.grid) > 3 else ""
    blocks = found.of_labelled.both >= log_limit > found.not_worse.both
    told = (
        f"of {differ:,} pairs in which they differ {found.unlike:,} have no label{bound}: evidence for it is {_twice(found.of_labelled)} "
        f"of the labelled, and {_twice(found.not_worse)} if it was wrong in all others, which is what counts"
    )
    return Check(LABELS, segment, found.unlike / differ, None, NO_EVIDENCE if blocks else PASSED, told)


def is_worse(found: Worse, terms: Terms) -> Iterator[Check]:
    """The mean over the segments, then the share of each, the largest first."""
    over = f"{len(found.shares) - 1} segments" if len(found.shares) > 1 else "no segments"
    yield _worse(ALL, found.total, terms, f"evidence that it is worse, the weighted mean of all pairs and {over}")
    if len(found.shares) > 1:
        ordered = sorted(found.shares.items(), key=lambda each: -each[1].both)
        for segment, share in ordered[:SHOWN]:
            yield _worse(segment, share, terms, f"the share of {brief(segment)} in that mean", IS_WORSE + "-share")


def spread(found: Shown) -> Check:
    if not found.windows:
        reason = "fewer than 3 windows do not say how much they vary, and without that nothing is evidence"
        return Check(SPREAD, found.of.segment, None, None, NO_EVIDENCE, reason)
    reason = (
        f"windows vary at most {found.divided:.3g} times as much as independent pairs would, by {found.windows} windows: "
        "the logarithm of evidence is divided by that"
    )
    return Check(SPREAD, found.of.segment, found.divided, None, PASSED, reason)


def sampling(found: Shown) -> Iterator[Check]:
    weights = found.of.weights
    if len(set(weights.tolist())) > 1:
        low = float(weights.min())
        reason = f"pairs were drawn at rates up to {1 / low:.3g} times the lowest; those bet so many times less"
        yield Check(SAMPLING, found.of.segment, low, None, PASSED, reason)


def budget(terms: Terms) -> Iterator[Check]:
    """What is left of what all promotions may lose."""
    whole, left = terms.rollout.budget, terms.margin(ALL)
    if whole and terms.rollout.automatic:
        reason = f"promotions since a person's may have lost {terms.spent:g} of {whole:g}; this one may lose {left:g}"
        yield Check(BUDGET, ALL, terms.spent, whole, PASSED, reason)


def listed(segments: Sequence[str]) -> str:
    return ", ".join(brief(each) for each in segments[:5]) + (" and others" if segments[5:] else "")


def _worse(segment: str, share: Twice, terms: Terms, what: str, name: str = IS_WORSE) -> Check:
    reached = share.both >= terms.log_limit
    reason = f"{what}: {_twice(share)}; {terms.limit:g} is proof"
    return Check(name, segment, _value(share), terms.limit, FAILED if reached else PASSED, reason)


def _value(evidence: Twice) -> float:
    return math.exp(evidence.both)


def _twice(evidence: Twice) -> str:
    same = number(evidence.frozen) == number(evidence.restated)
    return number(evidence.frozen) + ("" if same else f" when due and {number(evidence.restated)} as corrected")
