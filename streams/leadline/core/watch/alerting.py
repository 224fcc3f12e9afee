"""The alerting stage: it hands what comes of a model to the detectors of its versions, and emits what they find.

Only the version that answers has incidents: by the table of rollouts, as it was when the window became due. All is judged record by record,
so that it makes no difference how the log is cut.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from leadline.core.models import Models
from leadline.core.processor import Batch, Effects, EventDriven, Output, Store
from leadline.core.scoring.routing import Deployments
from leadline.core.store_keys import AlertingKeys
from leadline.core.tables import Table
from leadline.core.watch import attention, refusals, rollout_incidents
from leadline.core.watch.answers import Answers
from leadline.core.watch.confirmed import Confirmed, Scale
from leadline.core.watch.drift_incidents import Drifting
from leadline.core.watch.early import Early
from leadline.core.watch.feeds import usual_silence
from leadline.core.watch.incidents import Finding, Incident, Incidents
from leadline.core.watch.known import Known, OfVersion
from leadline.core.watch.waiting import Block, Windows, counts_now, mature_counts, prefix_of
from leadline.core.watch.yardstick import Yardstick, yardstick
from leadline.core.windows.partials import EARLIEST
from leadline.records import (
    ACCEPTED,
    REFUSED,
    Alert,
    Command,
    CommandAnswer,
    DriftReport,
    JoinCounts,
    Verdict,
    WindowMetrics,
    brief,
)
from leadline.settings import ModelSettings, SettingsError

MOST_TIME = 1 << 61


class Alerting(EventDriven):
    """The incidents of the models that are routed to this task."""

    def __init__(self, store: Store, models: Models, deployments: Deployments, workers: Table | None = None) -> None:
        self._store = store
        self._workers = workers or Table()
        self._minute = 0
        self._models = models
        self._deployments = deployments
        self._yards: dict[tuple[str, str], tuple[ModelSettings, Yardstick | None]] = {}
        self._windows = Windows(store)
        self._said = Answers(store, AlertingKeys.ANSWERS)
        self._known = Known(store)

    def on_batch(self, batch: Batch) -> Effects:
        """What the records change, one record after the other. An alert arrives with its cause."""
        steps = [
            (self._step(record, arrival_ms), arrival_ms)
            for record, arrival_ms in zip(batch.records, batch.arrival_ms.tolist(), strict=True)
        ]
        self._windows.keep()
        self._known.keep()
        told = [(record, time) for found, time in steps for record in found]
        alerts = [each for each in told if isinstance(each[0], Alert)]
        answers = [each for each in told if isinstance(each[0], CommandAnswer)]
        found = {"alerts": alerts, "command-answers": answers}
        return Effects([_output(topic, rows) for topic, rows in found.items() if rows])

    @property
    def wake_at_ms(self) -> int | None:
        """The next minute, where there are workers who tell of themselves."""
        return self._minute + refusals.EVERY_MS if self._workers.all_keys() else None

    def on_time(self, now_ms: int, idle: frozenset[str]) -> Effects:  # noqa: ARG002 - it is of the clock alone
        """What has become of requests, as of the last whole minute."""
        minute = now_ms // refusals.EVERY_MS * refusals.EVERY_MS
        if minute <= self._minute:
            return Effects()
        self._minute = minute
        found = [(alert, minute) for model in self._known.models() for alert in self._refusals(model, minute)]
        self._known.keep()
        return Effects([_output("alerts", found)] if found else [])

    def _refusals(self, model: str, at: int) -> list[Alert]:
        settings = self._models.settings(model)
        if settings is None:
            return []
        version, held = self._deployments.champion(model, before_ms=at) or "", self._known.model(model).open
        incidents = self._incidents(model, version, settings, held, at)
        return refusals.judge(self._workers, model, settings.alerts.dead_letters, at, incidents)

    def _step(self, record: object, at: int) -> Sequence[Alert | CommandAnswer]:
        if isinstance(record, Command):
            return self._command(record, at) if record.kind in attention.KINDS else []
        if isinstance(record, Verdict):
            return self._rollout(record, at)
        if not isinstance(record, WindowMetrics | JoinCounts | DriftReport):
            return []
        settings = self._models.settings(record.model)
        if settings is None or not _is_possible(record):
            return []
        alerts = self._silences_over(record.model, settings, at)
        if isinstance(record, DriftReport):
            return alerts + self._drift(record, settings, at)
        if isinstance(record, JoinCounts):
            return alerts + self._counts(record, settings, at)
        return alerts + self._metrics(record, settings, at)

    # -- commands -----------------------------------------------------------------------------------------------------

    def _command(self, command: Command, at: int) -> Sequence[Alert | CommandAnswer]:
        """Do what is asked, and answer; a command that comes again gets the answer that it had, and does nothing."""
        given = self._said.known(command)
        if given is not None:
            return [given]
        try:
            settings = self._usable(command.model)
            silences, everything = (
                self._known.model(command.model).silences,
                self._everything(command.model, settings, at),
            )
            said, alerts = attention.obey(command, silences, everything, at)
        except SettingsError as error:
            return [self._said.give(command, REFUSED, str(error), at)]
        return [*alerts, self._said.give(command, ACCEPTED, said, at)]

    def _usable(self, model: str) -> ModelSettings:
        settings = self._models.settings(model)
        if settings is None:
            why = self._models.why_unusable(model)
            raise SettingsError(why or f"no model is called {brief(model)} where the worker looks for models")
        return settings

    def _silences_over(self, model: str, settings: ModelSettings, at: int) -> list[Alert]:
        """What is told again because a silence has ended by itself."""
        if not self._known.model(model).silences.end(at):
            return []
        return attention.heed(self._everything(model, settings, at))

    def _everything(self, model: str, settings: ModelSettings, at: int) -> list[Incidents]:
        """The open incidents of a model, and of each of its versions."""
        of = self._known.model(model)
        champion = self._deployments.champion(model) or ""
        versions = [(version, self._known.version(model, version).open) for version in of.versions]
        return [
            self._incidents(model, version, settings, held, at) for version, held in [(champion, of.open), *versions]
        ]

    # -- what comes ---------------------------------------------------------------------------------------------------

    def _rollout(self, verdict: Verdict, at: int) -> list[Alert]:
        """What becomes of the incident of a rollout. It is of the version that was to become champion."""
        settings = self._models.settings(verdict.model)
        if settings is None or verdict.at not in rollout_incidents.AT or abs(verdict.as_of) >= MOST_TIME:
            return []
        held = self._known.model(verdict.model).open
        return rollout_incidents.judge(verdict, self._incidents(verdict.model, verdict.version, settings, held, at), at)

    def _drift(self, record: DriftReport, settings: ModelSettings, at: int) -> list[Alert]:
        known = self._models.version(record.model, record.model_version)
        if known is None or known.profile is None:
            return []
        watch = self._known.watched(record.model, record.model_version)
        incidents = self._incidents(record.model, record.model_version, settings, watch.open, at)
        if not self._answers(record.model, record.model_version, record.window_end):
            return []
        return watch.drifting.take(record, settings, incidents, at)

    def _counts(self, record: JoinCounts, settings: ModelSettings, at: int) -> list[Alert]:
        of = self._known.model(record.model)
        of.watermark, of.clock = record.as_of, max(of.clock, record.as_of)
        if record.revision > of.revision:
            of.revision = record.revision
            self._expect(record, settings)
        alerts = self._feeds(record, settings, at) if record.as_of > EARLIEST else []
        return alerts + [
            alert for version in of.versions for alert in self._advance(record.model, version, settings, at)
        ]

    def _expect(self, counts: JoinCounts, settings: ModelSettings) -> None:
        """Windows have become mature: metrics of all their partitions will come, or have."""
        model, size = counts.model, settings.window
        for version, start, predictions in ((w.model_version, w.window_start, w.predictions) for w in counts.matured):
            if abs(start) < MOST_TIME and 0 < predictions < MOST_TIME and self._yard(model, version, settings):
                waiting = self._known.watched(model, version).waiting
                waiting.expect(self._windows, prefix_of(model, version), start, start + size, predictions)

    def _metrics(self, record: WindowMetrics, settings: ModelSettings, at: int) -> list[Alert]:
        model, version = record.model, record.model_version
        of = self._known.model(model)
        of.clock = max(of.clock, record.as_of)
        yard = self._yard(model, version, settings)
        if yard is None:
            return []
        watch = self._known.watched(model, version)
        if watch.waiting.judged_to is not None and record.window_start < watch.waiting.judged_to:
            return self._corrected(record, watch, Scale(yard, settings), at)
        is_ready, alerts = watch.waiting.take(self._windows, prefix_of(model, version), record), list[Alert]()
        if record.segment == "*" and self._answers(model, version, record.window_end):
            incidents = self._incidents(model, version, settings, watch.open, at)
            drift = watch.drifting.evidence(incidents)
            alerts += watch.early.look(record, Scale(yard, settings), incidents, drift, at)
        return alerts + (self._advance(model, version, settings, at) if is_ready else [])

    def _feeds(self, counts: JoinCounts, settings: ModelSettings, at: int) -> list[Alert]:
        """What has stopped, or comes again. Only counts tell: a window that comes before them knows of no later record."""
        model, of = counts.model, self._known.model(counts.model)
        champion = self._deployments.champion(model)
        version = champion or (of.versions[-1] if of.versions else "")
        known = self._models.version(model, version)
        incidents = self._incidents(model, version, settings, of.open, at)
        alerts = of.feeds.take(counts, incidents)
        if self._yard(model, version, settings) is None:
            return alerts
        return alerts + of.feeds.judge(settings, usual_silence(known.profile if known is not None else None), incidents)

    # -- what is due --------------------------------------------------------------------------------------------------

    def _advance(self, model: str, version: str, settings: ModelSettings, at: int) -> list[Alert]:
        """Judge the blocks that are due, the oldest first."""
        of, watch, prefix = self._known.model(model), self._known.version(model, version), prefix_of(model, version)
        if not watch.waiting.starts:
            return []
        take = partial(watch.waiting.next_block, self._windows, prefix, settings, of.watermark, of.clock)
        return [alert for block in iter(take, None) for alert in self._judge(model, version, settings, block, at)]

    def _judge(self, model: str, version: str, settings: ModelSettings, block: Block, at: int) -> list[Alert]:
        watch, yard = self._known.version(model, version), self._yard(model, version, settings)
        assert yard is not None
        incidents, scale = self._incidents(model, version, settings, watch.open, at), Scale(yard, settings)
        at = block.start + scale.size + settings.mature_after
        if not self._answers(model, version, block.start + scale.size + settings.horizon):
            watch.confirmed, watch.early, watch.drifting = Confirmed(), Early(), Drifting()
            return _give_up(block, incidents, at)
        alerts = watch.confirmed.judge(block, scale, incidents, watch.drifting.evidence(incidents), at)
        final = block.start - (settings.grace or 0)
        if yard.metric != "auc" and settings.grace is not None:
            watch.confirmed.performance.forget(yard, final)
        return alerts + watch.early.confirm(block, scale, incidents, at)

    def _corrected(self, record: WindowMetrics, watch: OfVersion, scale: Scale, at: int) -> list[Alert]:
        """A judged window, as it is now known: it may take an incident back, and opens none."""
        if mature_counts(record) is None or not watch.confirmed.performance.recent:
            return []
        size = scale.size
        start = record.window_start // size * size
        block = Block(start, start + size, [])
        if not watch.confirmed.corrected(scale, block, record.window_start, record.segment, counts_now(record)):
            return []
        found = Finding("performance", start, block.end, "corrected labels do not confirm it", {}, ["*"])
        incidents = self._incidents(record.model, record.model_version, scale.settings, watch.open, at)
        return incidents.close("quality", "withdrawn", found, at)

    # -- who is watched, by what --------------------------------------------------------------------------------------

    def _answers(self, model: str, version: str, before_ms: int) -> bool:
        """Whether a version answered just before a time; any does where no rollout tells."""
        return self._deployments.champion(model, before_ms=before_ms) in (None, version)

    def _yard(self, model: str, version: str, settings: ModelSettings) -> Yardstick | None:
        """What a version is judged by; None where it has no reference. It changes with the settings alone."""
        before, yard = self._yards.get((model, version), (None, None))
        if before is not settings:
            known = self._models.version(model, version)
            yard = yardstick(None if known is None else known.profile, settings)
            if known is not None:
                self._yards[model, version] = settings, yard
        return yard

    def _incidents(
        self, model: str, version: str, settings: ModelSettings, held: dict[str, Incident], at: int
    ) -> Incidents:
        return Incidents(model, version, settings.runbook, held, self._known.model(model).silences, at)


def _output(topic: str, told: Sequence[tuple[Alert | CommandAnswer, int]]) -> Output:
    arrival_ms = np.array([time for _, time in told], np.int64)
    return Output(topic, records=[record for record, _ in told], arrival_ms=arrival_ms)


def _is_possible(record: WindowMetrics | JoinCounts | DriftReport) -> bool:
    """Whether its times are such that windows around them have times too."""
    times = [record.as_of] if isinstance(record, JoinCounts) else [record.as_of, record.window_start, record.window_end]
    return all(abs(time) < MOST_TIME for time in times)


def _give_up(block: Block, incidents: Incidents, at: int) -> list[Alert]:
    """Another version answers: what is open of this one is over."""
    alerts: list[Alert] = []
    for cause in sorted(incidents.held):
        kind = incidents.held[cause].kind
        found = Finding(kind, block.start, block.end, "another version answers now", {})
        alerts += incidents.close(cause, "resolved", found, at)
    return alerts
