"""What the guardrails of a rollout have in common."""

from leadline.core.release.lead import FAILED, NO_EVIDENCE, PASSED
from leadline.records import Check

SIGMAS = 3.0
"""So many standard deviations beyond a limit are no chance: guardrails are looked at often."""
MOST_WINDOWS = 48
"""Windows that are judged, the newest ones of all versions."""
LEAST_REQUESTS = 100
"""Requests below which nothing is judged."""
ALL = "*"


def check(name: str, value: float | None, limit: float, is_bad: bool, reason: str) -> Check:
    """A check over all segments; without a value there is no evidence."""
    outcome = NO_EVIDENCE if value is None else FAILED if is_bad else PASSED
    return Check(name, ALL, value, limit, outcome, reason)
