"""What the rollout stage has decided, until its host takes it away."""

from hashlib import sha256

import numpy as np

from leadline.core.processor import Effects, Output, Reject
from leadline.core.release.versions import Known
from leadline.records import Record, Verdict, identity

APPROVAL = "approval"
"""Where the stage gives its verdicts."""
_TOPICS = ("rollouts", "verdicts", "comparisons", "command-answers")


class Decided:
    """Records for each topic, with the arrival time of what they come of."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[Record, int]]] = {topic: [] for topic in _TOPICS}

    def add(self, topic: str, record: Record, at_ms: int) -> None:
        """A record that is to be written."""
        self._rows[topic].append((record, at_ms))

    def judge(
        self, known: Known, verdict: str, reason: str, cause: str, at_ms: int, champion: str, actor: str = ""
    ) -> None:
        """What is to become of a version, as it stands with the persons."""
        named = identity(known.model, known.version, APPROVAL, verdict, cause)
        found = Verdict(
            verdict_id=sha256(named).hexdigest()[:16], model=known.model, version=known.version, champion=champion, at=APPROVAL,
            verdict=verdict, checks=[], reason=reason, actor=actor, cause=cause, as_of=at_ms,
        )  # fmt: skip
        self.add("verdicts", found, at_ms)

    def take(self, rejects: list[Reject] | None = None) -> Effects:
        """All of it, once."""
        taken = {topic: rows for topic, rows in self._rows.items() if rows}
        self._rows = {topic: [] for topic in _TOPICS}
        return Effects([_output(topic, rows) for topic, rows in taken.items()], rejects or [])


def _output(topic: str, rows: list[tuple[Record, int]]) -> Output:
    arrivals = np.array([at_ms for _, at_ms in rows], np.int64)
    return Output(topic, records=[record for record, _ in rows], arrival_ms=arrivals)
