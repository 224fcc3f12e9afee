"""Requests that become dead letters: an incident of the pipeline where their share is too large, by what workers tell of themselves.

Dead letters do not say which model they are of, and where all requests of a model are refused nothing else comes of it: so the workers
count (`WorkerHealth.asked` and ``refused``, of the last ten minutes), and it is judged each minute by the clock.
"""

from collections import Counter

from leadline.core.tables import Table
from leadline.core.watch.incidents import Finding, Incidents, listed
from leadline.records import Alert, WorkerHealth, iso

CAUSE = "dead-letters"
EVERY_MS = 60_000
_FRESH_MS, _PERIOD_MS = 180_000, 600_000
_LEAST = 20
"""Refused requests that an incident takes."""


def judge(workers: Table, model: str, limit: float, at: int, incidents: Incidents) -> list[Alert]:
    """Open or resolve the incident of a model, by what the workers have told before a time; and tell where it becomes critical.

    It is over at half of the limit: a share about the limit is one incident, not many. Where no worker tells, nothing is known.
    """
    told = _told(workers, at)
    asked = sum(each.asked.get(model, 0) for each in told)
    reasons = Counter[str]()
    for each in told:
        reasons.update(each.refused.get(model, {}))
    refused, is_open = reasons.total(), incidents.is_open(CAUSE)
    share = refused / asked if asked else 0.0
    found = _finding(at, asked, share, reasons)
    if not told:
        return []
    if is_open and share <= limit / 2:
        return incidents.close(CAUSE, "resolved", found, at)
    if is_open:
        return incidents.update(CAUSE, found, at) if found.severity == "critical" else []
    return incidents.open(CAUSE, found, at) if refused >= _LEAST and share > limit else []


def _told(workers: Table, at: int) -> list[WorkerHealth]:
    """The newest record of each worker that told something lately."""
    newest = [next(iter(workers.newest_first(key, before_ms=at)), None) for key in workers.all_keys()]
    return [each for each in newest if isinstance(each, WorkerHealth) and each.told_at > at - _FRESH_MS]


def _finding(at: int, asked: int, share: float, reasons: Counter[str]) -> Finding:
    named = [f"{reason} {times}" for reason, times in sorted(reasons.items(), key=lambda each: (-each[1], each[0]))]
    cause = f"{reasons.total()} of {asked} requests of ten minutes became dead letters"
    cause += f": {listed(named)}" if named else ""
    evidence = {
        "share": f"{share:.3g}",
        "asked": str(asked),
        **{reason: str(times) for reason, times in reasons.items()},
    }
    evidence["until"] = iso(at)
    severity = "critical" if share >= 0.5 else "warning"
    return Finding("pipeline", at - _PERIOD_MS, at, cause, evidence, severity=severity)
