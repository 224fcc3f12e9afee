"""What the demo shows while it runs: predictions, live accuracy by airport, and what was noticed."""

import textwrap
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from leadline.core.release.story import PLACES
from leadline.core.release.story.told import change
from leadline.foreign_text import shown
from leadline.records import Alert, DriftReport, Metric, RetrainRequest, Rollout, Training, Verdict, WindowMetrics

_LINES, _CHARS = 9, 1000
_BEFORE = 20
"""So many columns before the words of a note."""
_TALL = 40
"""From so many lines of the terminal on each airport has three rows of the table, and one below."""


class Note(NamedTuple):
    """A line of what was noticed."""

    day: str
    what: str
    text: str
    color: str


def day(time_ms: int) -> str:
    """The day of a time, such as Jun 13."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%b %d}"


def interval(metric: Metric | None) -> str:
    """A share with its interval."""
    if metric is None:
        return "-"
    span = "" if metric.low is None or metric.high is None else f" ({metric.low:.1%} to {metric.high:.1%})"
    return f"{metric.value:.1%}{span}".replace("% to", " to")


@dataclass(slots=True)
class Screen:
    """Holds what came from the topics; `render` draws it. Without a terminal only notes are printed, as they come.

    A note has the day on which it came, so that they are in order; where that says something, the day that it is about is in its words.
    """

    console: Console
    reference: float
    rate: float = 0.0
    now_ms: int = 0
    windows: dict[tuple[str, int, str], WindowMetrics] = field(default_factory=dict)
    notes: deque[Note] = field(default_factory=lambda: deque(maxlen=_LINES))
    drifted: dict[int, set[str]] = field(default_factory=dict)
    seen: set[tuple[str, ...]] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=lambda: {"incidents": 0, "retrain": 0})
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """The newest verdict at each place."""
    champion: str = ""
    rollouts: dict[str, str] = field(default_factory=dict)
    """The state of each rollout."""
    state: str = ""
    """That of the newest one."""
    reasons: set[str] = field(default_factory=set)
    """Why something was decided, as it was told."""
    failed: str = ""
    """Why a training came to nothing."""

    @property
    def predictions(self) -> int:
        """How many the live windows have counted."""
        return sum(window.predictions for (segment, _, _), window in self.windows.items() if segment == "*")

    def take(self, record: object) -> None:
        """A record came from one of the topics that are watched."""
        match record:
            case WindowMetrics():
                window = record.segment, record.window_start, record.model_version
                if window not in self.windows or record.revision >= self.windows[window].revision:
                    self.windows[window] = record
            case DriftReport() if record.drifted:
                self._drift(record)
            case Alert() if self._new("alert", record.alert_id, record.state, str(record.window_start)):
                self._alert(record)
            case RetrainRequest() if self._new("retrain", record.retrain_id):
                self.counts["retrain"] += 1
                self._note("retrain", f"a training of {record.model} is asked for: {record.cause}", "magenta")
            case Training() if self._new("training", record.state, record.message):
                self._training(record)
            case Verdict() if self._new("verdict", record.verdict_id):
                self.verdicts[record.at] = record
                self._verdict(record)
            case Rollout() if self._new("rollout", str(record.revision)):
                self._rollout(record)

    def _new(self, *identity: str) -> bool:
        fresh = identity not in self.seen
        self.seen.add(identity)
        return fresh

    def _drift(self, report: DriftReport) -> None:
        features = self.drifted.setdefault(report.window_start, set())
        if report.feature not in features:
            features.add(report.feature)
            if self._new("drift", report.feature):
                far = f"{report.method} {report.statistic:.2f}, limit {report.threshold:.2f}"
                text = f"{report.feature} on {day(report.window_start)} is not distributed as in March: {far}"
                self._note("drift", text, "yellow")

    def _alert(self, alert: Alert) -> None:
        self.counts["incidents"] += alert.state == "opened"
        if alert.state == "updated":
            return
        opened = alert.state == "opened"
        segment = "" if alert.segment == "*" else f" of {alert.segment}"
        state = f"{alert.state}, {alert.severity}" if opened else alert.state
        text = f"{alert.kind}{segment} {state}, day {day(alert.window_start)}: {alert.cause}"
        self._note("incident", text, "red" if opened else "green")

    def _training(self, training: Training) -> None:
        if training.state in ("failed", "cancelled"):
            self.failed = training.message
        self._note("training", f"{training.state}: {training.message}", "magenta")

    def _rollout(self, rollout: Rollout) -> None:
        self.champion, self.state = rollout.champion, rollout.state
        if rollout.rollout_id:
            self.rollouts[rollout.rollout_id] = rollout.state
        self._note("rollout", change(rollout, why=not self._is_told(rollout.reason)).text, "green")

    def _verdict(self, verdict: Verdict) -> None:
        """One that says no more than that the rollout begins is left out: the rollout tells that."""
        by = f", by {verdict.actor}" if verdict.actor else ""
        if not self._is_told(verdict.reason) or verdict.at not in PLACES:
            self._note(verdict.at, f"{verdict.verdict} {verdict.version}{by}: {verdict.reason}", "blue")

    def _is_told(self, reason: str) -> bool:
        """Whether the reason stands in a note already; from now on it does."""
        found = any(reason.endswith(each) for each in self.reasons)
        self.reasons.add(reason)
        return bool(reason) and found

    def say(self, what: str, text: str) -> None:
        """Something that the demo itself does."""
        self._note(what, text, "cyan")

    def accuracy(self, version: str) -> str:
        """How often a version was right of what is labelled, on its days."""
        days = [each for (segment, _, name), each in self.windows.items() if (segment, name) == ("*", version)]
        right, labelled = sum(each.tp + each.tn for each in days), sum(each.matched for each in days)
        if not labelled:
            return f"{version}: nothing is labelled"
        first, last = min(each.window_start for each in days), max(each.window_start for each in days)
        return f"{version}, {day(first)} to {day(last)}: {right / labelled:.1%} right of {labelled:,} that landed"

    def _note(self, what: str, text: str, color: str) -> None:
        note = Note(day(self.now_ms), what, shown(text, _CHARS), color)
        self.notes.append(note)
        if not self.console.is_terminal:
            self.console.print(_lines([note], self.console.width))

    def render(self) -> RenderableType:
        """The screen as it stands: the newest that the terminal has room for."""
        table = self.table(3 if self.console.height >= _TALL else 1)
        room = self.console.height - table.row_count - 8
        notes = _lines(self._newest(room), self.console.width - 4) if self.notes else Text("nothing yet", style="dim")
        return Group(self.head(), table, Panel(notes, title="noticed", title_align="left"))

    def result(self) -> RenderableType:
        """What stands at the end, below the notes that were printed."""
        return Group(Text(), self.head(), self.table(3))

    def head(self) -> Text:
        """The day, and how much was scored."""
        head = f"[bold]{day(self.now_ms)} 2013[/]   {self.predictions:,} predictions   {self.rate:,.0f}/s"
        return Text.from_markup(f"{head}   reference accuracy {self.reference:.1%}")

    def _newest(self, room: int) -> list[Note]:
        """The newest notes that go into so many lines; the last one in any case."""
        found = list[Note]()
        for note in reversed(self.notes):
            room -= len(_wrapped(note, self.console.width - 4))
            if room < 0 and found:
                break
            found.insert(0, note)
        return found

    def table(self, rows: int) -> Table:
        """The newest days by airport, so many rows of each: first what is still coming in, then what is known."""
        names = ("airport", "day", "by", "state", "scored", "labels", "accuracy (95 %)", "AUC")
        table = Table(*names, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for segment in sorted({segment for segment, _, _ in self.windows}):
            for key in sorted(each for each in self.windows if each[0] == segment)[-rows:]:
                table.add_row(*self._row(self.windows[key]))
        return table

    def _row(self, window: WindowMetrics) -> list[Text]:
        name = "all" if window.segment == "*" else window.segment.removeprefix("origin=")
        coverage = "-" if window.coverage is None else f"{window.coverage:.0%}"
        auc = "-" if window.auc is None else f"{window.auc.value:.3f}"
        bad = (
            window.accuracy is not None
            and window.accuracy.high is not None
            and window.accuracy.high < self.reference - 0.05
        )
        accuracy = Text(shown(interval(window.accuracy)), "red" if bad else "")
        cells = [
            name,
            day(window.window_start),
            window.model_version,
            window.state,
            f"{window.predictions:,}",
            coverage,
        ]
        return [*(Text(shown(cell)) for cell in cells), accuracy, Text(shown(auc))]


def _wrapped(note: Note, width: int) -> list[str]:
    """The words of a note on as many lines as they need, beside its day and what it is about."""
    return textwrap.wrap(note.text, max(width - _BEFORE, 20), break_on_hyphens=False) or [""]


def _lines(notes: list[Note], width: int) -> Text:
    """Notes, one below the other: the words of each in a column of their own."""
    lines = list[Text]()
    for note in notes:
        first, *more = _wrapped(note, width)
        lines.append(Text.assemble((f"{note.day:8}", "dim"), (f"{note.what:12}", f"bold {note.color}"), first))
        lines += [Text(" " * _BEFORE + each) for each in more]
    return Text("\n").join(lines)
