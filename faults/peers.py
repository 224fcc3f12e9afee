"""Plain Faust and Quix Streams under the same faults: the join and its counts on a backlog, and what is missing or too much at the end."""

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from benchmarks.data import JoinAnswer, join_logs
from benchmarks.measure import PARTITIONS, publish
from benchmarks.shapes import STARTS

from faults.kinds import KINDS
from faults.world import World
from leadline.embedded.workers import Workers
from leadline.kafka import cluster
from leadline.settings import SettingsError

_PEERS_PYTHON = Path(__file__).parent.parent / ".venv-peers" / "bin" / "python"
_FAUST = [sys.executable, "-m", "benchmarks.peers.faust_app", "--quiet", "worker", "--without-web", "-l", "warn"]
_QUIX = [str(_PEERS_PYTHON), "-m", "benchmarks.peers.quix_app"]
PEERS: Mapping[str, tuple[Sequence[str], Mapping[str, str]]] = {
    "faust": (_FAUST, {}),
    "quix": (_QUIX, {}),
    "quix-exactly-once": (_QUIX, {"QUIX_GUARANTEE": "exactly-once"}),
}
STRIKES = ("none", "kill", "kill-wiped", "takeover", "join-leave", "zombie")
_QUIET_S, _DONE_S = 120.0, 480.0
"""Longer than any session timeout of theirs: 45 s by default."""


class PeerWorld(World):
    """The same servers and strikes, with the peer's processes as workers."""

    joined = STARTS

    def __init__(self, folder: Path, seed: int, peer: str) -> None:
        super().__init__(folder, seed)
        self._command, self._more = PEERS[peer]

    async def _prepare(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        topics = ("predictions", "outcomes", "matches", "counts")
        await admin.create_topics([NewTopic(f"{self.prefix}.{topic}", PARTITIONS, 1) for topic in topics])
        await admin.close()

    def _start(self, count: int, name: str, more: Mapping[str, str] = {}) -> Workers:
        environment = {
            "KAFKA_BOOTSTRAP": self.for_workers,
            "LEADLINE_PREFIX": self.prefix,
            "LEADLINE_BENCH_JOB": "join",
            **self._more,
            **more,
        }
        folder = self.folder / name
        return self._workers(count, [], environment, folder, self._command)


def once(peer: str, name: str, seed: int, events: int) -> dict[str, Any]:
    """Run a fault with a seed under so many predictions and outcomes; what it cost, for a results file."""
    if peer != "faust" and not _PEERS_PYTHON.exists():
        raise SettingsError("Quix Streams is not installed: run scripts/install-peers, which makes .venv-peers with it")
    with tempfile.TemporaryDirectory(prefix="leadline-faults-") as folder, PeerWorld(Path(folder), seed, peer) as world:
        row = asyncio.run(_run(world, name, events // 2))
    return {"peer": peer, "fault": name, "seed": seed, "events": events, **row}


async def _run(world: PeerWorld, name: str, count: int) -> dict[str, Any]:
    predictions, outcomes, answer = join_logs(count)
    await publish(world.bootstrap, world.prefix, [predictions, outcomes])
    striking: asyncio.Task[None] | None = None
    began = moved_at = time.monotonic()
    matches, still_s = 0, 0.0
    while time.monotonic() < began + _DONE_S and time.monotonic() < moved_at + _QUIET_S:
        world.tend()
        with suppress(KafkaError):
            now = sum((await cluster.sizes(world.bootstrap, [f"{world.prefix}.matches"])).values())
            if now != matches:
                still_s = max(still_s, time.monotonic() - moved_at) if matches else still_s
                matches, moved_at = now, time.monotonic()
            if matches > answer.classes["matched"] // 20 and striking is None:
                striking = asyncio.create_task(KINDS[name](world))
        await asyncio.sleep(0.3)
    if striking is not None:
        await striking
    return await _judge(world, answer) | {"stand_still_s": round(still_s, 1)}


async def _judge(world: PeerWorld, answer: JoinAnswer) -> dict[str, Any]:
    keys = [record.key async for record in cluster.read_all(world.bootstrap, f"{world.prefix}.matches")]
    newest = {r.key: json.loads(r.value) async for r in cluster.read_all(world.bootstrap, f"{world.prefix}.counts")}
    totals: Counter[int] = Counter()
    for window, total, _ in newest.values():
        totals[int(window.partition("|")[2])] += total
    wanted = {start: matched for start, (_, matched, _) in answer.windows.items()}
    off = {start: totals[start] - wanted.get(start, 0) for start in wanted | totals}
    return {
        "lost": answer.classes["matched"] - len(set(keys)),
        "doubled": len(keys) - len(set(keys)),
        "short": -sum(n for n in off.values() if n < 0),
        "over": sum(n for n in off.values() if n > 0),
    }
