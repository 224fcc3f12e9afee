"""The numbers of one window from its counts.

Undefined is None, never zero: anything where nothing matched, precision with no predicted positive, recall with no actual one, AUC
of one class.
"""

from typing import Any

from leadline.core.performance.binary import binary, decision
from leadline.core.performance.regression import regression
from leadline.core.windows.counts import WindowCounts

METRICS = "accuracy precision recall f1 logloss brier auc mean_score outcome_rate mae rmse bias auc_error".split()
TASKS = {"binary": binary, "decision": decision, "regression": regression}


def measure(counts: WindowCounts, task: str) -> dict[str, Any]:
    """Metrics with their 95 % intervals, and ``auc_error``, under the names of `leadline.records.WindowMetrics`; undefined is None.

    >>> measure(WindowCounts(), "binary")["accuracy"] is None
    True
    """
    undefined: dict[str, Any] = dict.fromkeys(METRICS)
    return undefined | TASKS[task](counts) if counts.tallies[1] else undefined
