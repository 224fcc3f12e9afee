"""What would be done on a cluster."""

import pytest

from leadline.topology import STEPS
from leadline.wire.plan import plan, wanted

STATEFUL = [step.name for step in STEPS if step.stateful]


def existing(partitions=2, **changes):
    made = plan({}, wanted(STATEFUL), "p", partitions).create
    return {topic.name: (topic.partitions, dict(topic.config) | changes) for topic in made}


def test_nothing_is_there_so_everything_is_created():
    made = plan({}, wanted(STATEFUL), "p", 3)
    counts = {topic.name: topic.partitions for topic in made.create}
    assert counts["p.outcomes"] == counts["p.join-changelog"] == 3
    assert counts["p.rollouts"] == 1
    assert not made.alter
    assert not made.refuse


def test_nothing_is_to_do_where_all_is_as_wanted():
    made = plan(existing(), wanted(STATEFUL), "p", 2)
    assert (made.create, made.alter, made.refuse) == ([], [], [])


def test_other_settings_are_altered():
    made = plan(existing(**{"max.message.bytes": "1"}), wanted(["join"], ["outcomes"]), "p", 2)
    assert [(topic.name, dict(topic.changes)) for topic in made.alter] == [
        ("p.outcomes", {"max.message.bytes": ("1", str(4 << 20))}),
        ("p.join-changelog", {"max.message.bytes": ("1", str(16 << 20))}),
    ]


def test_a_wrong_number_of_partitions_is_refused_and_says_why():
    made = plan(existing(2), wanted([], ["outcomes"]), "p", 4)
    assert len(made.refuse) == 1
    assert made.refuse[0].startswith("p.outcomes has 2 partitions, wanted is 4: a request, its prediction, its outcome")


def test_nobody_but_the_broker_stamps_what_people_send():
    stamped = {t.name for t in wanted([]) if t.config.get("message.timestamp.type") == "LogAppendTime"}
    assert stamped == {"prediction-requests", "predictions", "outcomes"}


def test_unknown_topics_are_an_error():
    with pytest.raises(ValueError, match="no such topics: outcome"):
        wanted([], ["outcome"])
