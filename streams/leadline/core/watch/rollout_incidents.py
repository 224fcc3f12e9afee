"""A version that was rolled back by itself: one incident a rollout, which asks for a person.

It is over when somebody acknowledges it, or when the next rollout of the model begins. A person who rolls back knows of it.
"""

from leadline.core.watch.incidents import MOST_FEATURES, Finding, Incidents
from leadline.records import Alert, Check, Verdict

CAUSE = "rollout"
AT = ("shadow", "canary", "ab", "watch")
"""Where verdicts on a rollout are given; each has the id of the rollout as its cause."""
_ROLLOUT = "rollout"
"""What names the rollout in the evidence."""


def judge(verdict: Verdict, incidents: Incidents, at: int) -> list[Alert]:
    """What a verdict on a rollout makes of the incident of its model."""
    held = incidents.held.get(CAUSE)
    told = held.told if held is not None else None
    over = [] if told is None or told.evidence.get(_ROLLOUT) == verdict.cause else incidents.resolve(CAUSE, at)
    if verdict.verdict != "roll-back" or verdict.actor or incidents.is_open(CAUSE):
        return over
    return over + incidents.open(CAUSE, _finding(verdict), verdict.as_of)


def acknowledged(incidents: Incidents, alerts: list[Alert], at: int) -> list[Alert]:
    """What is over because somebody looks at it."""
    held = incidents.held.get(CAUSE)
    known = held is not None and held.alert_id in [alert.alert_id for alert in alerts]
    return incidents.resolve(CAUSE, at) if known else []


def _finding(verdict: Verdict) -> Finding:
    bad = [check for check in verdict.checks if check.outcome == "failed"]
    evidence = {_ROLLOUT: verdict.cause, "champion": verdict.champion, "at": verdict.at}
    evidence |= {f"{check.name} {check.segment}": _words(check) for check in bad[:MOST_FEATURES]}
    back = "answers again" if verdict.at == "watch" else "answers alone"
    cause = f"{verdict.version} was rolled back ({verdict.at}), {verdict.champion} {back}: {verdict.reason}"
    severity = "critical" if verdict.at == "watch" else "warning"
    return Finding("rollout", verdict.as_of, verdict.as_of, cause, evidence, severity=severity)


def _words(check: Check) -> str:
    numbers = "" if check.value is None or check.limit is None else f"{check.value:.6g} (limit {check.limit:.6g}): "
    return numbers + check.reason
