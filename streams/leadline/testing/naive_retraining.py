"""When a model is trained again, by a naive reading: at each record all that was read before it is looked through once more."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from leadline.records import Alert, Command, JoinCounts, Rollout, Training, WindowMetrics
from leadline.settings import ModelSettings

MONTH_MS = 30 * 86_400_000
SPOILING = ("pipeline", "labels-biased", "labels-stopped", "requests-stopped")
EARLY = ("estimated-performance", "data-drift", "prediction-drift")
EARLIEST, LATEST = -62_135_596_800_000, 1 << 61


class Written(NamedTuple):
    """A request that was written after a record: for what, and whether it is one of before."""

    place: int
    name: str
    retrain_id: str
    version: str
    is_new: bool


class _Known(NamedTuple):
    """After a record: the time of the model, the first one that was known, when the newest record came, and who answers."""

    clock: int | None
    first: int | None
    arrival: int | None
    champion: str | None


@dataclass
class Reading:
    """One model: what was read, each record with its arrival time, and the rollouts. ``written`` and ``held`` are the answer."""

    log: Sequence[tuple[Any, int]]
    rollouts: Sequence[tuple[Rollout, int]]
    settings: ModelSettings
    written: list[Written] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    accepted: dict[str, bool] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    _commands: set[int] = field(default_factory=set)
    _known: list[_Known] = field(default_factory=list)

    def read(self) -> "Reading":
        """Read all of it."""
        for at, (record, _) in enumerate(self.log):
            is_new = isinstance(record, Command) and record.command_id not in self.accepted
            self._commands |= {at} if is_new else set()
            self._know(at)
            if isinstance(record, Alert):
                self._alert(at, record)
            elif isinstance(record, JoinCounts):
                self._counts(at)
            elif is_new:
                self.accepted[record.command_id] = self._command(at, record)
        return self

    def _know(self, at: int) -> None:
        record, arrival_ms = self.log[at]
        clock, first, arrival, _ = self._known[-1] if self._known else _Known(None, None, None, None)
        time = _time(record)
        if time is not None and EARLIEST < time < LATEST:
            clock, first = time if clock is None else max(clock, time), time if first is None else first
        if self._heeded(at):
            arrival = arrival_ms if arrival is None else max(arrival, arrival_ms)
        before = (r.champion for r, came in reversed(self.rollouts) if arrival is not None and came < arrival)
        self._known.append(_Known(clock, first, arrival, next(before, None)))

    # -- what asks ----------------------------------------------------------------------------------------------------

    def _alert(self, at: int, alert: Alert) -> None:
        if alert.state not in ("opened", "updated") or self.champion(at) not in (None, alert.model_version):
            return
        if alert.kind in SPOILING:
            self._hold(alert.alert_id)
        elif alert.alert_id in self._waiting(at):
            self._trigger(at, alert.alert_id, alert.model_version, alert.alert_id, force=False)

    def _counts(self, at: int) -> None:
        champion, training = self.champion(at), self.settings.training
        due = [(name, alert.model_version, name) for name, alert in self._waiting(at).items()]
        since = self._last_at(at)
        if champion and training.schedule and since is not None and self.now(at) - since >= training.schedule:
            due.append(("schedule", champion, ""))
        if champion and training.new_labels and self._new_labels(at) >= training.new_labels:
            due.append(("labels", champion, ""))
        for name, version, alert_id in due:
            if self._trigger(at, name, version, alert_id, force=False):
                break

    def _command(self, at: int, command: Command) -> bool:
        champion = self.champion(at)
        return champion is not None and self._trigger(
            at, command.command_id, champion, "", "force" in command.arguments
        )

    def _trigger(self, at: int, name: str, version: str, alert_id: str, force: bool) -> bool:
        spoilt, now = self._spoilt(at), self.now(at)
        if spoilt and not force:
            self._hold(name if isinstance(self.log[at][0], Command) else spoilt)
            return False
        cooling = bool(self.written) and now - self._when(self.written[-1].place, at) < self.settings.retrain_cooldown
        under_way = self.under_way(at)
        if under_way is not None:
            lost = self._is_silent(under_way, at) and (force or not cooling)
            if lost:
                self._write(Written(at, name, under_way.retrain_id, under_way.version, False), alert_id)
            return lost
        spent = [each for each in self.written if each.is_new and self._when(each.place, at) > now - MONTH_MS]
        if (cooling and not force) or len(spent) >= self.settings.training.budget:
            return False
        self._write(Written(at, name, self._retrain_id(at, name, alert_id), version, True), alert_id)
        return True

    def _write(self, written: Written, alert_id: str) -> None:
        self.done |= {alert_id, *self._waiting(written.place)}
        self.written.append(written)

    def _hold(self, name: str) -> None:
        self.held += [name] if name not in self.held else []

    def _retrain_id(self, at: int, name: str, alert_id: str) -> str:
        record = self.log[at][0]
        person = isinstance(record, Command)
        said = json.dumps(["person" if person else name, record.model, name if person else self.now(at)])
        return sha256((alert_id or said).encode()).hexdigest()[:16]

    # -- what was so ---------------------------------------------------------------------------------------------------

    def _heeded(self, at: int) -> bool:
        """Whether a record says who answers: none that only tells time, no command that came before."""
        record = self.log[at][0]
        return isinstance(record, Alert | JoinCounts | Training) or at in self._commands

    def now(self, at: int) -> int:
        """The time of the model after a record."""
        known = self._known[at]
        return known.arrival or 0 if known.clock is None else known.clock

    def _when(self, place: int, at: int) -> int:
        """The time of an earlier record; where nobody knew it then, no later than the first one that was known."""
        first = self._known[at].first
        return self.now(place) if self._known[place].clock is not None or first is None else min(self.now(place), first)

    def champion(self, at: int) -> str | None:
        """Who answered just before the newest record came."""
        return self._known[at].champion

    def under_way(self, at: int) -> Written | None:
        """The request without an end, before a record asks for anything."""
        asked = [each for each in self.written if each.is_new and each.place < at]
        ended = bool(asked) and any(self._ends(asked[-1], index) for index in range(asked[-1].place + 1, at + 1))
        mine = [each for each in self.written if each.is_new and each.place == at]
        return mine[-1] if mine else asked[-1] if asked and not ended else None

    def _ends(self, asked: Written, index: int) -> bool:
        record = self.log[index][0]
        other = self._heeded(index) and self.champion(index) not in (None, asked.version)
        if other and (not self._begun(asked, index - 1) or self._is_silent(asked, index, index - 1)):
            return True
        ended = isinstance(record, Training) and record.state in ("succeeded", "failed", "cancelled")
        return ended and record.retrain_id == asked.retrain_id

    def _told(self, asked: Written, upto: int) -> list[int]:
        return [
            index for index in range(asked.place + 1, upto + 1)
            if isinstance(record := self.log[index][0], Training) and record.retrain_id == asked.retrain_id
        ]  # fmt: skip

    def _again(self, asked: Written, upto: int) -> int:
        return max(each.place for each in self.written if asked.place <= each.place <= upto)

    def _begun(self, asked: Written, upto: int) -> bool:
        return any(index > self._again(asked, upto) for index in self._told(asked, upto))

    def _is_silent(self, asked: Written, at: int, upto: int | None = None) -> bool:
        upto = at if upto is None else upto
        heard = max([self._again(asked, upto), *self._told(asked, upto)])
        return self.now(at) - self._when(heard, at) > 3 * self.settings.training.timeout

    def _ended(self, at: int) -> list[int]:
        """The records by which requests ended."""
        new = [each for each in self.written if each.is_new and each.place <= at]
        until = [*(each.place for each in new[1:]), at + 1][: len(new)]
        ends = [
            next((i for i in range(each.place + 1, min(to + 1, at + 1)) if self._ends(each, i)), None)
            for each, to in zip(new, until, strict=True)
        ]
        return [each for each in ends if each is not None]

    def _began(self, at: int) -> int | None:
        """The record at which the champion was first seen to answer; None: nobody answers."""
        first = None
        for index in range(at + 1):
            if self._heeded(index) and self.champion(index) != (self.champion(index - 1) if index else None):
                first = index
        return first

    def _last_at(self, at: int) -> int | None:
        times = [self._when(index, at) for index in [*self._ended(at), *(each.place for each in self.written)]]
        began = self._began(at)
        first = self._known[at].first
        if began is not None and first is not None:
            times.append(first if self._known[began].clock is None else self.now(began))
        return max(times, default=None)

    def _labels(self, at: int) -> int | None:
        newest: JoinCounts | None = None
        for record, _ in self.log[: at + 1]:
            if isinstance(record, JoinCounts) and (newest is None or record.revision >= newest.revision):
                newest = record
        return None if newest is None else newest.outcomes_used

    def _new_labels(self, at: int) -> int:
        began = self._began(at)
        asked = [each.place for each in self.written]
        before = None if began is None else self._labels(began - 1) if began else None
        if asked and (began is None or asked[-1] >= began):
            before = self._labels(asked[-1])
        start = max([began or 0, *asked])
        if before is None:
            first = [i for i in range(start, at + 1) if self._labels(i) is not None]
            before = self._labels(first[0]) if first else None
        now = self._labels(at)
        return 0 if now is None or before is None else now - before

    def _waiting(self, at: int) -> dict[str, Alert]:
        """Incidents that ask, the one that asked first at first."""
        found: dict[str, Alert] = {}
        for index in range(at + 1):
            record = self.log[index][0]
            if self._heeded(index):
                champion = self.champion(index)
                found = {name: each for name, each in found.items() if champion in (None, each.model_version)}
            if not isinstance(record, Alert):
                continue
            if record.state in ("resolved", "withdrawn"):
                found.pop(record.alert_id, None)
            elif record.kind not in SPOILING and self.champion(index) in (None, record.model_version):
                if self._asks(record) and record.alert_id not in self.done:
                    found[record.alert_id] = record
                else:
                    found.pop(record.alert_id, None)
        return found

    def _asks(self, alert: Alert) -> bool:
        confirmed = not alert.early or alert.kind in EARLY
        return alert.kind in self.settings.training.on and alert.segment == "*" and confirmed

    def _spoilt(self, at: int) -> str | None:
        """The incident that forbids a training: one that is open, or else one that is over for less than a window and the horizon."""
        patience = (self.settings.alerts.cycle or self.settings.window) + self.settings.horizon
        found: dict[str, tuple[Alert, int | None]] = {}
        for index in range(at + 1):
            record = self.log[index][0]
            if self._heeded(index):
                found = {
                    n: (a, e)
                    for n, (a, e) in found.items()
                    if self._is_wide(a) or self.champion(index) in (None, a.model_version)
                }
            if isinstance(record, Alert) and record.state in ("resolved", "withdrawn") and record.alert_id in found:
                alert, end = found[record.alert_id]
                found[record.alert_id] = alert, index if end is None else end
            opens = isinstance(record, Alert) and record.state in ("opened", "updated") and record.kind in SPOILING
            if opens and self.champion(index) in (None, record.model_version):
                found[record.alert_id] = found.get(record.alert_id, (record, None))[0], None
        is_open = [name for name, (_, end) in found.items() if end is None]
        over = [
            name
            for name, (_, end) in found.items()
            if end is not None and self.now(at) - self._when(end, at) < patience
        ]
        return min(is_open or over, default=None)

    def _is_wide(self, alert: Alert) -> bool:
        return alert.kind in ("labels-stopped", "requests-stopped")


def _time(record: object) -> int | None:
    if isinstance(record, Alert):
        return max(record.window_end, record.at)
    return record.as_of if isinstance(record, JoinCounts | WindowMetrics) else None
