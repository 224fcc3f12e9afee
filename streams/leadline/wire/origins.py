"""Which topic a name means: topics are deleted and made anew under their name, and clusters under their address."""

from typing import NamedTuple, Self


class Origin(NamedTuple):
    """A topic's cluster, its own id (KIP-516; empty where the broker is older than 2.8), and how many partitions it has."""

    cluster: str
    topic: str
    partitions: int = 0

    @classmethod
    def read(cls, tag: str) -> Self | None:
        """What `tag` wrote; None for any other text.

        >>> Origin.read(Origin("c", "i/d", 2).tag)
        Origin(cluster='c', topic='i/d', partitions=2)
        """
        cluster, _, rest = tag.partition("/")
        topic, _, partitions = rest.rpartition("/")
        return cls(cluster, topic, int(partitions)) if partitions.isdecimal() else None

    @property
    def tag(self) -> str:
        """All of it as one text, to be kept beside an offset."""
        return f"{self.cluster}/{self.topic}/{self.partitions}"

    def installation(self, prefix: str) -> str:
        """The name of an installation: its cluster and its prefix.

        >>> Origin("4L6g3nShT-eMCtK--X86sw", "").installation("leadline")
        '4L6g3nShT-eMCtK--X86sw/leadline'
        """
        return f"{self.cluster}/{prefix}"

    def is_other(self, known: "Origin | None") -> bool:
        """Whether what was known is surely another topic.

        >>> now = Origin("c", "i", 2)
        >>> now.is_other(Origin("c", "j", 2)), now.is_other(Origin("d", "")), now.is_other(Origin("c", "")), now.is_other(None)
        (True, True, False, False)
        """
        if known is None:
            return False
        return known.cluster != self.cluster or bool(known.topic and self.topic and known.topic != self.topic)
