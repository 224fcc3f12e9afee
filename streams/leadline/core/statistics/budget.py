"""How many false incidents are allowed, and what that asks of a detector: expected false incidents add, whatever the dependence."""

import math


def alarm_at(allowed: float, period_ms: int, block_ms: int, weight: float) -> float:
    """The c of a detector that may cause ``weight`` of the ``allowed`` false incidents in a period, and looks at each block once.

    Within T blocks at most T / c false alarms are expected. At least 2: a detector that looks more seldom than once for each false
    incident allowed would else alarm at every look.

    >>> alarm_at(1, 30, 1, 0.5), alarm_at(1, 30, 30, 1.0), alarm_at(1, 30, 1, 0.0)
    (60.0, 2.0, inf)
    """
    share = allowed * weight * block_ms
    return max(2.0, period_ms / share) if share > 0 else math.inf
