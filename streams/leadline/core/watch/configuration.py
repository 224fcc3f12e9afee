"""Changes the watch part of models' settings while workers run: the commands of the kind ``configure``, each answered.

A command that comes again, by its model and id, changes nothing and gets the answer that it had.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from leadline.core.models import Models
from leadline.core.processor import Batch, Effects, EventDriven, Output, Store
from leadline.core.store_keys import ConfigurationKeys
from leadline.core.watch.answers import Answers
from leadline.records import (
    ACCEPTED,
    CONFIGURE,
    REFUSED,
    Command,
    CommandAnswer,
    LiveSetting,
    LiveSettings,
    Record,
    brief,
)
from leadline.settings import ModelSettings, SettingsError, changed, check_live, in_force


class _Step(NamedTuple):
    """What became of a command: its answer, and what is in force now, where it changed that."""

    answer: CommandAnswer
    live: LiveSettings | None
    arrival_ms: int


class Configuration(EventDriven):
    """The live settings of the models that are routed to this task. Nobody else writes them."""

    def __init__(self, store: Store, models: Models) -> None:
        self._store = store
        self._models = models
        self._answers = Answers(store, ConfigurationKeys.ANSWERS)

    def on_batch(self, batch: Batch) -> Effects:
        """An answer to each command, and the settings that it changed before it."""
        timed = zip(batch.records, batch.arrival_ms.tolist(), strict=True)
        steps = [self._step(each, time) for each, time in timed if isinstance(each, Command) and each.kind == CONFIGURE]
        live = [(step.live, step.arrival_ms) for step in steps if step.live is not None]
        answers = [(step.answer, step.arrival_ms) for step in steps]
        found: dict[str, Sequence[tuple[Record, int]]] = {"model-settings": live, "command-answers": answers}
        return Effects([_output(topic, rows) for topic, rows in found.items() if rows])

    def _step(self, command: Command, arrival_ms: int) -> _Step:
        known = self._answers.known(command)
        if known is not None:
            return _Step(known, None, arrival_ms)
        live = None
        try:
            live = self._changed(command, arrival_ms)
            said = (ACCEPTED, _said(command))
        except SettingsError as error:
            said = (REFUSED, str(error))
        if live is not None:
            self._store.put(_live_key(command.model), json.dumps(asdict(live)).encode())
        return _Step(self._answers.give(command, *said, arrival_ms), live, arrival_ms)

    def _changed(self, command: Command, arrival_ms: int) -> LiveSettings:
        """What is in force after a command. Raises SettingsError where it is refused."""
        settings = self._settings(command)
        check_live(command.arguments)
        before = self._live(command.model)
        rest = [each for each in before.settings if each.key not in command.arguments] if before else []
        by = (command.actor, command.reason, command.command_id)
        new = [LiveSetting(key, text, *by, arrival_ms) for key, text in command.arguments.items() if text]
        changed(in_force(settings, _texts(rest)), _texts(new))
        found = sorted([*rest, *new], key=lambda each: each.key)
        return LiveSettings(command.model, found, *by, before.revision + 1 if before else 1, arrival_ms)

    def _settings(self, command: Command) -> ModelSettings:
        if not command.arguments:
            raise SettingsError("nothing is to be changed: name a key and its value")
        settings = self._models.settings(command.model)
        if settings is None:
            why = self._models.why_unusable(command.model)
            raise SettingsError(why or f"no model is called {brief(command.model)} where the worker looks for models")
        return settings

    def _live(self, model: str) -> LiveSettings | None:
        held = self._store.get(_live_key(model))
        if held is None:
            return None
        fields = json.loads(held)
        return LiveSettings(**fields | {"settings": [LiveSetting(**each) for each in fields["settings"]]})


def _said(command: Command) -> str:
    """What an accepted command changed.

    >>> _said(Command("c", CONFIGURE, "m", "ada", "calm", {"alerts.margin": "0.1", "runbook": ""}, 0))
    'alerts.margin = 0.1, runbook as in model.toml'
    """
    return ", ".join(
        f"{key} = {text}" if text else f"{key} as in model.toml" for key, text in command.arguments.items()
    )


def _texts(settings: list[LiveSetting]) -> dict[str, str]:
    return {each.key: each.value for each in settings}


def _output(topic: str, found: Sequence[tuple[Record, int]]) -> Output:
    return Output(
        topic, records=[record for record, _ in found], arrival_ms=np.array([at for _, at in found], np.int64)
    )


def _live_key(model: str) -> bytes:
    return ConfigurationKeys.LIVE + model.encode()
