"""Incidents: what a person should look at, one for a cause, told when it opens, when it changes, and when it is over."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, NamedTuple

from leadline.core.watch.silences import Silences
from leadline.records import Alert

RUNBOOKS = {
    "performance": "Look at the segments that are named, then at the drifted features and at what changed upstream since the first bad "
    "window; roll back where a rollout came shortly before, else train again on newer labels.",
    "concept-drift": "The model is worse than its scores say: what it learned no longer holds. Check that outcomes still mean the same, "
    "then train again on newer labels.",
    "estimated-performance": "Scores say that the model is worse, labels have not come yet. Look at the drifted features; wait for labels "
    "before you train again.",
    "calibration": "Scores no longer tell how often an outcome is positive. Check the share of positives upstream; calibrate.",
    "data-drift": "Inputs are distributed otherwise than in the reference. Find out whether the world or the pipeline changed; performance "
    "tells whether it does harm.",
    "prediction-drift": "Scores are distributed otherwise than in the reference, inputs are not. Check the version that answers and its "
    "threshold.",
    "pipeline": "Values are missing, categories are new, or requests become dead letters. Mend the pipeline; training again does not help. "
    "`leadline dead-letters list` shows them.",
    "labels-biased": "Labels come for some predictions more than for others, so no metric of the labelled speaks for all. "
    "Mend the feed of outcomes.",
    "labels-stopped": "No outcome has come for longer than usual. Mend the feed of outcomes; until then nothing confirms the model.",
    "rollout": "A new version was rolled back by itself; the champion answers. Read why, mend the version or its limits, and start it "
    "again, or reject it. Acknowledging ends the incident.",
    "requests-stopped": "No request has come for longer than usual. Check the feed of requests, and scoring.",
}
"""What to do first, by kind; the settings' own ``runbook`` stands before it."""
MOST_FEATURES = 50
"""Drifted features and segments that a record names; it says how many further ones there are."""


class Finding(NamedTuple):
    """What is to be told of an incident, and of the newest window that it rests on."""

    kind: str
    start: int
    end: int
    cause: str
    evidence: Mapping[str, str]
    segments: Sequence[str] = ()
    features: Sequence[str] = ()
    severity: str = "warning"
    early: bool = False
    error_rate: str = ""

    @property
    def segment(self) -> str:
        """The segment that is named, ``*`` for all, or ``several``."""
        if "*" in self.segments or self.kind not in ("performance", "concept-drift"):
            return "*"
        return self.segments[0] if len(self.segments) == 1 else "several"


@dataclass(slots=True)
class Incident:
    """One that is open. ``shown``: what it was last told with, of that which makes it worth telling again; ``told``: its last record."""

    kind: str
    alert_id: str
    opened_at: int
    revision: int = 0
    shown: list[str] = field(default_factory=list)
    told: Alert | None = None


@dataclass(slots=True)
class Incidents:
    """The open incidents of one version, by the cause that they stand for. ``now``: the stage time, in which silences begin and end."""

    model: str
    version: str
    runbook: str
    held: dict[str, Incident] = field(default_factory=dict)
    silences: Silences = field(default_factory=Silences)
    now: int = 0

    def is_open(self, cause: str) -> bool:
        return cause in self.held

    def open(self, cause: str, found: Finding, at: int) -> list[Alert]:
        """Open an incident; where one of this cause is open, tell what changed."""
        if cause not in self.held:
            said = json.dumps([found.kind, self.model, self.version, found.start])
            self.held[cause] = Incident(found.kind, sha256(said.encode()).hexdigest()[:16], found.start)
            return [self._alert(self.held[cause], "opened", found, at)]
        return self.update(cause, found, at)

    def update(self, cause: str, found: Finding, at: int) -> list[Alert]:
        """Tell of an open incident where its severity, segments, features or what else it is caused by have changed."""
        held = self.held.get(cause)
        return [] if held is None or held.shown == _shown(found) else [self._alert(held, "updated", found, at)]

    def close(self, cause: str, state: str, found: Finding, at: int) -> list[Alert]:
        """Tell that an open incident is resolved, or withdrawn."""
        held = self.held.pop(cause, None)
        return [] if held is None else [self._alert(held, state, found, at)]

    def resolve(self, cause: str, at: int) -> list[Alert]:
        """Tell that an open incident is over, with what it was told with last."""
        held = self.held.pop(cause, None)
        if held is None or held.told is None:
            return []
        return [self._stamped(held, replace(held.told, state="resolved", at=at))]

    def acknowledge(self, alert_id: str, actor: str, at: int) -> list[Alert]:
        """Tell that somebody looks at an open incident."""
        known = [each for each in self.held.values() if each.alert_id == alert_id and each.told is not None]
        return [self._again(each, at, acknowledged_by=actor, acknowledged_at=at) for each in known]

    def heed(self) -> list[Alert]:
        """Tell of the open incidents that have become silenced, or are so no longer."""
        alerts = []
        for held in self.held.values():
            until = None if held.told is None else self.silences.until(held.kind, held.told.segment, self.now)
            if held.told is not None and held.told.silenced_until != until:
                alerts.append(self._again(held, self.now))
        return alerts

    def _again(self, held: Incident, at: int, **changed: Any) -> Alert:
        """An open incident once more, as it was last told."""
        assert held.told is not None
        return self._stamped(held, replace(held.told, state="updated", at=at, **changed))

    def _stamped(self, held: Incident, alert: Alert) -> Alert:
        held.revision += 1
        until = self.silences.until(held.kind, alert.segment, self.now)
        held.told = replace(alert, revision=held.revision, silenced_until=until)
        return held.told

    def _alert(self, held: Incident, state: str, found: Finding, at: int) -> Alert:
        held.shown = _shown(found)
        by = (held.told.acknowledged_by, held.told.acknowledged_at) if held.told is not None else ("", None)
        alert = Alert(
            alert_id=held.alert_id,
            kind=held.kind,
            severity=found.severity,
            state=state,
            model=self.model,
            model_version=self.version,
            segment=found.segment,
            window_start=found.start,
            window_end=found.end,
            revision=0,
            evidence=dict(found.evidence),
            runbook=self.runbook or RUNBOOKS[held.kind],
            cause=found.cause,
            segments=list(found.segments[:MOST_FEATURES]),
            features=list(found.features[:MOST_FEATURES]),
            early=found.early,
            error_rate=found.error_rate,
            at=at,
            acknowledged_by=by[0],
            acknowledged_at=by[1],
        )
        return self._stamped(held, alert)


def _shown(found: Finding) -> list[str]:
    return [found.severity, found.kind, *found.segments, "", *found.features]


def listed(names: list[str]) -> str:
    """Names in a sentence; of very many, how many further ones there are.

    >>> listed(["x", "y"])
    'x, y'
    """
    further = len(names) - MOST_FEATURES
    return ", ".join(names[:MOST_FEATURES]) + (f" and {further} more" if further > 0 else "")


def number(value: float | None) -> str:
    """A number for a person to read.

    >>> number(0.123456789), number(None)
    ('0.123457', 'unknown')
    """
    return "unknown" if value is None else f"{value:.6g}"
