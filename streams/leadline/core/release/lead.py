"""The lead of a challenger over the champion on the same rows, and whether it is more than chance."""

from dataclasses import dataclass

import numpy as np

from leadline.core.columnar.columns import Floats
from leadline.core.release.held_out import Answers, HeldOut
from leadline.core.release.merits import HIGHER_IS_BETTER, gains, measured
from leadline.core.statistics.whole_days import LEAST_DAYS, day_sums, least_days, sign_flips, student
from leadline.records import Check

PASSED, FAILED, NO_EVIDENCE = "passed", "failed", "no-evidence"


@dataclass(frozen=True, slots=True)
class Level:
    """How often chance alone may pass a test: ``alpha`` for all ``candidates`` since the last promotion together."""

    alpha: float
    candidates: int

    @property
    def each(self) -> float:
        """For one candidate: whichever is best of many, one of them passes by chance at most as often as ``alpha``."""
        return self.alpha / self.candidates

    def __str__(self) -> str:
        of = (
            f" ({self.alpha:g} for {self.candidates} candidates since the last promotion)"
            if self.candidates > 1
            else ""
        )
        return f"{self.each:.4g}{of}"


@dataclass(frozen=True, slots=True)
class Lead:
    """How far it leads by a metric: ``before`` is the champion's, ``after`` its own. ``sums``: of a day's gains less ``least``."""

    metric: str
    before: float
    after: float
    rows: int
    least: float
    sums: Floats

    @classmethod
    def of(cls, metric: str, rows: HeldOut, champion: Answers, challenger: Answers, least: float) -> "Lead | None":
        """None where the metric is not defined on these rows, or no finite number."""
        with np.errstate(over="ignore", invalid="ignore"):
            gained = gains(metric, champion, challenger, rows.truth)
            if gained is None:
                return None
            before, after = (measured(metric, each, rows.truth) or 0.0 for each in (champion, challenger))
            if not np.isfinite([before, after, gained.sum()]).all():
                return None
        return cls(metric, before, after, len(rows), least, day_sums(gained - least, rows.days))

    @property
    def value(self) -> float:
        """Above 0 where the challenger is better, whichever way the metric goes."""
        return self.after - self.before if self.metric in HIGHER_IS_BETTER else self.before - self.after

    def few_days(self, level: Level) -> str:
        """Why its days cannot show anything; empty where they can."""
        told = int((self.sums != 0).sum()) if not self.least else len(self.sums)
        needed = max(LEAST_DAYS, 0 if self.least else least_days(level.each))
        if told >= needed:
            return ""
        which = "days" if self.least else "days that differ"
        return f"{told} {which} say too little, {needed} are needed at a level of {level}"

    def p_value(self, level: Level, chance: np.random.Generator) -> float:
        """How often chance would show so large a lead where the true one is ``least``."""
        return student(self.sums) if self.least else sign_flips(self.sums, level.each, chance)

    def __str__(self) -> str:
        how = "equal" if not self.value else f"{abs(self.value):.4g} {'better' if self.value > 0 else 'worse'}"
        return (
            f"{self.metric} {self.after:.4g} beside {self.before:.4g} of the champion, {how} "
            f"on {self.rows:,} rows of {len(self.sums)} days"
        )


def above(name: str, segment: str, lead: Lead, level: Level, chance: np.random.Generator) -> Check:
    """Whether the lead is shown to be above its least: passed only by evidence, failed where not even the rows at hand say so."""
    outcome, why = _outcome(lead, level, chance)
    return Check(name, segment, lead.value, lead.least, outcome, f"{lead}: {why}")


def _outcome(lead: Lead, level: Level, chance: np.random.Generator) -> tuple[str, str]:
    wanted = _wanted(lead.least)
    if few := lead.few_days(level):
        return NO_EVIDENCE, few
    if lead.value <= lead.least:
        return FAILED, f"it has to be {wanted}"
    p = lead.p_value(level, chance)
    shown = f"p {p:.2g}, and at most {level} is allowed"
    if p <= level.each:
        return PASSED, f"{wanted}, {shown}"
    return NO_EVIDENCE, f"that it is {wanted} may be chance, {shown}"


def _wanted(least: float) -> str:
    if least < 0:
        return f"less than {-least:g} worse"
    return f"more than {least:g} better" if least else "better"
