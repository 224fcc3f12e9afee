"""How far a version has come and where it is from, read off the decisions: nothing of it is kept a second time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from leadline.core.release.rollouts.assignments import champion_since
from leadline.records import Candidate, Rollout, Verdict

State = Literal["registered", "gated", "waiting for approval", "approved", "serving", "retired", "rejected"]
Alias = Literal["champion", "challenger"]
CHAMPION: Alias = "champion"
CHALLENGER: Alias = "challenger"
GATE, APPROVAL = "gate", "approval"


@dataclass(slots=True)
class Decisions:
    """The decisions about one model, each list the oldest first, as far as the log still has them."""

    rollouts: list[Rollout] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def add(self, record: Rollout | Candidate | Verdict) -> None:
        """Add the newest of its kind."""
        match record:
            case Rollout():
                self.rollouts.append(record)
            case Candidate():
                self.candidates.append(record)
            case Verdict():
                self.verdicts.append(record)

    @property
    def versions(self) -> set[str]:
        """All versions that are named."""
        return {version for _, version in self._named()} | set(self._champions())

    @property
    def rollout(self) -> Rollout | None:
        """The rollout that holds."""
        return self.rollouts[-1] if self.rollouts else None

    @property
    def champion(self) -> str | None:
        """The version that answers."""
        return self.rollout.champion if self.rollout else None

    @property
    def challenger(self) -> str | None:
        """The newest version that came up since the last promotion and was not rejected."""
        named = sorted((each for each in self._named() if each[0] > self._since), key=lambda each: -each[0])
        newest_first = dict.fromkeys(version for _, version in named)
        return next((each for each in newest_first if each != self.champion and not self._is_rejected(each)), None)

    def of(self, alias: Alias) -> str | None:
        """The version that an alias names now."""
        return self.champion if alias == CHAMPION else self.challenger

    def candidate(self, version: str) -> Candidate | None:
        """The newest record that makes a version a candidate."""
        return next((each for each in reversed(self.candidates) if each.version == version), None)

    def verdict(self, version: str, *places: str) -> Verdict | None:
        """The newest verdict on a version, at one of these places."""
        found = (each for each in reversed(self.verdicts) if each.version == version and each.at in places)
        return next(found, None)

    def state(self, version: str, by_persons: bool) -> State:
        """How far a version has come; ``by_persons``: persons have to agree before it answers."""
        if version == self.champion:
            return "serving"
        newest = self.verdict(version, GATE, APPROVAL)
        is_new = newest is not None and newest.as_of > self._since
        if version in self._champions() and not is_new:
            return "retired"
        if newest is None:
            return "registered"
        if newest.verdict == "reject":
            return "rejected"
        return self._judged(newest, is_new, by_persons)

    def _judged(self, newest: Verdict, is_new: bool, by_persons: bool) -> State:
        if newest.at == GATE:
            return "waiting for approval" if by_persons and is_new and newest.verdict == "promote" else "gated"
        if newest.verdict == "promote":
            return "approved" if is_new else "retired"
        return "waiting for approval" if newest.verdict == "hold" and is_new else "gated"

    def _is_rejected(self, version: str) -> bool:
        newest = self.verdict(version, GATE, APPROVAL)
        return newest is not None and newest.verdict == "reject"

    def _named(self) -> Iterator[tuple[int, str]]:
        """Each time that a version came up."""
        yield from ((each.as_of, each.version) for each in self.candidates)
        yield from ((each.as_of, each.version) for each in self.verdicts)

    @property
    def _since(self) -> int:
        return champion_since(self.rollout) if self.rollout else -1

    def _champions(self) -> Iterator[str]:
        """All that answer or answered; a topic that was compacted has the last two."""
        return (name for each in self.rollouts for name in (each.champion, each.before) if name)


@dataclass(frozen=True, slots=True)
class Lineage:
    """One version: what the disk and the decisions say of it.

    ``here``: whether its files are on this disk. ``trained_at``: None where Leadline did not train it. ``why_broken``: why its
    receipt cannot be read.
    """

    model: str
    version: str
    state: State
    here: bool
    origin: str
    parent: str
    trained_at: int | None
    alias: str
    retrain_id: str = ""
    receipt: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    gate: Verdict | None = None
    approval: Verdict | None = None
    why_broken: str = ""
