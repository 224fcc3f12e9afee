"""A task remembers what its state contains, and refuses a state that it could misread."""

import json
from dataclasses import replace

import pytest

from leadline.state.memory import MemoryStore
from leadline.state.task import APPLIED, FORMAT, FormatError, HostedTask
from leadline.topology import step
from leadline.wire.run import Run
from stages import Models


def test_a_new_task_on_the_same_store_goes_on():
    store = MemoryStore()
    task = HostedTask(step("join"), 3, store, Models())
    task.apply("outcomes", 7)
    task.commit(1)
    again = HostedTask(step("join"), 3, store, Models())
    assert again.applied == {"outcomes": 7}
    assert again.restored_to() == 1


@pytest.mark.parametrize(
    "emitted", [{"format": FORMAT - 1, "offsets": {}}, {"format": FORMAT + 1, "offsets": {}}, {"outcomes": 7}]
)
def test_a_state_of_another_release_is_refused(emitted):
    store = MemoryStore()
    store.put(APPLIED, json.dumps(emitted).encode())
    with pytest.raises(FormatError, match=f"the state of join/3 has format .* this release reads {FORMAT}"):
        HostedTask(step("join"), 3, store, Models())


def test_a_task_that_gathers_remembers_each_partition_of_a_topic():
    store = MemoryStore()
    gathering = replace(step("join"), gathers=True)
    task = HostedTask(gathering, 0, store, Models())
    task.apply(task.source("outcomes", 1), 7)
    task.commit(1)
    again = HostedTask(gathering, 0, store, Models())
    assert again.applied == {"outcomes/1": 7}
    assert again.unseen(Run("outcomes", 1, [7, 8], [0, 0], [b"", b""], [b"", b""], [(), ()])).offsets == [8]
    assert again.unseen(Run("outcomes", 0, [7, 8], [0, 0], [b"", b""], [b"", b""], [(), ()])).offsets == [7, 8]
