"""Leadline workers as child processes, started again when they die."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from leadline.embedded.child import Child
from leadline.embedded.errors import EmbeddedError
from leadline.settings.private import private_folder

_FAST_S = 30.0

Report = Callable[[str], None]

WORKER = (sys.executable, "-P", "-m", "leadline", "worker")
"""The command of a worker, without its steps."""


class Workers:
    """``count`` workers on the given steps, each with a folder of its own under ``state``.

    `tend` starts dead ones again, and gives up on one that dies at once more often in a row than ``patience``. ``command`` is another
    program than Leadline's worker, and ``name`` what it is called. What is not ``vital`` is given up alone. Nothing is imported from the
    folder where this process happens to be.
    """

    def __init__(
        self,
        count: int,
        steps: Sequence[str],
        environment: Mapping[str, str],
        state: Path,
        folder: Path,
        report: Report,
        command: Sequence[str] = WORKER,
        patience: int = 4,
        name: str = "worker",
        vital: bool = True,
    ) -> None:
        self._name = name
        self._command = [*command, *(f"--step={step}" for step in steps)]
        self._environment = {**os.environ, **environment}
        self._state = state
        self._folder = folder
        self._report = report
        self._patience = patience
        self._vital = vital
        self._given_up: set[int] = set()
        self._started_at = [0.0] * count
        self._fast_deaths = [0] * count
        self._children = [self._start(number) for number in range(count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in self._children]

    def tend(self) -> None:
        """Start workers that have died again; raises EmbeddedError with the end of the log when that does not help."""
        for number, child in enumerate(self._children):
            if child.running or number in self._given_up:
                continue
            fast = time.monotonic() - self._started_at[number] < _FAST_S and not child.killed
            self._fast_deaths[number] = self._fast_deaths[number] + 1 if fast else 0
            if self._fast_deaths[number] > self._patience:
                self._give_up(number, child)
                continue
            child.stop()
            self._children[number] = self._start(number)

    def _give_up(self, number: int, child: Child) -> None:
        message = f"{child.name} does not stay alive; the end of its log {child.log}:\n{child.last_lines()}"
        if self._vital:
            raise EmbeddedError(message)
        self._given_up.add(number)
        self._report(message)

    def stop(self) -> None:
        """Stop all workers; each finishes the run at hand."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.stop()

    def _start(self, number: int) -> Child:
        self._started_at[number] = time.monotonic()
        private_folder(self._folder)
        environment = {**self._environment, "LEADLINE_STATE": str(self._state / str(number))}
        log = self._folder / f"{self._name}-{number}.log"
        child = Child(f"{self._name} {number}", self._command, log, environment)
        self._report(f"{self._name} {number} runs as pid {child.pid}")
        return child
