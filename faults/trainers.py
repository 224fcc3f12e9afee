"""Trainers as processes, requests for them, and what has to be so of what they tell, whatever struck them."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from leadline.embedded.workers import Workers
from leadline.kafka import cluster
from leadline.kafka.sender import publish
from leadline.learning.limits import TRAINING_SETS
from leadline.learning.training.receipt import receipts
from leadline.records import Candidate, RetrainRequest, Training
from leadline.wire.codec import read

if TYPE_CHECKING:
    from faults.world import World

RECIPES = """
import time

from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline


def build(params):
    time.sleep(params["seconds"])
    return make_pipeline(make_column_transformer((SimpleImputer(), ["amount", "wind"])), LogisticRegression())
"""
SETTINGS = {"recipe": "fault_recipes:build", "params": {"seconds": 3}}
ENDS = ("succeeded", "failed", "cancelled")
_ENDS_S, _SOON_S = 120.0, 0.02


@dataclass
class Trainers:
    """Two trainers of model ``m``, and what was asked of them. ``struck``: how often one was killed, by the step."""

    world: "World"
    workers: Workers
    champion: dict[str, str]
    asked: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)

    @property
    def steps(self) -> dict[str, Callable[[], bool]]:
        """The steps of a training, and how one sees from outside that a trainer is at it."""
        folder = self.world.models / "m" / TRAINING_SETS
        versions, ended = set(self._versions()), self._said("a training succeeded")
        begun = self._said("a training begins")
        return {
            "begun": lambda: self._said("a training begins") > begun,
            "rows": lambda: any(folder.glob("work/*.arrow")),
            "fit": (folder / "work" / "job.json").is_file,
            "model": (folder / "work" / "model.skops").is_file,
            "version": lambda: set(self._versions()) > versions,
            "told": lambda: self._said("a training succeeded") > ended,
        }

    async def ask(self) -> str:
        """Ask for a training."""
        retrain_id = f"r{len(self.asked)}"
        self.asked.append(retrain_id)
        now_ms = self.world.traffic.now_ms
        request = RetrainRequest(retrain_id, "m", "v1", now_ms, "a fault wants it", "", {})
        await publish(self.world.bootstrap, self.world.prefix, "retrain-requests", request)
        return retrain_id

    async def reached(self, seen: Callable[[], bool]) -> None:
        """Wait until a trainer is at a step; raises TimeoutError."""
        async with asyncio.timeout(_ENDS_S):
            while not seen():  # noqa: ASYNC110 - nobody says when
                await asyncio.sleep(_SOON_S)

    async def ended(self, retrain_id: str) -> None:
        """Wait until a request has ended; raises TimeoutError."""
        async with asyncio.timeout(_ENDS_S):
            while not any(each.retrain_id == retrain_id and each.state in ENDS for each in await self._told()):  # noqa: ASYNC110
                await asyncio.sleep(0.5)

    def busy(self) -> int:
        """The pid of the trainer that said last that a training begins."""
        logs = [(path.stat().st_mtime_ns, path) for path in self._logs() if b"a training begins" in path.read_bytes()]
        return self.workers.pids[int(max(logs)[1].stem.rpartition("-")[2])]

    async def ends(self) -> dict[str, int]:
        """How many requests ended in which way."""
        last = {each.retrain_id: each.state for each in await self._told() if each.state in ENDS}
        return dict(Counter(last.values()))

    async def wrong(self) -> list[str]:
        """What is not as it has to be."""
        told = await self._told()
        candidates = [each for each in await self._records("candidates") if isinstance(each, Candidate)]
        found = [
            f"the champion's file {name} is another one"
            for name in _differing(self.champion, files_of(self.world, "v1"))
        ]
        found += two_at_once(told)
        for retrain_id in self.asked:
            states = {each.state for each in told if each.retrain_id == retrain_id and each.state in ENDS}
            made = {each.version for each in candidates if each.retrain_id == retrain_id}
            if len(states) != 1:
                found.append(f"{retrain_id} ended as {sorted(states)}")
            elif ("succeeded" in states) != (len(made) == 1):
                found.append(f"{retrain_id} {states.pop()} with the candidates {sorted(made)}")
        if [each.state for each in told if each.retrain_id == self.asked[-1]][-1:] != ["succeeded"]:
            found.append("the request after the fault did not succeed")
        of_requests = [each.retrain_id for each, _ in receipts(self.world.models, "m").values()]
        return found + [f"{each} has two versions" for each in self.asked if of_requests.count(each) > 1]

    def _versions(self) -> list[str]:
        return [path.name for path in (self.world.models / "m").glob("v*") if path.is_dir()]

    def _logs(self) -> list[Path]:
        return sorted(self.world.folder.glob("trainers/logs/*.log"))

    def _said(self, text: str) -> int:
        return sum(path.read_text("utf-8", "replace").count(text) for path in self._logs())

    async def _told(self) -> list[Training]:
        return [each for each in await self._records("trainings") if isinstance(each, Training)]

    async def _records(self, topic: str) -> list[object]:
        name = f"{self.world.prefix}.{topic}"
        return [read(topic, each.value) async for each in cluster.read_all(self.world.bootstrap, name)]


def files_of(world: "World", version: str) -> dict[str, str]:
    """The digests of the files of a version."""
    folder = world.models / "m" / version
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def _differing(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return sorted(name for name in before | now if before.get(name) != now.get(name))


def two_at_once(told: list[Training]) -> list[str]:
    """Trainings that began while another one of the model had no end, or as an attempt that was made before; in the order of the log."""
    found: list[str] = []
    open_: dict[str, int] = {}
    for each in told:
        if each.state in ENDS:
            open_.pop(each.retrain_id, None)
        elif each.state == "started":
            others = [name for name in open_ if name != each.retrain_id]
            if others or each.attempt <= open_.get(each.retrain_id, 0):
                found.append(f"attempt {each.attempt} at {each.retrain_id} began beside {others or 'the same one'}")
            open_[each.retrain_id] = each.attempt
    return found
