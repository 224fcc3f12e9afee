"""The audit: every decision becomes an entry of one chain.

The head of the chain is kept with the offsets of what it holds: after a crash the chain goes on where it was.
"""

import json

import numpy as np

from leadline.core.processor import Batch, Effects, EventDriven, Output, Store
from leadline.core.release.chain import Chain
from leadline.core.store_keys import AuditKeys

DECISIONS = (
    "alerts", "retrain-requests", "trainings", "candidates", "verdicts", "rollouts", "commands", "command-answers", "model-settings",
)  # fmt: skip
"""The topics of what was decided, in the order in which the entries of a standing log come."""


class Audit(EventDriven):
    """Adds an entry for each record that comes, readable or not."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def on_batch(self, batch: Batch) -> Effects:
        """The entries of a run, in its order."""
        if not batch.raw:
            return Effects()
        held = self._store.get(AuditKeys.HEAD)
        chain = Chain(*json.loads(held)) if held else Chain()
        timed = zip(batch.raw, batch.arrival_ms.tolist(), strict=True)
        entries = [chain.add(batch.topic, batch.partition, raw, arrival_ms) for raw, arrival_ms in timed]
        self._store.put(AuditKeys.HEAD, json.dumps([chain.sequence, chain.digest]).encode())
        return Effects([Output("audit", records=entries, arrival_ms=np.asarray(batch.arrival_ms, np.int64))])
