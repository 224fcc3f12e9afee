"""A task remembers what its state contains, and refuses a state that it could misread."""

import json
from dataclasses import replace

import numpy as np
import pytest

from leadline.state.memory import MemoryStore
from leadline.state.task import APPLIED, FORMAT, FormatError, HostedTask, PartitionsError, bind
from leadline.topology import step
from leadline.wire.codec import decode
from leadline.wire.origins import Origin
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


JOIN = {
    "predictions": Origin("c", "1", 2),
    "outcomes": Origin("c", "2", 2),
    "join-changelog": Origin("c", "3", 2),
}


def written(origins, gathers=False):
    """A store with a row of the processor's, and both sources applied."""
    store = MemoryStore()
    task = HostedTask(replace(step("join"), gathers=gathers), 0, store, Models(), origins=origins)
    store.put(b"row", b"kept")
    for topic in ("predictions", "outcomes"):
        task.apply(task.source(topic, 0), 7)
    task.commit(1)
    return store


def opened(store, gathers=False, **changed):
    return HostedTask(replace(step("join"), gathers=gathers), 0, store, Models(), origins=JOIN | changed)


@pytest.mark.parametrize("origins", [JOIN, {}, {topic: Origin("c", "", 2) for topic in JOIN}])
def test_a_state_of_the_same_topics_goes_on_and_so_does_one_of_a_release_or_broker_that_did_not_say(origins):
    task = opened(written(origins))
    assert task.applied == {"predictions": 7, "outcomes": 7}
    assert not task.remade


@pytest.mark.parametrize("gathers", [False, True])
@pytest.mark.parametrize("other", [Origin("c", "9", 2), Origin("d", "1", 2), Origin("d", "", 2)])
def test_a_source_that_was_made_anew_is_read_from_its_beginning_and_the_state_stays(other, gathers):
    store = written(JOIN, gathers)
    task = opened(store, gathers, predictions=other)
    assert task.remade == {"predictions"}
    assert task.applied == {task.source("outcomes", 0): 7}
    assert store.get(b"row") == b"kept"
    task.apply(task.source("predictions", 0), 3)
    task.commit(2)
    again = opened(store, gathers, predictions=other)
    assert not again.remade
    assert again.applied[again.source("predictions", 0)] == 3


def test_offsets_go_on_rising_for_the_processor_when_a_source_is_made_anew_twice():
    store, seen = written(JOIN), []
    for number, topic_id in enumerate(["2", "8", "9"]):
        task = opened(store, outcomes=Origin("c", topic_id, 2))
        run = Run("outcomes", 0, [8 * (number == 0), 9], [0, 0], [b"", b""], [None, None], [(), ()])
        batch = replace(decode(run, 1000)[0], offsets=np.array(run.offsets))
        seen += task.in_order(batch).offsets.tolist()
        task.apply("outcomes", 9)
        task.commit(number)
    assert seen == [8, 9, 10, 19, 20, 29]


def test_what_was_written_for_another_changelog_is_deleted_in_this_one():
    """A worker that did not know yet that the topic was made anew wrote a run of its former life."""
    store = written(JOIN)
    task = opened(store, **{"join-changelog": Origin("c", "8", 2)})
    assert not task.applied
    assert store.get(b"row") is None
    assert store.changes()[b"row"] is None, "goes to the changelog with the next run"
    task.undo()
    assert store.changes()[b"row"] is None


def test_a_state_of_another_number_of_partitions_is_refused():
    grown = {topic: origin._replace(partitions=4) for topic, origin in JOIN.items()}
    with pytest.raises(
        PartitionsError, match=r"when (predictions|outcomes) had 2 partitions, and now it has 4: keys have moved"
    ):
        opened(written(JOIN), **grown)
    assert opened(written(JOIN, gathers=True), gathers=True, **grown).applied


def test_a_disk_says_of_which_changelog_it_holds_the_state():
    store = MemoryStore()
    assert bind(store, Origin("c", "", 2))
    assert bind(store, Origin("c", "1", 2)), "the brokers were upgraded, and give ids now"
    assert bind(store, Origin("c", "1", 4)), "what the number means, the offsets say"
    assert not bind(store, Origin("c", "2", 2))
    assert not bind(store, Origin("d", "1", 2))
