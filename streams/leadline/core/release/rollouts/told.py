"""The records that tell of a rollout: who answers, and its verdicts."""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from leadline.core.release.decided import Decided
from leadline.core.release.rollouts.under_way import UnderWay
from leadline.core.release.states import Event, State
from leadline.core.release.versions import Known, Versions
from leadline.records import Check, Rollout, Verdict, identity

STAGE, GATE = "rollout", "gate"
"""The actors that are no persons."""
MOST_CHARS = 1000
"""Of a reason that somebody else gave."""


class Said(NamedTuple):
    """Who lets something happen, why, and by which record; ``cause`` is empty where it is the newest verdict."""

    actor: str
    reason: str
    cause: str = ""
    checks: Sequence[Check] = ()

    @property
    def person(self) -> str:
        """Empty where it is the stage."""
        return "" if self.actor in (STAGE, GATE) else self.actor


class Told:
    """Writes rollouts and their verdicts, and keeps who serves."""

    def __init__(self, versions: Versions, decided: Decided) -> None:
        self._versions = versions
        self._decided = decided

    def at_once(self, known: Known, said: Said, at_ms: int) -> Rollout:
        """A version is champion, without a rollout. The one before has served, also where somebody made it champion by hand."""
        self._keep_champion(known.model)
        rollout = Rollout(known.model, known.version, at_ms, said.actor, said.reason, cause=said.cause)
        self._versions.keep(known.then(Event.AGREED).then(Event.ROLLED_OUT))
        return self._write(rollout, None, at_ms)

    def under_way(self, model: str, rollout: UnderWay, sample: float, said: Said, at_ms: int) -> None:
        """Who answers now."""
        is_watched = rollout.state == "watched"
        if is_watched:
            self._keep_champion(model)
        shares = {rollout.champion: 0.0} if is_watched else rollout.shares
        record = Rollout(
            model, rollout.version if is_watched else rollout.champion, at_ms, said.actor, said.reason,
            cause=said.cause or rollout.verdict_id, rollout_id=rollout.rollout_id, challenger=rollout.version,
            mode="shadow" if is_watched else rollout.mode, state=rollout.state, step=rollout.step, shares=shares,
            salt=rollout.rollout_id, sample=sample,
        )  # fmt: skip
        self._write(record, None, at_ms)
        if is_watched:
            self._versions.keep(self._versions.find(model, rollout.version).then(Event.ROLLED_OUT))

    def ended(self, model: str, rollout: UnderWay, champion: str, state: str, said: Said, at_ms: int) -> None:
        """The rollout is over: its champion answers everybody."""
        self._keep_champion(model)
        record = Rollout(
            model, champion, at_ms, said.actor, said.reason, cause=said.cause or rollout.verdict_id,
            challenger=rollout.version, state=state, step=rollout.step,
        )  # fmt: skip
        self._write(record, rollout.before if champion == rollout.champion else rollout.champion, at_ms)

    def verdict(self, model: str, rollout: UnderWay, verdict: str, said: Said, at_ms: int) -> None:
        """A verdict of the rollout; what it lets happen names it as its cause."""
        rollout.verdicts += 1
        rollout.verdict_id = sha256(identity(rollout.rollout_id, rollout.verdicts)).hexdigest()[:16]
        found = Verdict(
            verdict_id=rollout.verdict_id, model=model, version=rollout.version, champion=rollout.champion, at=rollout.at,
            verdict=verdict, checks=list(said.checks), reason=said.reason, actor=said.person, cause=rollout.rollout_id, as_of=at_ms,
        )  # fmt: skip
        self._decided.add("verdicts", found, at_ms)

    def _keep_champion(self, model: str) -> None:
        if champion := self._versions.champion(model):
            known = self._versions.find(model, champion)
            if known.state is State.SERVING:
                self._versions.keep(known)

    def _write(self, record: Rollout, before: str | None, at_ms: int) -> Rollout:
        made = self._versions.roll_out(record, before)
        self._decided.add("rollouts", made, at_ms)
        return made
