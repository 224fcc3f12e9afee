"""The pairs of a request that is not simple: what it counted for before is compared with what it counts for now."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from leadline.core.join.cohorts import Cohorts
from leadline.core.join.label_rules import LabelRule, StoredOutcome, label, settled, up_to
from leadline.core.join.pairs import PairDeltas, of_each_version
from leadline.core.join.request_state import StoredPrediction

Rule = tuple[StoredPrediction, LabelRule]


def recount(
    predictions: tuple[Sequence[Rule], Sequence[Rule]],
    outcomes: tuple[Sequence[StoredOutcome], Sequence[StoredOutcome]],
    assume_ms: tuple[int, int],
    cohorts: Cohorts,
    deltas: PairDeltas,
) -> None:
    """Count what is different of the pairs of a request. Its predictions with their rules, its outcomes, and from when on no outcome means
    no are each given as they were before and as they are after.
    """
    for judged in (False, True):
        sides = [
            _pairs([each for each in rules if each[0].judged or not judged], own, moment, judged, cohorts)
            for rules, own, moment in zip(predictions, outcomes, assume_ms, strict=True)
        ]
        for pair in sides[0].keys() | sides[1].keys():
            _count(sides[0].get(pair), sides[1].get(pair), judged, deltas)


def _count(old: tuple[Any, ...] | None, new: tuple[Any, ...] | None, judged: bool, deltas: PairDeltas) -> None:
    if old == new:
        return
    for row, sign in ((old, -1), (new, 1)):
        if row is not None:
            numbers = [np.nan if each is None else each for each in row]
            deltas.count(tuple(numbers), 0 if judged else sign, sign if judged else 0)


def _pairs(
    rules: Sequence[Rule], outcomes: Sequence[StoredOutcome], assume_ms: int, judged: bool, cohorts: Cohorts
) -> dict[tuple[int, int, int], tuple[Any, ...]]:
    """The pairs by event time and the cohorts of both, as `PairDeltas.count` takes them; an outcome may be None."""
    said = [each for each, _ in rules]
    own = [cohorts[each.cohort] for each in said]
    found = {}
    for group in of_each_version(own, [each.event_time for each in said], [each.shadow for each in said]):
        sides = [_side(*rules[at], outcomes, assume_ms, judged, cohorts) for at in group]
        for (left, one), (right, other) in combinations(zip(group, sides, strict=True), 2):
            shared = said[left].event_time, min(said[left].sample, said[right].sample)
            found[said[left].event_time, said[left].cohort, said[right].cohort] = (*shared, *one, *other)
    return found


def _side(
    prediction: StoredPrediction,
    rule: LabelRule,
    outcomes: Sequence[StoredOutcome],
    assume_ms: int,
    judged: bool,
    cohorts: Cohorts,
) -> tuple[Any, ...]:
    """Cohort, score, label and outcome of a prediction."""
    held = up_to(outcomes, cohorts.matured_at(prediction.cohort, prediction.event_time)) if judged else outcomes
    said = settled(rule, label(rule, held), assume_ms).outcome
    return prediction.cohort, prediction.score, prediction.label, None if said is None else said.value
