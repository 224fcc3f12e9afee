"""The gate: a challenger beside the champion on the same held-out rows. What is not shown does not pass."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from leadline.core.release.held_out import Answers, HeldOut
from leadline.core.release.lead import FAILED, NO_EVIDENCE, PASSED, Lead, Level, above
from leadline.core.release.merits import OF_PROBABILITIES, OF_VALUES
from leadline.core.release.segments import NOT_COMPARED, NOT_WORSE, alike_checks, segment_checks
from leadline.core.release.soundness import calibration_check, order_check
from leadline.records import Check
from leadline.settings import ModelSettings

PROMOTE, HOLD, REJECT = "promote", "hold", "reject"
FIRST = Check(
    "first",
    "*",
    None,
    None,
    PASSED,
    "no version answers for the model: a first champion has nothing to be compared with",
)
_NAMED = 3


def metric_of(settings: ModelSettings) -> str:
    """The metric by which versions are compared."""
    return settings.gate.metric or ("mae" if settings.task == "regression" else "accuracy")


def own_checks(settings: ModelSettings, rows: HeldOut, challenger: Answers) -> Iterator[Check]:
    """The checks that need no champion."""
    given = np.flatnonzero(challenger.given)
    scored, answers = rows.take(given), challenger.take(given)
    gate, metric = settings.gate, metric_of(settings)
    order = None if settings.task == "regression" else order_check(gate.alpha, scored, answers, gate.min_rows)
    if order is not None:
        yield order
    if gate.calibration_error is not None:
        probabilities = settings.counted_as != "decision"
        yield calibration_check(gate.calibration_error, scored, answers, probabilities, gate.min_rows)
    if gate.max_gap is not None and not _misfit(settings, metric):
        yield from alike_checks(gate, metric, scored, answers)


def comparisons(
    settings: ModelSettings,
    rows: HeldOut,
    champion: Answers,
    challenger: Answers,
    candidates: int,
    chance: np.random.Generator,
) -> Iterator[Check]:
    """The checks against the champion, on the rows that both score, at a level for ``candidates`` since the last promotion.

    ``chance`` draws the signs of days, where there are many.
    """
    metric, gate, level = metric_of(settings), settings.gate, Level(settings.gate.alpha, max(1, candidates))
    yield _scored(champion, challenger)
    if why := _misfit(settings, metric):
        yield Check(NOT_WORSE, "*", None, None, NO_EVIDENCE, why)
        return
    both = np.flatnonzero(champion.given & challenger.given)
    rows, champion, challenger = rows.take(both), champion.take(both), challenger.take(both)
    least = {NOT_WORSE: -gate.margin} | ({"effect": gate.effect} if gate.effect else {})
    for name, limit in least.items():
        lead = Lead.of(metric, rows, champion, challenger, limit)
        if lead is None or lead.rows < gate.min_rows:
            why = f"{metric} of {len(rows)} rows that both score says nothing: {gate.min_rows} are needed, of both classes"
            yield Check(name, "*", None, limit, NO_EVIDENCE, why)
        else:
            yield above(name, "*", lead, level, chance)
    yield from segment_checks(gate, metric, rows, champion, challenger, level, chance)


def decided(checks: Sequence[Check]) -> tuple[str, str]:
    """Promote where all that is required has passed, reject where anything failed, and hold where evidence is missing; and why."""
    needed = [each for each in checks if required(each)]
    failed, missing = ([each for each in needed if each.outcome == outcome] for outcome in (FAILED, NO_EVIDENCE))
    if failed:
        return REJECT, f"{len(failed)} of {len(needed)} checks failed: {_named(failed)}"
    if missing:
        return HOLD, f"{len(missing)} of {len(needed)} checks lack evidence: {_named(missing)}"
    if not needed:
        return HOLD, "nothing was checked"
    return PROMOTE, f"all {len(needed)} checks passed"


def required(check: Check) -> bool:
    """Whether a version has to pass it; which segments are too small to be compared is only said."""
    return check.name != NOT_COMPARED


def _named(checks: Iterable[Check]) -> str:
    found = list(checks)
    some = "; ".join(f"{each.name} {each.segment}: {each.reason}" for each in found[:_NAMED])
    return some + (f"; and {len(found) - _NAMED} more" if found[_NAMED:] else "")


def _misfit(settings: ModelSettings, metric: str) -> str:
    """Why a metric is none of this model; empty where it is one."""
    if (metric in OF_VALUES) != (settings.task == "regression"):
        return f"{metric} is no metric of a {settings.task} model: change metric of [gate] in model.toml"
    if metric in OF_PROBABILITIES and settings.counted_as == "decision":
        return f"{metric} needs probabilities, and the scores are those of a decision function: use accuracy or auc"
    return ""


def _scored(champion: Answers, challenger: Answers) -> Check:
    """Whether the challenger scores what the champion scores: what it refuses would be a dead letter."""
    lost = int((champion.given & ~challenger.given).sum())
    known = int(champion.given.sum())
    if not known:
        return Check("scored", "*", None, 0.0, NO_EVIDENCE, "the champion scores none of the rows")
    reason = f"{lost:,} of {known:,} rows that the champion scores get no score"
    return Check("scored", "*", float(lost), 0.0, FAILED if lost else PASSED, reason)
