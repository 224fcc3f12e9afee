"""Which version answered, who let it, and what made it: by the decisions in the audit."""

from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple

from leadline.records import (
    ACCEPTED,
    APPROVE,
    PROMOTE,
    REJECT,
    ROLL_BACK,
    START,
    AuditEntry,
    Candidate,
    Command,
    CommandAnswer,
    Record,
    RetrainRequest,
    Rollout,
    Training,
    Verdict,
)

_FOR_EVER = 1 << 62
_OF_PEOPLE = (APPROVE, PROMOTE, REJECT, ROLL_BACK, START)


class Step(NamedTuple):
    """One part of the answer; without an entry ``missing`` says what the audit does not hold."""

    what: str
    entry: AuditEntry | None = None
    record: Record | None = None
    missing: str = ""


class History:
    """The decisions about one model, in the order of the chain."""

    def __init__(self) -> None:
        self._rows: list[tuple[AuditEntry, Record]] = []

    def add(self, entry: AuditEntry, record: Record) -> None:
        self._rows.append((entry, record))

    def rollout(self, at_ms: int, version: str | None = None) -> tuple[AuditEntry, Rollout] | None:
        """The newest rollout that was in effect at a time. Of a version that is named, the first one where clocks disagree by that much.

        That version is the champion, or answers a share. Of a champion it is the one that made it so, whatever was tried beside it since.
        """
        every = [(entry, each) for entry, each in self._rows if isinstance(each, Rollout)]
        of = [row for row in every if version is None or row[1].champion == version or row[1].shares.get(version)]
        before = [row for row in of if max(row[0].arrival_time, row[1].effective_at) <= at_ms]
        found = before[-1:] or (of[:1] if version is not None else [])
        if not found or version not in (None, found[0][1].champion):
            return found[0] if found else None
        until = every[: every.index(found[0]) + 1]
        return list(takewhile(lambda row: row[1].champion == found[0][1].champion, reversed(until)))[-1]

    def explain(self, version: str, rollout: tuple[AuditEntry, Rollout] | None) -> Iterator[Step]:
        """Who made a version champion and why, which verdicts let it, and which training made it."""
        if rollout is None:
            yield Step("champion", missing=f"no rollout of {version} until then is in the audit")
        else:
            yield Step("champion" if rollout[1].champion == version else "rollout", *rollout)
        yield from self._let(version, rollout)
        yield from self._made(version)

    def _let(self, version: str, rollout: tuple[AuditEntry, Rollout] | None) -> Iterator[Step]:
        """What people said about a version, and what they were told by, until it was rolled out.

        A rollout and the verdict that let it are written at once: which of them the log has first is chance, so it is told by ``as_of``.
        """
        until_ms, at_ms = (rollout[0].arrival_time, rollout[1].event_time) if rollout else (_FOR_EVER, _FOR_EVER)
        of = [(entry, each) for entry, each in self._rows if isinstance(each, Verdict) and each.version == version]
        verdicts = [(entry, each) for entry, each in of if entry.arrival_time <= until_ms or each.as_of <= at_ms]
        commands = [(entry, each) for entry, each in self._rows if isinstance(each, Command)]
        named = {
            each.command_id for entry, each in commands
            if entry.arrival_time <= until_ms and version in each.arguments.values()
        }  # fmt: skip
        named |= {each.cause for _, each in verdicts} | ({rollout[1].cause} if rollout else set())
        refused = {
            each.command_id for _, each in self._rows if isinstance(each, CommandAnswer) and each.answer != ACCEPTED
        }
        said = [(entry, each) for entry, each in commands if each.command_id in named - refused]
        people = [Step(each.kind, entry, each) for entry, each in said if each.kind in _OF_PEOPLE]
        yield from people or [Step("approval", missing="no command of a person about it is in the audit")]
        yield from (Step("approval", entry, each) for entry, each in verdicts if each.at == "approval")
        gate = [Step("gate", entry, each) for entry, each in verdicts if each.at == "gate"]
        yield from gate[-1:] or [Step("gate", missing="no verdict of the gate about it is in the audit")]

    def _made(self, version: str) -> Iterator[Step]:
        candidates = [row for row in self._rows if isinstance(row[1], Candidate) and row[1].version == version]
        if not candidates:
            yield Step("candidate", missing="it is no candidate in the audit: somebody added it by hand")
            return
        entry, candidate = candidates[-1]
        assert isinstance(candidate, Candidate)
        yield Step("candidate", entry, candidate)
        yield from _newest("training", self._of(Training, candidate.retrain_id))
        yield from _newest("asked", self._of(RetrainRequest, candidate.retrain_id))

    def _of(self, kind: type[Training | RetrainRequest], retrain_id: str) -> list[tuple[AuditEntry, Record]]:
        return [(e, each) for e, each in self._rows if isinstance(each, kind) and each.retrain_id == retrain_id != ""]


def _newest(what: str, rows: Iterable[tuple[AuditEntry, Record]]) -> Iterator[Step]:
    found = [Step(what, *row) for row in rows]
    yield from found[-1:] or [Step(what, missing="not in the audit")]
