"""The whole of a rollout, in the order in which it was decided."""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from leadline.core.release.story import told
from leadline.core.release.story.heard import Heard, Tally, assignments
from leadline.core.release.story.told import Told
from leadline.records import ABORT, PAUSE, PROMOTE, RESUME, ROLL_BACK, START, Rollout, Verdict, iso

ENDS = ("settled", "aborted", "rolled-back", "rejected")
PLACES = ("shadow", "canary", "ab", "watch")
_BEFORE = ("gate", "approval")
_ASKED = (START, PAUSE, RESUME, PROMOTE, ABORT, ROLL_BACK)
_ORDER = ("command", "verdict", "change", "incident")
_FOR_EVER = 1 << 62


class Story(NamedTuple):
    """A rollout. ``state``: the one that it is in, or ended in; ``missing``: what the log does not tell any more."""

    model: str
    rollout_id: str
    champion: str
    challenger: str
    state: str
    began: int
    ended: int | None
    tally: Tally
    told: list[Told]
    missing: list[str]


def story(heard: Heard, rollout_id: str) -> Story | None:
    """The story of a rollout; None where the log knows none of that name."""
    rows = heard.of(rollout_id)
    if not rows:
        return None
    return _Telling(heard, rollout_id, rows).story()


def summary(found: Story) -> Iterator[str]:
    """A story in short: what it is about, how it ended, and what the pairs say."""
    ended = "is under way" if found.ended is None else f"ended {iso(found.ended)}"
    yield f"{found.model}: rollout {found.rollout_id} of {found.challenger or 'several versions'} beside {found.champion}"
    yield f"It began {iso(found.began)} and {ended}: {found.state}."
    tally = found.tally
    if tally.pairs:
        right = f"{found.challenger} alone was right in {tally.better:,}, {found.champion} alone in {tally.worse:,}"
        yield f"Of {tally.pairs:,} requests that both scored, {right}; in {tally.same:,} they did not differ."


class _Telling:
    """One rollout, while it is told."""

    def __init__(self, heard: Heard, rollout_id: str, rows: list[Rollout]) -> None:
        self._heard = heard
        self._id = rollout_id
        self._rows = rows
        self._remembered = assignments(rows, rollout_id)
        named = {each.challenger for each in rows} | {name for each in rows for name in each.shares}
        self._versions = named - {""}
        self._causes = {each.cause for each in rows} - {""}
        self._began = min([each.event_time for each in rows] + [each.effective_at for each in self._remembered])
        is_over = rows[-1].rollout_id != rollout_id
        self._ended = rows[-1].event_time if is_over else None

    def story(self) -> Story:
        first, last = self._rows[0], self._rows[-1]
        champion = self._remembered[0].champion if self._remembered else first.champion
        challenger = next((each.challenger for each in self._rows if each.challenger), "")
        parts = [*self._commands(), *self._looks(), *self._changes(), *self._incidents()]
        parts += map(told.remembered, self._remembered)
        return Story(
            self._heard.model,
            self._id,
            champion,
            challenger,
            last.state or "ended",
            self._began,
            self._ended,
            self._heard.tally(self._id, challenger),
            sorted(parts, key=lambda each: (each.at, _ORDER.index(each.kind))),
            list(self._missing()),
        )

    def _is_during(self, at: int) -> bool:
        return self._began <= at <= (_FOR_EVER if self._ended is None else self._ended)

    def _commands(self) -> Iterator[Told]:
        """What was asked during the rollout, also what was refused; and what began it."""
        for asked in self._heard.commands.values():
            each = told.command(asked, self._heard.answers.get(asked.command_id))
            if asked.command_id in self._causes or (asked.kind in _ASKED and self._is_during(each.at)):
                yield each

    def _changes(self) -> Iterator[Told]:
        """What held from when on. Where a verdict of the same moment has told why, that is not told again."""
        said = {(each.as_of, each.reason) for each in self._heard.verdicts if each.cause == self._id}
        for each in self._rows:
            yield told.change(each, why=(each.event_time, each.reason) not in said)

    def _looks(self) -> Iterator[Told]:
        """The verdicts; where one after the other says the same at the same place, the first and the last of them."""
        ordered = sorted(self._verdicts(), key=lambda each: each.as_of)
        changes = sorted(each.event_time for each in self._rows)

        def alike(each: Verdict) -> tuple[str, str, str, int]:
            return each.at, each.verdict, each.version, sum(at < each.as_of for at in changes)

        for _, group in groupby(ordered, alike):
            run = list(group)
            yield told.verdict(run[0])
            if len(run) > 1:
                yield told.verdicts(run[1], run[-1], len(run) - 1) if len(run) > 2 else told.verdict(run[1])

    def _verdicts(self) -> Iterator[Verdict]:
        """Those that name the rollout, and the newest on its versions that let it in."""
        for place in _BEFORE:
            before = [each for each in self._heard.verdicts if each.at == place and each.as_of <= self._began]
            yield from [each for each in before if each.version in self._versions][-1:]
        during = (each for each in self._heard.verdicts if each.at in PLACES and each.cause == self._id)
        yield from (each for each in during if not self._only_begins(each))

    def _only_begins(self, found: Verdict) -> bool:
        """Whether a verdict says no more than that the rollout begins, which the change of that moment tells."""
        at_once = (each.reason for each in self._rows if each.event_time == found.as_of)
        return not found.checks and any(found.reason.endswith(f": {reason}") for reason in at_once)

    def _incidents(self) -> Iterator[Told]:
        """Those that name the rollout."""
        for alert in self._heard.alerts:
            if alert.kind == "rollout" and alert.evidence.get("rollout") == self._id:
                yield told.incident(alert)

    def _missing(self) -> Iterator[str]:
        """What there must have been: each change of a model counts one up, and knows what held before it."""
        for before, after in zip(self._rows, self._rows[1:], strict=False):
            lost = after.revision - before.revision - 1
            if lost > 0:
                yield f"{lost} changes between {iso(before.event_time)} and {iso(after.event_time)} are not in the log"
        first = self._rows[0]
        if first.earlier and first.earlier[0].rollout_id == self._id:
            yield f"how it began, before {iso(first.event_time)}, is not in the log"
        for each in sorted(self._causes - self._named()):
            yield f"the verdict or command {each}, of which a change came, is not in the log"

    def _named(self) -> set[str]:
        return {each.verdict_id for each in self._heard.verdicts} | self._heard.commands.keys()
