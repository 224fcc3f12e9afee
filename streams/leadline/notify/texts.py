"""An incident in words."""

from leadline.foreign_text import shown
from leadline.records import Alert, iso

_LONG = 1000


def title(alert: Alert) -> str:
    """One line: what is the matter with which model.

    >>> alert = Alert("i1", "performance", "critical", "opened", "fraud", "v3", "*", 0, 3_600_000, 1, {}, "")
    >>> title(alert)
    'OPENED critical: performance of fraud v3'
    """
    where = "" if alert.segment in ("", "*") else f", segment {shown(alert.segment)}"
    early = " (early)" if alert.early else ""
    of = " ".join(filter(None, [shown(alert.model), shown(alert.model_version)]))
    what = f"{alert.kind}{early} of {of}{where}"
    return f"{alert.state.upper()} {alert.severity}: {what}"


def body(alert: Alert) -> str:
    """Some lines: the cause, the window, the evidence and what to do.

    >>> evidence = {"value": "0.81", "limit": "0.88"}
    >>> alert = Alert("i1", "performance", "critical", "opened", "m", "v3", "*", 0, 3_600_000, 1, evidence, "", cause="it fell")
    >>> print(body(alert))
    it fell
    window: 1970-01-01T00:00:00Z to 1970-01-01T01:00:00Z
    value: 0.81
    limit: 0.88
    incident: i1, revision 1
    """
    lines = [shown(alert.cause, _LONG)] if alert.cause else []
    lines.append(f"window: {iso(alert.window_start)} to {iso(alert.window_end)}")
    lines += [f"{shown(name)}: {shown(value, _LONG)}" for name, value in alert.evidence.items()]
    lines += [f"{name}: {', '.join(map(shown, named))}" for name, named in _named(alert) if named]
    lines += attention(alert)
    lines += [f"false alarms: {alert.error_rate}"] if alert.error_rate else []
    lines += [f"what to do: {shown(alert.runbook, _LONG)}"] if alert.runbook else []
    return "\n".join([*lines, f"incident: {shown(alert.alert_id)}, revision {alert.revision}"])


def attention(alert: Alert) -> list[str]:
    """Who looks at it, and how long nobody wants to hear of it."""
    by, until = acknowledged(alert), alert.silenced_until
    return ([f"acknowledged by {by}"] if by else []) + ([f"silenced until {iso(until)}"] if until is not None else [])


def acknowledged(alert: Alert) -> str:
    """Who looks at it, and since when; empty where nobody does.

    >>> acknowledged(Alert("i1", "drift", "", "updated", "m", "v3", "*", 0, 0, 1, {}, "", acknowledged_by="ada", acknowledged_at=0))
    'ada, 1970-01-01T00:00:00Z'
    """
    at = alert.acknowledged_at
    return "" if at is None else f"{shown(alert.acknowledged_by)}, {iso(at)}"


def _named(alert: Alert) -> list[tuple[str, list[str]]]:
    return [("segments", alert.segments), ("features", alert.features)]
