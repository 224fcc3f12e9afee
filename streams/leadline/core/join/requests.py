"""The requests that a run's records belong to, as the store knows them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from leadline.core.columnar.columns import Bools, Ints, pick
from leadline.core.join.state_columns import States
from leadline.core.processor import Store
from leadline.core.store_keys import JoinKeys


class Requests(NamedTuple):
    """Requests of a run, each once; ``request`` is the index of each record's request."""

    keys: list[bytes]
    store_keys: list[bytes]
    request: Ints
    states: States

    @classmethod
    def read(cls, store: Store, keys: Sequence[bytes]) -> "Requests":
        """Those of records with these keys, in order of first appearance."""
        once = list(dict.fromkeys(keys))
        request = np.arange(len(keys))
        if len(once) < len(keys):
            number = dict(zip(once, range(len(once)), strict=True))
            request = np.array(list(map(number.__getitem__, keys)), np.int64)
        store_keys = list(map(JoinKeys.REQUEST.__add__, once))
        return cls(once, store_keys, request, States.of(store.get_many(store_keys)))

    def part(self, chosen: Bools) -> tuple["Requests", Ints]:
        """The chosen requests, and the rows of their records."""
        if chosen.all():
            return self, np.arange(len(self.request))
        where, rows = np.flatnonzero(chosen), np.flatnonzero(chosen[self.request])
        request = (np.cumsum(chosen) - 1)[self.request[rows]]
        return Requests(pick(self.keys, where), pick(self.store_keys, where), request, self.states.take(where)), rows

    def times(self) -> Ints:
        """How many records each request has."""
        return np.bincount(self.request, minlength=len(self.keys))
