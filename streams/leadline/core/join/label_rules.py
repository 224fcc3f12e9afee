"""Which outcome labels which prediction of a request, and what each outcome record counts as.

Pure rules over everything known of one request; whatever order its records came in, the answer is the same. The rules stand twice:
for one request with any outcomes, and, in `LabelColumns`, for many requests of one outcome each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Bools, Ints
from leadline.core.join.class_names import is_name

OUTCOME_CLASSES = (
    "outcomes_used",
    "outcomes_duplicate",
    "outcomes_conflicting",
    "outcomes_late",
    "outcomes_orphan",
    "outcomes_after_grace",
    "outcomes_retractions",
    "outcomes_not_a_class",
)
"""The classes of outcome records, named as in `leadline.records.JoinCounts`; each record is in exactly one."""


class StoredOutcome(NamedTuple):
    """One outcome record of a request; a NaN value takes back what was said before. Its ``offset`` in the log orders it.

    ``log_ms``: when it arrived, in the time of its log, which never goes back. A value may be a name
    (`leadline.core.join.class_names`).
    """

    offset: int
    outcome_time: int
    arrival_ms: int
    value: float
    log_ms: int = 0


class LabelRule(NamedTuple):
    """What labeling needs of one prediction; ``seal_ms`` is the last arrival that still counts (None: every arrival counts).

    ``classes``: the outcomes that its model knows (None: any), and the ``names`` that it has for them. ``assume_ms``: the last moment
    before it is labelled as ``negative`` where it has no label (None: it stays unlabelled).
    """

    deadline_ms: int
    seal_ms: int | None
    policy: str
    classes: tuple[float, ...] | None = None
    names: tuple[float, ...] = ()
    assume_ms: int | None = None
    negative: float = 0.0


@dataclass(frozen=True, slots=True)
class Label:
    """The outcome that a prediction has now (None: none), and whether one arrived in time but happened after the deadline.

    ``assumed``: no record said this outcome, it is the rule's ``negative``.
    """

    outcome: StoredOutcome | None
    late: bool
    assumed: bool = False


# -- one request ------------------------------------------------------------------------------------------------------


def in_time(rule: LabelRule, outcome: StoredOutcome) -> bool:
    """Whether the outcome arrived before the prediction was sealed."""
    return rule.seal_ms is None or outcome.arrival_ms <= rule.seal_ms


def in_horizon(rule: LabelRule, outcome: StoredOutcome) -> bool:
    """Whether the outcome happened at the prediction's deadline or before."""
    return outcome.outcome_time <= rule.deadline_ms


def is_class(rule: LabelRule, outcome: StoredOutcome) -> bool:
    """Whether the outcome, as `known` says it, is one that the prediction's model knows, or takes back."""
    if rule.classes is None:
        return not is_name(outcome.value)
    return isnan(outcome.value) or outcome.value in rule.classes


def known(rule: LabelRule, outcome: StoredOutcome) -> StoredOutcome:
    """The outcome as the prediction's model counts it: a class that is named has its number."""
    if rule.classes is None or outcome.value not in rule.names:
        return outcome
    return outcome._replace(value=rule.classes[rule.names.index(outcome.value)])


def label(rule: LabelRule, outcomes: Sequence[StoredOutcome]) -> Label:
    """The label of one prediction.

    An outcome is usable if it is a class, in the horizon and in time. Policy ``first``: smallest outcome time, ties to the first in the
    log; a retraction withdraws all outcomes up to its own time. Policy ``latest``: largest outcome time, ties to the last, and a retraction
    that wins leaves the prediction without a label.

    >>> one, two = StoredOutcome(0, 10, 10, 1.0), StoredOutcome(1, 20, 20, 0.0)
    >>> [label(LabelRule(30, None, policy), [one, two]).outcome.value for policy in ("first", "latest")]
    [1.0, 0.0]
    """
    said = [known(rule, outcome) for outcome in outcomes]
    timely = [outcome for outcome in said if in_time(rule, outcome) and is_class(rule, outcome)]
    late = any(not in_horizon(rule, outcome) and not isnan(outcome.value) for outcome in timely)
    usable = [outcome for outcome in timely if in_horizon(rule, outcome)]
    return Label(_first(usable) if rule.policy == "first" else _latest(usable), late)


def _first(usable: list[StoredOutcome]) -> StoredOutcome | None:
    withdrawn = max((outcome.outcome_time for outcome in usable if isnan(outcome.value)), default=None)
    standing = [o for o in usable if not isnan(o.value) and (withdrawn is None or o.outcome_time > withdrawn)]
    return min(standing, key=lambda outcome: (outcome.outcome_time, outcome.offset), default=None)


def _latest(usable: list[StoredOutcome]) -> StoredOutcome | None:
    newest = max(usable, key=lambda outcome: (outcome.outcome_time, outcome.offset), default=None)
    return None if newest is None or isnan(newest.value) else newest


