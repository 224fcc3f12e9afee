"""The retraining stage: it hands what comes of a model to the table of states, and emits requests, refusals and answers.

A trainer works on the requests and tells what becomes of them; this stage reads that, and lets one be under way at a time. What it does
with a record depends on the records that it had before, in the order in which it had them, and on the rollouts that arrived before the
newest of them.
"""

from collections.abc import Iterator

import numpy as np
from pydantic import TypeAdapter

from leadline.core.models import Models
from leadline.core.processor import Batch, Effects, EventDriven, Glance, Output, Store
from leadline.core.scoring.routing import Deployments
from leadline.core.store_keys import RetrainingKeys
from leadline.core.watch.answers import Answers
from leadline.core.watch.retraining.machine import Emitted, Machine
from leadline.core.watch.retraining.of_model import OfModel
from leadline.core.watch.retraining.table import Effect
from leadline.core.watch.retraining.triggers import of_person
from leadline.core.windows.partials import EARLIEST
from leadline.records import (
    ACCEPTED,
    REFUSED,
    RETRAIN,
    Alert,
    Command,
    CommandAnswer,
    JoinCounts,
    Record,
    Training,
    WindowMetrics,
    brief,
)
from leadline.settings import ModelSettings

MOST_TIME = 1 << 61
_OF_MODEL = TypeAdapter(OfModel)


class Retraining(EventDriven):
    """The trainings of the models that are routed to this task."""

    def __init__(self, store: Store, models: Models, deployments: Deployments) -> None:
        self._store = store
        self._models = models
        self._deployments = deployments
        self._answers = Answers(store, RetrainingKeys.ANSWERS)
        self._held: dict[str, OfModel] = {}
        self._known: dict[str, bool] = {}

    def on_batch(self, batch: Batch) -> Effects:
        """What the records ask for, one record after the other."""
        self._held = {}
        self._known = {}
        found: dict[str, list[tuple[Record, int]]] = {}
        glances = batch.glances[::-1]
        for offset, record, arrival_ms in zip(
            batch.offsets.tolist(), batch.records, batch.arrival_ms.tolist(), strict=True
        ):
            while glances and glances[-1].offset < offset:
                self._glance(glances.pop())
            for topic, emitted in self._step(record, arrival_ms):
                found.setdefault(topic, []).append((emitted, arrival_ms))
        for glance in reversed(glances):
            self._glance(glance)
        for model, of in self._held.items():
            self._keep(RetrainingKeys.MODEL + model.encode(), _OF_MODEL.dump_json(of))
        return Effects([_output(topic, rows) for topic, rows in found.items()])

    def _keep(self, key: bytes, value: bytes) -> None:
        """Write a state where it has changed."""
        if self._store.get(key) != value:
            self._store.put(key, value)

    def _of(self, model: str) -> OfModel:
        if model not in self._held:
            value = self._store.get(RetrainingKeys.MODEL + model.encode())
            self._held[model] = OfModel() if value is None else _OF_MODEL.validate_json(value)
        return self._held[model]

    # -- what comes ---------------------------------------------------------------------------------------------------

    def _step(self, record: object, arrival_ms: int) -> list[Emitted]:
        match record:
            case Command():
                return self._command(record, arrival_ms) if record.kind == RETRAIN else []
            case Alert() | WindowMetrics() | JoinCounts() | Training():
                settings = self._models.settings(record.model)
                return [] if settings is None else list(self._seen(record, settings, arrival_ms))
        return []

    def _glance(self, glance: Glance) -> None:
        """Of the metrics of a window only the time is of account here."""
        _, model, time = glance
        if model not in self._known:
            self._known[model] = self._models.settings(model) is not None
        if self._known[model] and EARLIEST < time < MOST_TIME:
            self._of(model).pass_time(time)

    def _seen(
        self, record: Alert | WindowMetrics | JoinCounts | Training, settings: ModelSettings, arrival_ms: int
    ) -> Iterator[Emitted]:
        of, time = self._of(record.model), _time(record)
        if time is not None and EARLIEST < time < MOST_TIME:
            of.pass_time(time)
        if isinstance(record, WindowMetrics):
            return
        machine = Machine(record.model, of, settings)
        machine.know_champion(self._champion(record.model, arrival_ms))
        match record:
            case Alert():
                yield from machine.alert(record)
            case JoinCounts():
                yield from machine.counts(record)
            case Training():
                machine.training(record)

    def _champion(self, model: str, arrival_ms: int) -> str | None:
        """Who answered just before the newest record of the model came."""
        of = self._of(model)
        of.arrived(arrival_ms)
        return self._deployments.champion(model, before_ms=of.arrival_ms)

    # -- commands -----------------------------------------------------------------------------------------------------

    def _command(self, command: Command, arrival_ms: int) -> list[Emitted]:
        known = self._answers.known(command)
        if known is not None:
            return [("command-answers", known)]
        emitted: list[Emitted] = []
        said = self._asked(command, arrival_ms, emitted)
        answer = CommandAnswer(command.command_id, command.model, command.kind, *said, as_of=arrival_ms)
        self._answers.remember(command, answer)
        return [*emitted, ("command-answers", answer)]

    def _asked(self, command: Command, arrival_ms: int, emitted: list[Emitted]) -> tuple[str, str]:
        """Whether a person's wish is met, and what is said of it."""
        model, settings = command.model, self._models.settings(command.model)
        if settings is None:
            why = self._models.why_unusable(model)
            return REFUSED, why or f"no model is called {brief(model)} where the worker looks for models"
        if set(command.arguments) - {"force"} or command.arguments.get("force", "true") != "true":
            return REFUSED, "a retrain command takes no arguments but force = true"
        machine = Machine(model, self._of(model), settings)
        champion = self._champion(model, arrival_ms)
        machine.know_champion(champion)
        if champion is None:
            return REFUSED, f"no version of {brief(model)} answers: make one champion first"
        row, found = machine.trigger(of_person(command, champion))
        emitted += found
        if row.effect in (Effect.ASK, Effect.ASK_AGAIN) and machine.of.under_way is not None:
            return ACCEPTED, f"asked for as {machine.of.under_way.retrain_id}"
        return REFUSED, row.guard.why(machine.case)


def _time(record: Alert | WindowMetrics | JoinCounts | Training) -> int | None:
    """The time that a record tells: of the log that was read for it. A trainer has a clock of its own."""
    if isinstance(record, Alert):
        return max(record.window_end, record.at)
    return None if isinstance(record, Training) else record.as_of


def _output(topic: str, found: list[tuple[Record, int]]) -> Output:
    return Output(
        topic, records=[record for record, _ in found], arrival_ms=np.array([at for _, at in found], np.int64)
    )
