"""What is known of a model, of its incidents, and of the request that is under way. Every list has a most, and every text."""

from dataclasses import dataclass, field

from leadline.core.watch.retraining.triggers import Trigger
from leadline.core.windows.latest import holds
from leadline.records import Alert, JoinCounts

MONTH_MS = 30 * 86_400_000
"""The time of a budget."""
MOST_WAITING, MOST_SPOILING = 8, 20
"""Incidents of a model that are remembered: that ask for a training, and that forbid one. Of more, the newest ones are left out."""
MOST_REMEMBERED = 100
"""Incidents that were asked for, and refusals that were told."""
MOST_ASKED = 1000
"""Requests of 30 days; the largest budget."""
MODEL_WIDE = ("labels-stopped", "requests-stopped")
SPOILING = ("pipeline", "labels-biased", *MODEL_WIDE)
"""Kinds of incidents that no training cures: what comes in is broken, and a model would learn that."""


@dataclass(slots=True)
class UnderWay:
    """A request without an end. ``heard_at``: when it was asked for, or a trainer told of it last. ``begun``: whether one has."""

    retrain_id: str
    version: str
    heard_at: int
    begun: bool = False


@dataclass(slots=True)
class Spoiling:
    """An incident that forbids training, and when it ended (None: it is open)."""

    kind: str
    version: str
    cause: str
    ended_at: int | None = None


@dataclass(slots=True)
class OfModel:
    """All of one model. Times are the model's own (``clock``, that of what was read of it), so they stop where nothing comes.

    ``arrival_ms``: when the newest record came; who answers is asked as of then. ``champion_since``: when this stage first saw that one
    answer. ``labels``: requests that have an outcome now; ``labels_before``: when a training was last asked for, or the champion began.
    ``asked``: when trainings were asked for, within 30 days. ``done``: incidents that a training was asked for. ``told``: refusals.
    """

    clock: int | None = None
    arrival_ms: int | None = None
    champion: str | None = None
    champion_since: int | None = None
    revision: int | None = None
    labels: int | None = None
    labels_before: int | None = None
    asked_at: int | None = None
    ended_at: int | None = None
    asked: list[int] = field(default_factory=list)
    under_way: UnderWay | None = None
    waiting: dict[str, Trigger] = field(default_factory=dict)
    spoiling: dict[str, Spoiling] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    # -- time and champion --------------------------------------------------------------------------------------------

    def arrived(self, arrival_ms: int) -> None:
        """A record came."""
        self.arrival_ms = arrival_ms if self.arrival_ms is None else max(self.arrival_ms, arrival_ms)

    def pass_time(self, time: int) -> None:
        """Time has come so far; it never goes back. What was told before any time was known was told by then."""
        if self.clock is not None:
            self.clock = max(self.clock, time)
            return
        self.clock = time
        self.asked = [min(each, time) for each in self.asked]
        self.asked_at = None if self.asked_at is None else min(self.asked_at, time)
        self.ended_at = None if self.ended_at is None else min(self.ended_at, time)
        if self.champion is not None:
            self.champion_since = time
        if self.under_way is not None:
            self.under_way.heard_at = min(self.under_way.heard_at, time)

    def now(self) -> int:
        """The time; where nothing has told it yet, when the newest record came."""
        return self.clock if self.clock is not None else self.arrival_ms or 0

    def take_champion(self, champion: str | None) -> None:
        """Who answers now. What counts from the champion's beginning begins anew with another one."""
        if champion == self.champion:
            return
        self.champion, self.champion_since, self.labels_before = champion, self.clock, self.labels
        self.waiting = {key: each for key, each in self.waiting.items() if champion in (None, each.version)}
        self.spoiling = {key: each for key, each in self.spoiling.items() if self._is_of(each, champion)}

    def last_at(self) -> int | None:
        """When the last training ended or was asked for, or the champion began, whichever came last."""
        times = [each for each in (self.champion_since, self.asked_at, self.ended_at) if each is not None]
        return max(times, default=None)

    # -- labels -------------------------------------------------------------------------------------------------------

    def count(self, counts: JoinCounts) -> None:
        """The newest counts hold."""
        if not holds(counts.revision, self.revision):
            return
        self.revision, self.labels = counts.revision, counts.outcomes_used
        self.labels_before = self.labels if self.labels_before is None else self.labels_before

    def new_labels(self) -> int:
        """Requests with an outcome, less those that there were when a training was last asked for."""
        return 0 if self.labels is None or self.labels_before is None else self.labels - self.labels_before

    # -- incidents ----------------------------------------------------------------------------------------------------

    def spoil(self, alert: Alert, cause: str) -> None:
        """An incident that forbids training is open."""
        held = self.spoiling.setdefault(alert.alert_id, Spoiling(alert.kind, alert.model_version, cause))
        held.cause, held.ended_at = cause, None
        for key in list(self.spoiling)[MOST_SPOILING:]:
            del self.spoiling[key]

    def close(self, alert_id: str) -> None:
        """An incident is over."""
        self.waiting.pop(alert_id, None)
        spoiling = self.spoiling.get(alert_id)
        if spoiling is not None and spoiling.ended_at is None:
            spoiling.ended_at = self.now()

    def wait(self, trigger: Trigger) -> None:
        """An incident asks for a training, and does so until it is over or one was asked for."""
        if trigger.alert_id in self.waiting or len(self.waiting) < MOST_WAITING:
            self.waiting[trigger.alert_id] = trigger

    def spoilt_by(self, patience_ms: int) -> tuple[str, Spoiling] | None:
        """An incident that forbids training: open, or else over for less than ``patience_ms``."""
        now = self.now()
        self.spoiling = {
            alert_id: each
            for alert_id, each in self.spoiling.items()
            if each.ended_at is None or now - each.ended_at < patience_ms
        }
        return min(self.spoiling.items(), key=lambda each: (each[1].ended_at is not None, each[0]), default=None)

    def _is_of(self, each: Spoiling, champion: str | None) -> bool:
        return each.kind in MODEL_WIDE or champion in (None, each.version)

    # -- requests -----------------------------------------------------------------------------------------------------

    def ask(self, retrain_id: str, version: str, alert_id: str) -> None:
        """A training is asked for; it is for all incidents that wait."""
        now = self.now()
        self.under_way = UnderWay(retrain_id, version, now)
        self.asked_at = now
        self.asked = [each for each in [*self.asked, now] if each > now - MONTH_MS][-MOST_ASKED:]
        self.asked_for(alert_id)

    def asked_for(self, alert_id: str) -> None:
        """An incident (empty: none), those that wait, and the labels that are there by now have been asked for."""
        found = dict.fromkeys([*self.waiting, alert_id])
        self.done = [*self.done, *filter(None, found)][-MOST_REMEMBERED:]
        self.waiting, self.labels_before = {}, self.labels

    def tell(self, what: str) -> bool:
        """Whether a refusal is new."""
        if what in self.told:
            return False
        self.told = [*self.told, what][-MOST_REMEMBERED:]
        return True
