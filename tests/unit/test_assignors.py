"""One member gets everything, and the next one when it is gone."""

import pytest

from leadline.kafka.assignors import OneMemberAssignor

PARTITIONS = {"p.alerts": {1, 0}, "p.rollouts": {0}}


class Cluster:
    """As aiokafka's, which knows the partitions of topics."""

    def partitions_for_topic(self, topic):
        return PARTITIONS.get(topic)


def assignments(members):
    known = {member: OneMemberAssignor.metadata(sorted(PARTITIONS)) for member in members}
    assigned = OneMemberAssignor.assign(Cluster(), known)
    return {member: [(topic, list(numbers)) for topic, numbers in each.assignment] for member, each in assigned.items()}


@pytest.mark.parametrize("members", [["b", "a", "c"], ["a"]])
def test_the_first_member_gets_all_partitions_of_all_topics(members):
    expected = {member: [] for member in members} | {"a": [("p.alerts", [0, 1]), ("p.rollouts", [0])]}
    assert assignments(members) == expected


def test_when_it_is_gone_the_next_one_gets_them():
    assert assignments(["c", "b"])["b"] == assignments(["a", "b"])["a"]