def settled(rule: LabelRule, known: Label, stage_ms: int) -> Label:
    """The label of a prediction at a stage time: what is known, or the rule's negative once no outcome means no.

    >>> rule = LabelRule(30, 40, "first", assume_ms=40)
    >>> [settled(rule, Label(None, False), stage_ms).assumed for stage_ms in (40, 41)]
    [False, True]
    """
    if known.outcome is not None or rule.assume_ms is None or rule.assume_ms >= stage_ms:
        return known
    return Label(StoredOutcome(-1, rule.deadline_ms, rule.assume_ms, rule.negative), known.late, assumed=True)


def up_to(outcomes: Sequence[StoredOutcome], moment_ms: int) -> list[StoredOutcome]:
    """The outcomes that the log held at a moment.

    >>> [outcome.value for outcome in up_to([StoredOutcome(0, 1, 1, 1.0, 5), StoredOutcome(1, 1, 1, 0.0, 6)], 5)]
    [1.0]
    """
    return [outcome for outcome in outcomes if outcome.log_ms <= moment_ms]


def classify(rules: Sequence[LabelRule], labels: Sequence[Label], outcomes: Sequence[StoredOutcome]) -> list[str]:
    """The class of each outcome record of a request, whose predictions have these rules and labels, in log order.

    >>> one, again = StoredOutcome(0, 10, 10, 1.0), StoredOutcome(1, 11, 11, 1.0)
    >>> rule = LabelRule(30, None, "first")
    >>> classify([rule], [label(rule, [one, again])], [one, again])
    ['outcomes_used', 'outcomes_duplicate']
    >>> classify([], [], [one])
    ['outcomes_orphan']
    """
    used = {each.outcome.offset for each in labels if each.outcome is not None}
    first = labels[0].outcome.value if labels and labels[0].outcome is not None else None
    return [_class(outcome, rules, used, first) for outcome in outcomes]


def _class(outcome: StoredOutcome, rules: Sequence[LabelRule], used: set[int], first: float | None) -> str:
    if rules and not any(in_time(rule, outcome) for rule in rules):
        return "outcomes_after_grace"
    if isnan(outcome.value):
        return "outcomes_retractions"
    if outcome.offset in used:
        return "outcomes_used"
    if not rules:
        return "outcomes_orphan"
    takers = [rule for rule in rules if is_class(rule, known(rule, outcome))]
    if not takers:
        return "outcomes_not_a_class"
    if not any(in_horizon(rule, outcome) for rule in takers):
        return "outcomes_late"
    return "outcomes_duplicate" if known(rules[0], outcome).value == first else "outcomes_conflicting"


# -- many requests of one outcome each --------------------------------------------------------------------------------


class LabelColumns(NamedTuple):
    """`label` of predictions by columns, each with the one outcome of its request; policies do not matter then."""

    in_time: Bools
    is_class: Bools
    in_horizon: Bools
    used: Bools
    late: Bools

    @classmethod
    def of(cls, deadline_ms: Ints, seal_ms: Ints, outcomes: NDArray[np.void], is_class: Bools) -> "LabelColumns":
        """``outcomes`` has the fields of `StoredOutcome`; ``seal_ms`` is after all times where nothing is sealed.

        ``is_class``: whether each outcome is one that the prediction's model knows; what is none is in no horizon.
        """
        in_time = outcomes["arrival_ms"] <= seal_ms
        in_horizon = (outcomes["outcome_time"] <= deadline_ms) & is_class
        labels = in_time & is_class & ~np.isnan(outcomes["value"])
        used = labels & in_horizon
        return cls(in_time, is_class, in_horizon, used, labels & ~used)

    def take(self, rows: Ints | Bools) -> "LabelColumns":
        """Some of the predictions."""
        return LabelColumns(*(column[rows] for column in self))

    def classes(self, request: Ints, outcomes: NDArray[np.void]) -> Ints:
        """`classify` by columns: for the one outcome of each request, the index of its class in `OUTCOME_CLASSES`.

        ``request`` is the index of each prediction's request; a request may have no prediction.
        """
        known, in_time, is_class, in_horizon, used = (
            _requests_with(rows, len(outcomes)) for rows in (request, *(request[each] for each in self[:4]))
        )
        rules = (
            (known & ~in_time, "outcomes_after_grace"),
            (np.isnan(outcomes["value"]), "outcomes_retractions"),
            (used, "outcomes_used"),
            (~known, "outcomes_orphan"),
            (~is_class, "outcomes_not_a_class"),
            (~in_horizon, "outcomes_late"),
        )
        codes = [np.int64(OUTCOME_CLASSES.index(name)) for _, name in rules]
        other = OUTCOME_CLASSES.index("outcomes_conflicting")
        return np.select([holds for holds, _ in rules], codes, other).astype(np.int64)


def _requests_with(request: Ints, count: int) -> Bools:
    """For each of ``count`` requests, whether it is among these."""
    found = np.zeros(count, bool)
    found[request] = True
    return found
