"""Who gets which partitions, where Kafka's own ways are not meant."""

from collections.abc import Iterable, Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


class OneMemberAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """All partitions of all topics go to the first member by id; the others wait to take over."""

    name = "leadline-one-member"
    version = 0

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        first = min(members)
        topic_names = sorted(members[first].subscription)
        everything = [(name, sorted(cluster.partitions_for_topic(name) or ())) for name in topic_names]
        return {
            member: ConsumerProtocolMemberAssignment(cls.version, everything if member == first else [], b"")
            for member in members
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing to remember."""
