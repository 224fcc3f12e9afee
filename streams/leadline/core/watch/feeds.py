"""Feeds that stop: no request, or no label while requests come, for longer than there was before, in the time of the log.

Time passes by the records of the model alone: where nothing at all comes any more, that is seen when windows become due.
"""

from dataclasses import dataclass
from itertools import pairwise

from leadline.core.reference import ReferenceProfile
from leadline.core.watch.incidents import Finding, Incidents
from leadline.core.watch.refusals import CAUSE
from leadline.records import Alert, JoinCounts, iso
from leadline.settings import ModelSettings

DAY_MS = 86_400_000
LEARNING_MS = 2 * DAY_MS
"""So long after the first label it is not yet known how long a silence is usual."""


@dataclass(slots=True)
class Feed:
    """When the first and the last record came, and the longest silence between two."""

    first_at: int | None = None
    last_at: int = 0
    longest: int = 0

    def take(self, last_at: int | None) -> bool:
        """Whether a record came."""
        if last_at is None or (self.first_at is not None and last_at <= self.last_at):
            return False
        if self.first_at is not None:
            self.longest = max(self.longest, last_at - self.last_at)
        self.first_at = last_at if self.first_at is None else self.first_at
        self.last_at = last_at
        return True


@dataclass(slots=True)
class Feeds:
    """The feeds of one model, and how far time has come."""

    requests: Feed
    labels: Feed
    now: int

    def take(self, counts: JoinCounts, incidents: Incidents) -> list[Alert]:
        """Take in the counts as of a time that all partitions have reached: what comes again has not stopped."""
        self.now = max(self.now, counts.as_of)
        alerts: list[Alert] = []
        if self.requests.take(counts.last_prediction_at):
            alerts += self._back("requests-stopped", incidents)
        if self.labels.take(counts.last_outcome_at):
            alerts += self._back("labels-stopped", incidents)
        return alerts

    def judge(self, settings: ModelSettings, usual_ms: int, incidents: Incidents) -> list[Alert]:
        """What has stopped by now; ``usual_ms`` is a silence that the reference had."""
        if self._requests_stopped(settings, usual_ms):
            return self._gone("requests-stopped", self.requests.last_at, incidents)
        if self._labels_stopped(settings):
            return self._gone("labels-stopped", self.labels.last_at, incidents)
        return []

    def _requests_stopped(self, settings: ModelSettings, usual_ms: int) -> bool:
        if self.requests.first_at is None:
            return False
        least = DAY_MS if not usual_ms else 0
        allowed = max(2 * settings.window, 2 * self.requests.longest, 2 * usual_ms, least)
        return self.now - self.requests.last_at > allowed

    def _labels_stopped(self, settings: ModelSettings) -> bool:
        """Requests have come for longer after the last label than labels may take, or took before."""
        if self.requests.first_at is None:
            return False
        since = self.requests.first_at if self.labels.first_at is None else self.labels.last_at
        learnt = self.labels.first_at is not None and self.labels.last_at - self.labels.first_at > LEARNING_MS
        longest = self.labels.longest if learnt else settings.horizon
        return min(self.now, self.requests.last_at) - since > max(2 * settings.window, 2 * longest)

    def _gone(self, kind: str, since: int, incidents: Incidents) -> list[Alert]:
        if incidents.is_open(kind) or (kind == "requests-stopped" and incidents.is_open(CAUSE)):
            return []  # requests that become dead letters have not stopped
        what = "request" if kind == "requests-stopped" else "label"
        cause = f"no {what} since {iso(since)}" if since else f"no {what} has come yet"
        evidence = {"since": iso(since), "longest": f"{getattr(self, what + 's').longest / 1000:.0f} s"}
        return incidents.open(kind, Finding(kind, since, self.now, cause, evidence, severity="critical"), self.now)

    def _back(self, kind: str, incidents: Incidents) -> list[Alert]:
        what = "requests" if kind == "requests-stopped" else "labels"
        found = Finding(kind, self.now, self.now, f"{what} come again", {"since": iso(self.now)})
        return incidents.close(kind, "resolved", found, self.now)


def usual_silence(profile: ReferenceProfile | None) -> int:
    """The longest time between two of the reference's own windows; 0 where it has none."""
    starts = [window.start for window in profile.windows] if profile is not None else []
    return max((b - a for a, b in pairwise(starts)), default=0)
