"""What the log says of one model's rollouts, and which of it is about one of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from leadline.records import (
    Alert,
    Assignment,
    Command,
    CommandAnswer,
    Comparison,
    Record,
    Rollout,
    Verdict,
)

ALL = "*"


class Tally(NamedTuple):
    """Requests that both versions scored, of windows whose labels were due.

    ``better``, ``worse``: the challenger was right alone, the champion alone; ``same``: both or none, or both said the same class and there
    is no label. ``unlike``: there is none, and each said another class. ``waiting``: pairs of windows that are not due.
    """

    better: int
    same: int
    worse: int
    unlike: int
    waiting: int

    @property
    def pairs(self) -> int:
        return self.better + self.same + self.worse


@dataclass(slots=True)
class Heard:
    """The records about one model, each list in the order of its log. A rollout that is heard of twice, as from the audit, is one."""

    model: str
    verdicts: list[Verdict] = field(default_factory=list)
    commands: dict[str, Command] = field(default_factory=dict)
    answers: dict[str, CommandAnswer] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    _rollouts: dict[tuple[int, int, str, str], Rollout] = field(default_factory=dict)
    _comparisons: dict[tuple[object, ...], Comparison] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Hear of a record; one about another model, or of a kind that says nothing of rollouts, is passed over."""
        if getattr(record, "model", None) != self.model:
            return
        match record:
            case Rollout():
                self._rollouts[record.revision, record.event_time, record.rollout_id, record.state] = record
            case Verdict():
                self.verdicts.append(record)
            case Command():
                self.commands.setdefault(record.command_id, record)
            case CommandAnswer():
                self.answers.setdefault(record.command_id, record)
            case Alert():
                self.alerts.append(record)
            case Comparison():
                self._compare(record)

    @property
    def rollouts(self) -> list[Rollout]:
        """All changes of who answers that are known, the oldest first."""
        return sorted(self._rollouts.values(), key=lambda each: (each.revision, each.event_time))

    def ids(self) -> list[str]:
        """The rollouts that are known by name, the oldest first; also those of which only later changes tell."""
        named = (name for each in self.rollouts for name in (*_remembered(each), each.rollout_id))
        return [name for name in dict.fromkeys(named) if name]

    def of(self, rollout_id: str) -> list[Rollout]:
        """The changes that a rollout made: those with its name, and the one that ended it, which has none."""
        return [each for each in self.rollouts if rollout_id in (each.rollout_id, _ended(each))]

    def tally(self, rollout_id: str, challenger: str) -> Tally:
        """The pairs of a rollout, over all segments."""
        wanted = rollout_id, challenger, ALL
        comparisons = self._comparisons.values()
        found = [each for each in comparisons if (each.rollout_id, each.challenger, each.segment) == wanted]
        due = [each.mature for each in found if each.mature is not None]
        waiting = [each.counts for each in found if each.mature is None]
        return Tally(
            sum(each.second for each in due),
            sum(each.both + each.neither + each.alike for each in due),
            sum(each.first for each in due),
            sum(each.unlike for each in due),
            sum(each.pairs for each in waiting),
        )

    def _compare(self, record: Comparison) -> None:
        key = (
            record.rollout_id,
            record.champion,
            record.challenger,
            record.segment,
            record.window_start,
            record.sample,
        )
        held = self._comparisons.get(key)
        if held is None or record.revision >= held.revision:
            self._comparisons[key] = record


def _remembered(rollout: Rollout) -> Iterable[str]:
    """The rollouts before it that a change remembers, the oldest first."""
    return [each.rollout_id for each in reversed(rollout.earlier)]


def _ended(rollout: Rollout) -> str:
    """The rollout that a change without one ended; empty where it is none."""
    return rollout.earlier[0].rollout_id if rollout.earlier and not rollout.rollout_id else ""


def assignments(rows: Iterable[Rollout], rollout_id: str) -> list[Assignment]:
    """What held during a rollout that no change among these says, but a later one remembers; the oldest first."""
    known = {each.effective_at for each in rows}
    found = {
        each.effective_at: each
        for row in rows
        for each in row.earlier
        if each.rollout_id == rollout_id and each.effective_at not in known
    }
    return [found[at] for at in sorted(found)]
