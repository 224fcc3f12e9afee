"""What the pairs of a rollout show: a verdict that holds at every look, and only then.

`Pairs` keeps the counts of a champion and its challenger, as `Columns`; `look` says what those that are due show by now, on `Terms`.
"""

from leadline.core.release.evidence.columns import Columns
from leadline.core.release.evidence.pairs import Pairs
from leadline.core.release.evidence.terms import Terms
from leadline.core.release.evidence.verdict import look

__all__ = ["Columns", "Pairs", "Terms", "look"]
