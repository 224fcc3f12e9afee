"""Steps of the tests' own, and a worker that hosts one: ``python tests/hosted.py NAME``."""

import sys

from leadline.core.processor import Effects, EventDriven, Output, Reject
from leadline.records import JoinCounts
from leadline.settings import load_settings
from leadline.topology import Step


class Numbering(EventDriven):
    """Gives each record the next number of its state, and puts out the number with the record's source and offset."""

    def __init__(self, task):
        self._store = task.store

    def on_batch(self, batch):
        number, records = int(self._store.get(b"n") or 0), []
        for offset in batch.offsets.tolist():
            number += 1
            records.append(counts(f"{batch.topic}/{batch.partition}/{offset}", number))
        self._store.put(b"n", b"%d" % number)
        return Effects([Output("metrics", [record.model.encode() for record in records], records=records)])


def counts(model, revision):
    return JoinCounts(model, 0, revision, *[0] * 17)


class Refusing(EventDriven):
    """Refuses each record; the reason is the champion that the table of rollouts names."""

    def __init__(self, task):
        self._rollouts = task.tables["rollouts"]

    def on_batch(self, batch):
        newest = self._rollouts.newest_first(b"m")
        reason = newest[0].champion if newest else "none"
        return Effects(rejects=[Reject(index, reason, "") for index in range(len(batch))])


def gathering():
    return Step("gathering", ("retrain-requests", "rollouts"), ("metrics",), Numbering, gathers=True)


def refusing(stateful):
    return Step("refusing", ("retrain-requests",), (), Refusing, stateful, tables=("rollouts",))


if __name__ == "__main__":
    from leadline.hosts.worker import worker
    from leadline.logs import configure_logs

    configure_logs()
    settings = load_settings()
    sys.exit(worker([{"gathering": gathering}[sys.argv[1]]()], settings, settings.kafka_bootstrap))
