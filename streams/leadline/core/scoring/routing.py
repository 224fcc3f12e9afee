"""Routing: who answers each request of a model, as the table of rollouts says. Anybody can compute it again (docs/routing.md).

A request goes by its own arrival time: by the newest assignment that held then. So it gets the same version again after a crash.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np

from leadline.core.columnar.columns import Bools, Floats, Ints
from leadline.core.models import LoadedVersion, Models
from leadline.core.tables import Table
from leadline.records import CHALLENGER, CHAMPION, SHADOW, Assignment, Rollout

_SAMPLE = b"sample\0"


class Asked(Protocol):
    """Some requests, as far as they are routed."""

    def __len__(self) -> int: ...

    def users(self) -> list[str]:
        """Who asks; where nobody is named, the request itself."""
        ...

    def ids(self) -> list[str]:
        """The id of each request."""
        ...


class Route(NamedTuple):
    """A version that scores requests: in which role, under which rollout, and of which share of them others say what they would have."""

    version: LoadedVersion
    role: str
    rollout_id: str = ""
    sample: float = 1.0


def assignments(rollout: Rollout) -> list[Assignment]:
    """What a rollout says of each time, the newest first.

    >>> rollout = Rollout("fraud", "v2", 0, "ada", "better", effective_at=50, earlier=[Assignment("v1", 0, {}, "", 1.0, "")])
    >>> [(each.champion, each.effective_at) for each in assignments(rollout)]
    [('v2', 50), ('v1', 0)]
    """
    own = Assignment(
        rollout.champion, rollout.effective_at, rollout.shares, rollout.salt, rollout.sample, rollout.rollout_id
    )
    return [own, *rollout.earlier]


class Deployments:
    """What the table of rollouts says of each model. A version that it names may still be one that nobody can load."""

    def __init__(self, rollouts: Table) -> None:
        self._rollouts = rollouts

    def newest(self, model: str) -> Rollout | None:
        """The rollout that holds: the same object until another one comes."""
        newest = self._rollouts.newest(model.encode())
        return newest if isinstance(newest, Rollout) else None

    def newest_first(self, model: str, before_ms: int | None = None) -> list[Rollout]:
        """The rollouts of a model that arrived before a time (None: all)."""
        held = self._rollouts.newest_first(model.encode(), before_ms)
        return [rollout for rollout in held if isinstance(rollout, Rollout)]

    def champion(self, model: str, before_ms: int | None = None) -> str | None:
        """The version that answered just before a time (None: that answers now); None before the first rollout."""
        rollouts = self.newest_first(model, before_ms)
        return rollouts[0].champion if rollouts else None

    def lacks(self, model: str) -> bool:
        """Whether the topic has lost who answers for a model: nobody who begins now would know."""
        return self._rollouts.lacks(model.encode())

    def has_shadows(self, since_ms: int) -> bool:
        """Whether of any model versions score in shadow what arrives from a time on."""
        newest = (self._rollouts.newest(key) for key in self._rollouts.all_keys())
        return any(_has_shadows(rollout, since_ms) for rollout in newest if isinstance(rollout, Rollout))


def _has_shadows(rollout: Rollout, since_ms: int) -> bool:
    for assignment in assignments(rollout):
        if assignment.shares:
            return True
        if assignment.effective_at <= since_ms:
            return False
    return False


class Deployed:
    """The versions of a model under its newest rollout. Each is loaded when it is first asked for, and remembered."""

    def __init__(self, models: Models, deployments: Deployments, model: str) -> None:
        self._models, self._deployments, self._model = models, deployments, model
        self.newest = deployments.newest(model)
        self._fetched = models.fetched()
        self._assignments = assignments(self.newest) if self.newest is not None else []
        self._loaded: dict[str, LoadedVersion | None] = {}
        self._champions: dict[int, LoadedVersion | None] = {}

    def at(self, arrival_ms: Ints) -> Iterator[tuple[Assignment, Ints]]:
        """Each assignment, with the indices of the times at which it held. The oldest one holds from ever."""
        left = np.arange(len(arrival_ms))
        for assignment in self._assignments[:-1]:
            holds = arrival_ms[left] >= assignment.effective_at
            if holds.any():
                yield assignment, left[holds]
                left = left[~holds]
        if len(left) and self._assignments:
            yield self._assignments[-1], left

    def is_newest(self) -> bool:
        """Whether the rollout is still the newest one, and none of its versions that could not be used here may have come since then."""
        is_missing = None in self._loaded.values()
        is_known = not is_missing or self._fetched == self._models.fetched()
        return is_known and self.newest is self._deployments.newest(self._model)

    def version(self, name: str) -> LoadedVersion | None:
        """A version that the newest rollout names; None where it cannot be used here."""
        if name not in self._loaded:
            assert self.newest is not None
            self._loaded[name] = self._models.loaded(self._model, name, self.newest.event_time)
        return self._loaded[name]

    def champion(self, assignment: Assignment) -> LoadedVersion | None:
        """The version that answers what nobody else does: the champion, or where it cannot be used here, the one before it."""
        number = self._assignments.index(assignment)
        if number not in self._champions:
            names = [each.champion for each in self._assignments[number:]]
            found = next(filter(None, map(self.version, names)), None)
            self._champions[number] = found or self._of_before()
        return self._champions[number]

    def load(self) -> LoadedVersion | None:
        """Load all that the newest assignment may ask for, and the champion before, to which a rollback goes; who answers most."""
        if self.newest is None:
            return None
        for name in filter(None, [*self.newest.shares, self.newest.before]):
            self.version(name)
        return self.champion(self._assignments[0])

    def _of_before(self) -> LoadedVersion | None:
        """The newest champion of a former rollout that can be used here."""
        for rollout in self._deployments.newest_first(self._model)[1:]:
            found = self._models.loaded(self._model, rollout.champion, rollout.event_time)
            if found is not None:
                return found
        return None

    # -- who --------------------------------------------------------------------------------------------------------------

    def acting(self, assignment: Assignment, asked: "Asked") -> Iterator[tuple[Route, Ints]]:
        """Who answers, and which of these requests. The champion answers the share of what cannot be used here."""
        rest = np.ones(len(asked), bool)
        for name, own in _shared(assignment, asked):
            version = self.version(name)
            if version is not None and own.any():
                rest &= ~own
                yield self._route(assignment, version, CHALLENGER), np.flatnonzero(own)
        champion = self.champion(assignment)
        if champion is not None and rest.any():
            yield self._route(assignment, champion, CHAMPION), np.flatnonzero(rest)

    def shadowing(self, assignment: Assignment, asked: "Asked") -> Iterator[tuple[Route, Ints]]:
        """Who does not answer and says what it would have, and to which of these requests."""
        if not assignment.shares:
            return
        sampled, rest = _sampled(assignment, asked), np.ones(len(asked), bool)
        answered = {name: own for name, own in _shared(assignment, asked) if self.version(name) is not None}
        for own in answered.values():
            rest &= ~own
        answered[assignment.champion] = rest
        for name in sorted({assignment.champion, *assignment.shares}):
            version, others = self.version(name), sampled & ~answered.get(name, np.zeros(len(asked), bool))
            if version is not None and others.any():
                yield self._route(assignment, version, SHADOW), np.flatnonzero(others)

    @staticmethod
    def _route(assignment: Assignment, version: LoadedVersion, role: str) -> Route:
        return Route(version, role, assignment.rollout_id, assignment.sample)


def in_turn(routed: Sequence[tuple[Route, Ints]], arrival_ms: Ints, most_ms: int) -> Iterator[tuple[Route, Ints]]:
    """Requests by who scores them, so that none goes after one that arrived later by more than ``most_ms``: it would be forgotten by then.

    ``arrival_ms``: of all of them, in the order of their log.
    """
    cuts = [0]
    while len(routed) > 1 and (later := np.flatnonzero(arrival_ms[cuts[-1] :] - arrival_ms[cuts[-1]] > most_ms)).size:
        cuts.append(cuts[-1] + int(later[0]))
    for begin, end in pairwise([*cuts, len(arrival_ms)]):
        for route, rows in routed:
            own = rows[(rows >= begin) & (rows < end)]
            if len(own):
                yield route, own


def _shared(assignment: Assignment, asked: "Asked") -> Iterator[tuple[str, Bools]]:
    """Each version that answers a share, and which requests are in it. Without shares nothing is hashed."""
    names = sorted(name for name, share in assignment.shares.items() if share > 0)
    if not names:
        return
    buckets = fractions(assignment.salt.encode() + b"\0", asked.users())
    at = np.searchsorted(np.cumsum([assignment.shares[name] for name in names]), buckets, side="right")
    for number, name in enumerate(names):
        yield name, at == number


def _sampled(assignment: Assignment, asked: "Asked") -> Bools:
    """Which requests are scored in shadow."""
    if assignment.sample >= 1:
        return np.ones(len(asked), bool)
    found: Bools = fractions(_SAMPLE + assignment.salt.encode() + b"\0", asked.ids()) < assignment.sample
    return found


def fractions(prefix: bytes, texts: Iterable[str]) -> Floats:
    """Of each text a number from 0 to 1: the first 8 bytes of the SHA-256 of the prefix and the text, as a big-endian number, by 2^64.

    >>> fractions(b"salt" + bytes(1), ["user-1"]).tolist() == [int.from_bytes(sha256(b"salt" + bytes(1) + b"user-1").digest()[:8]) / 2**64]
    True
    """
    begun, digests = sha256(prefix), []
    for text in texts:
        digest = begun.copy()
        digest.update(text.encode())
        digests.append(digest.digest())
    found: Floats = np.frombuffer(b"".join(digests), ">u8")[::4].astype(np.float64) / 2.0**64
    return found
