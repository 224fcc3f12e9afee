"""Pairs that are drawn, judged by the rollout stage itself: its verdicts as it writes them, through its codec and its state."""

from collections.abc import Iterable, Iterator

from benchmarks.drawn_pairs import Cell, Day
from benchmarks.judged import Judged
from benchmarks.rollout_world import CHALLENGER, CHAMPION, MODEL, Challenger, OneModel
from leadline.records import PROMOTE, START, Command, Record, Verdict
from leadline.testing.driver import Driver
from leadline.topology import step
from leadline.wire.codec import key_of, read, value_of

_PLACES = ("shadow", "canary", "watch")


class _Stage:
    """A rollout that a person has begun; by default settings it goes from shadow through its steps."""

    def __init__(self, cell: Cell) -> None:
        self._driver = Driver(OneModel(cell.settings, Challenger()), [step("rollout")])
        self._read = 0
        for kind, version in ((PROMOTE, CHAMPION), (START, CHALLENGER)):
            self._publish("commands", Command(kind, kind, MODEL, "ann", "to see", {"version": version}, 0), 0)

    def judge(self, day: Day) -> Judged:
        """What the stage says at the end of a day, where that decides."""
        for each in day.partials:
            self._publish("pair-partials", each, day.now)
        self._driver.pass_time(day.now)
        said = next((each for each in self._verdicts() if each.verdict in ("promote", "roll-back")), None)
        if said is None:
            return Judged("hold", 0)
        pairs = next((check.value for check in said.checks if check.name == "pairs"), None)
        return Judged(said.verdict, int(pairs or 0))

    def _publish(self, topic: str, record: Record, at_ms: int) -> None:
        self._driver.publish(topic, key_of(topic, record), value_of(record), at_ms)
        self._driver.settle()

    def _verdicts(self) -> Iterator[Verdict]:
        """Those since the last time."""
        rows = self._driver.topics["verdicts", 0]
        for _, value, _, _ in rows[self._read :]:
            record = read("verdicts", value or b"")
            if isinstance(record, Verdict) and record.at in _PLACES:
                yield record
        self._read = len(rows)


def fed(days: Iterable[Day], cell: Cell, spent: float = 0.0) -> Iterator[Judged]:
    """What the stage says at the end of each day; it knows itself what was spent."""
    assert not spent
    stage = _Stage(cell)
    for day in days:
        yield stage.judge(day)
