"""Which outcome labels which prediction of a request, and what each outcome record counts as.

Pure rules over everything known of one request; whatever order its records came in, the answer is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import NamedTuple


class StoredOutcome(NamedTuple):
    """One outcome record of a request; a NaN value takes back what was said before. Ordered by ``offset``, its place in the log."""

    offset: int
    outcome_time: int
    arrival_ms: int
    value: float


class LabelRule(NamedTuple):
    """What labeling needs of one prediction of a request, in log order; ``seal_ms`` is the last arrival that still counts."""

    deadline_ms: int
    seal_ms: int | None
    policy: str


@dataclass(frozen=True, slots=True)
class Label:
    """The outcome that a prediction has now (None: none), and whether a usable time or arrival came too late for it."""

    given: StoredOutcome | None
    late: bool


def label(rule: LabelRule, outcomes: Sequence[StoredOutcome]) -> Label:
    """The label of one prediction.

    An outcome is usable if ``outcome_time <= deadline`` and it arrived before sealing. Policy ``first``: smallest outcome time, ties to the
    first in the log; a retraction withdraws all outcomes up to its own time. Policy ``latest``: largest outcome time, ties to the last, and
    a retraction that wins leaves the prediction without a label.

    >>> one, two = StoredOutcome(0, 10, 10, 1.0), StoredOutcome(1, 20, 20, 0.0)
    >>> label(LabelRule(30, None, "first"), [one, two]).given.value, label(LabelRule(30, None, "latest"), [one, two]).given.value
    (1.0, 0.0)
    """
    timely = [given for given in outcomes if in_time(rule, given)]
    late = any(given.outcome_time > rule.deadline_ms and not isnan(given.value) for given in timely)
    usable = [given for given in timely if given.outcome_time <= rule.deadline_ms]
    return Label(_first(usable) if rule.policy == "first" else _latest(usable), late)


def in_time(rule: LabelRule, given: StoredOutcome) -> bool:
    """Whether the record arrived before the prediction was sealed."""
    return rule.seal_ms is None or given.arrival_ms <= rule.seal_ms


def _first(usable: list[StoredOutcome]) -> StoredOutcome | None:
    withdrawn = max((given.outcome_time for given in usable if isnan(given.value)), default=None)
    standing = [g for g in usable if not isnan(g.value) and (withdrawn is None or g.outcome_time > withdrawn)]
    return min(standing, key=lambda given: (given.outcome_time, given.offset), default=None)


def _latest(usable: list[StoredOutcome]) -> StoredOutcome | None:
    newest = max(usable, key=lambda given: (given.outcome_time, given.offset), default=None)
    return None if newest is None or isnan(newest.value) else newest


def classify(rules: Sequence[LabelRule], labels: Sequence[Label], outcomes: Sequence[StoredOutcome]) -> list[str]:
    """The class of each outcome record, named as in `leadline.records.JoinCounts`; each record is in exactly one.

    >>> one, again = StoredOutcome(0, 10, 10, 1.0), StoredOutcome(1, 11, 11, 1.0)
    >>> rule = LabelRule(30, None, "first")
    >>> classify([rule], [label(rule, [one, again])], [one, again])
    ['outcomes_used', 'outcomes_duplicate']
    >>> classify([], [], [one])
    ['outcomes_orphan']
    """
    used = {known.given.offset for known in labels if known.given is not None}
    first = labels[0].given.value if labels and labels[0].given is not None else None
    return [_class(given, rules, used, first) for given in outcomes]


def _class(given: StoredOutcome, rules: Sequence[LabelRule], used: set[int], first: float | None) -> str:
    if rules and not any(in_time(rule, given) for rule in rules):
        return "outcomes_after_grace"
    if isnan(given.value):
        return "outcomes_retractions"
    if given.offset in used:
        return "outcomes_used"
    if not rules:
        return "outcomes_orphan"
    if all(given.outcome_time > rule.deadline_ms for rule in rules):
        return "outcomes_late"
    return "outcomes_duplicate" if given.value == first else "outcomes_conflicting"
