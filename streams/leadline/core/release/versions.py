"""What a task knows of versions, and which one answers: kept in its store, beside the table of rollouts."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from leadline.core.processor import Store
from leadline.core.release.rollouts.assignments import NO_TIME, follow
from leadline.core.release.states import Event, State, after
from leadline.core.scoring.routing import Deployments
from leadline.core.store_keys import RolloutKeys
from leadline.records import Assignment, Rollout, Verdict, identity

_SEEN, _REASON = 20, 1000
"""Gate verdicts of a version that are told apart; one that comes again changes nothing."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An approval that is waited for.

    ``cause``: the verdict or command that began it. ``asked_by``: who asked for the promotion, empty where no person did. ``champion``:
    who answered then. ``agreed``: the persons who have agreed.
    """

    cause: str
    asked_by: str
    champion: str
    until: int
    agreed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """How far a version has come.

    ``gate``: what its last gate verdict says, empty without one; ``against``: the champion with which that compared it; ``seen``: the
    verdicts that came. ``is_candidate``: whether a candidate or a gate verdict names it.
    """

    model: str
    version: str
    state: State = State.UNKNOWN
    is_candidate: bool = False
    retrain_id: str = ""
    gate: str = ""
    gate_reason: str = ""
    against: str = ""
    seen: tuple[str, ...] = ()
    waiting: Waiting | None = None

    def then(self, event: Event) -> "Known":
        """The version after an event; what does not stand in the table changes nothing."""
        to = after(self.state, event)
        if to is None:
            return self
        return replace(self, state=to, waiting=self.waiting if to is State.WAITING else None)

    def judged(self, verdict: Verdict) -> "Known":
        """The version with its newest gate verdict."""
        return replace(
            self, is_candidate=True, gate=verdict.verdict, gate_reason=verdict.reason[:_REASON], against=verdict.champion,
            seen=(*self.seen, verdict.verdict_id)[-_SEEN:],
        )  # fmt: skip


class Versions:
    """The versions of the models that are routed to a task, and their rollouts."""

    def __init__(self, store: Store, deployments: Deployments) -> None:
        self._store = store
        self._deployments = deployments
        self._now_ms = NO_TIME

    def come_to(self, now_ms: int) -> None:
        """What is rolled out from now on is written at this time."""
        self._now_ms = now_ms

    def find(self, model: str, version: str) -> Known:
        """A version as it is now. Who serves is what the rollouts say, also those that somebody wrote by hand."""
        held = self._store.get(_version_key(model, version))
        known = _read(model, version, json.loads(held)) if held else Known(model, version)
        if self.champion(model) == version:
            return replace(known, state=State.SERVING, waiting=None)
        return known.then(Event.REPLACED)

    def keep(self, known: Known) -> None:
        """Keep a version as it is from now on."""
        fields = asdict(known)
        del fields["model"], fields["version"]
        self._store.put(_version_key(known.model, known.version), json.dumps(fields).encode())

    def champion(self, model: str) -> str:
        """The version that answers; empty before the first rollout."""
        holds = self.holds(model)
        return holds.champion if holds else ""

    def holds(self, model: str) -> Rollout | None:
        """The rollout that holds: the newest of the table, or that which was written here, while the table does not show it yet.

        One of revision 0 that is not the one from before was written by hand, by an older release, and holds as soon as it is there.
        """
        newest, (own, over) = self._deployments.newest(model), self._own(model)
        if newest is None:
            return own
        if own is not None and (newest == over or 0 < newest.revision < own.revision):
            return own
        return newest if newest.revision else self._by_hand(newest, own)

    def _by_hand(self, rollout: Rollout, own: Rollout | None) -> Rollout:
        """A rollout that somebody wrote by hand, with the champion before it, as far as that is known."""
        earlier = [*self._deployments.newest_first(rollout.model), *([own] if own else [])]
        others = (each.champion for each in earlier if each.champion != rollout.champion)
        return replace(rollout, before=next(others, ""))

    def roll_out(self, rollout: Rollout, before: str | None = None) -> Rollout:
        """Keep what is rolled out from now on, with its revision, from when it holds after what, and the champion before it.

        ``before``: to whom a rollback goes, where that is not the version that answered until now.
        """
        holds, newest, (own, _) = (
            self.holds(rollout.model),
            self._deployments.newest(rollout.model),
            self._own(rollout.model),
        )
        if before is None:
            before = "" if holds is None else holds.before if holds.champion == rollout.champion else holds.champion
        revision = 1 + max(each.revision if each else 0 for each in (holds, newest, own))
        made = follow(replace(rollout, before=before, revision=revision), holds, self._now_ms)
        entry = {"own": asdict(made), "over": newest and asdict(newest)}
        self._store.put(RolloutKeys.MODEL + rollout.model.encode(), json.dumps(entry).encode())
        return made

    def lost(self) -> Iterator[Rollout]:
        """The rollouts that hold and that were written here, where the topic has lost them."""
        for key, _ in self._store.scan(RolloutKeys.MODEL, RolloutKeys.MODEL + b"\xff"):
            model = key.removeprefix(RolloutKeys.MODEL).decode()
            own, _ = self._own(model) if self._deployments.lacks(model) else (None, None)
            if own is not None and own == self.holds(model):
                yield own

    def _own(self, model: str) -> tuple[Rollout | None, Rollout | None]:
        """The rollout that was written here last, and the newest that the table had then."""
        held = self._store.get(RolloutKeys.MODEL + model.encode())
        if held is None:
            return None, None
        entry = json.loads(held)
        return _rollout(entry["own"]), _rollout(entry["over"]) if entry["over"] else None

    def asked(self, model: str, retrain_id: str, actor: str) -> None:
        """Note who asked for a training; empty: nobody did."""
        self._store.put(_request_key(model, retrain_id), actor.encode())

    def who_asked(self, model: str, retrain_id: str) -> str | None:
        """Who asked for a training, empty where no person did; None: that is not known (yet)."""
        held = self._store.get(_request_key(model, retrain_id))
        return None if held is None else held.decode()


def _read(model: str, version: str, fields: dict[str, Any]) -> Known:
    waiting = fields.pop("waiting")
    if waiting is not None:
        waiting = Waiting(**waiting | {"agreed": tuple(waiting["agreed"])})
    fields |= {"state": State(fields["state"]), "seen": tuple(fields["seen"]), "waiting": waiting}
    return Known(model, version, **fields)


def _rollout(fields: dict[str, Any]) -> Rollout:
    return Rollout(**fields | {"earlier": [Assignment(**each) for each in fields.get("earlier", [])]})


def _version_key(model: str, version: str) -> bytes:
    return RolloutKeys.VERSION + identity(model, version)


def _request_key(model: str, retrain_id: str) -> bytes:
    return RolloutKeys.REQUESTER + identity(model, retrain_id)
