"""What the demo shows while it runs: predictions, live accuracy by airport, and what was noticed."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from leadline.foreign_text import shown
from leadline.records import Alert, DriftReport, Metric, RetrainRequest, Rollout, Training, Verdict, WindowMetrics

_LINES = 9


def day(time_ms: int) -> str:
    """The day of a time, such as Jun 13."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%b %d}"


def interval(metric: Metric | None) -> str:
    """A share with its interval."""
    if metric is None:
        return "-"
    span = "" if metric.low is None or metric.high is None else f" ({metric.low:.1%} to {metric.high:.1%})"
    return f"{metric.value:.1%}{span}"


@dataclass(slots=True)
class Screen:
    """Holds what came from the topics; `render` draws it. Without a terminal only events are printed, as they come."""

    console: Console
    reference: float
    rate: float = 0.0
    now_ms: int = 0
    windows: dict[tuple[str, int, str], WindowMetrics] = field(default_factory=dict)
    events: deque[Text] = field(default_factory=lambda: deque(maxlen=_LINES))
    drifted: dict[int, set[str]] = field(default_factory=dict)
    seen: set[tuple[str, ...]] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=lambda: {"alerts": 0, "retrain": 0})
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """The newest verdict at each place."""
    champion: str = ""
    rollouts: dict[str, str] = field(default_factory=dict)
    """The state of each rollout."""
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
                self._note("retrain", record.event_time, f"train {record.model} again: {record.cause}", "magenta")
            case Training() if self._new("training", record.state, record.message):
                self._training(record)
            case Verdict() if self._new("verdict", record.verdict_id):
                self.verdicts[record.at] = record
                self._note(record.at, self.now_ms, f"{record.version} {record.verdict}: {record.reason}", "blue")
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
                self._note(
                    "drift",
                    report.window_start,
                    f"{report.feature} moved: {report.method} {report.statistic:.2f} over {report.threshold:.2f}, p {report.p_value:.1g}",
                    "yellow",
                )

    def _alert(self, alert: Alert) -> None:
        self.counts["alerts"] += alert.state == "opened"
        if alert.state == "updated":
            return
        color = "red" if alert.state == "opened" else "green"
        self._note(
            "alert", alert.window_start, f"{alert.kind} of {alert.segment} {alert.state}: {alert.cause}"[:150], color
        )

    def _training(self, training: Training) -> None:
        if training.state in ("failed", "cancelled"):
            self.failed = training.message
        self._note("train", self.now_ms, f"{training.state}: {training.message}", "magenta")

    def _rollout(self, rollout: Rollout) -> None:
        self.champion = rollout.champion
        if rollout.rollout_id:
            self.rollouts[rollout.rollout_id] = rollout.state
        who = " and ".join([rollout.champion, *(f"{version} {share:.0%}" for version, share in rollout.shares.items())])
        state = f"{rollout.state}: " if rollout.state else ""
        self._note("answers", rollout.event_time, f"{state}{who} ({rollout.reason})", "green")

    def say(self, what: str, text: str) -> None:
        """Something that the demo itself does."""
        self._note(what, self.now_ms, text, "cyan")

    def accuracy(self, version: str) -> str:
        """How often a version was right of what is labelled, on its days."""
        days = [each for (segment, _, name), each in self.windows.items() if (segment, name) == ("*", version)]
        right, labelled = sum(each.tp + each.tn for each in days), sum(each.matched for each in days)
        if not labelled:
            return f"{version}: nothing is labelled"
        first, last = min(each.window_start for each in days), max(each.window_start for each in days)
        return f"{version}, {day(first)} to {day(last)}: {right / labelled:.1%} right of {labelled:,} that landed"

    def _note(self, what: str, time_ms: int, text: str, color: str) -> None:
        line = Text.assemble((f"{day(time_ms)}  ", "dim"), (f"{what:11}", f"bold {color}"), shown(text))
        self.events.append(line)
        if not self.console.is_terminal:
            self.console.print(line)

    def render(self) -> RenderableType:
        """The screen as it stands."""
        head = f"[bold]{day(self.now_ms)} 2013[/]   {self.predictions:,} predictions   {self.rate:,.0f}/s"
        head += f"   reference accuracy {self.reference:.1%}"
        lines = Group(*self.events) if self.events else Text("nothing yet", style="dim")
        return Group(Text.from_markup(head), self.table(), Panel(lines, title="noticed", title_align="left"))

    def table(self) -> Table:
        """The newest days by airport: first what is still coming in, then what is known."""
        names = ("airport", "day", "by", "state", "scored", "labels", "accuracy (95 % interval)", "AUC")
        table = Table(*names, box=SIMPLE_HEAD, pad_edge=False)
        for segment in sorted({segment for segment, _, _ in self.windows}):
            for key in sorted(each for each in self.windows if each[0] == segment)[-3:]:
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
            window.state[:6],
            f"{window.predictions:,}",
            coverage,
        ]
        return [*(Text(shown(cell)) for cell in cells), accuracy, Text(shown(auc))]
