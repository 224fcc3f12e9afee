"""The peers as processes: how each is started, and how much work it gets."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from benchmarks.measure import BenchError, Work
from benchmarks.model import trained
from benchmarks.shapes import SCHEMAS, STARTS

_HERE = Path(__file__).resolve().parent
_JAVA = _HERE / "peers" / "java" / "target"
_PYTHON = _HERE.parent / ".venv-peers" / "bin" / "python"


def _java(main: str, own: str) -> list[str]:
    """Kafka Streams and Flink bring a RocksDB each, with the same class names."""
    return ["java", "-Xmx1g", "-cp", f"{_JAVA}/peers.jar:{_JAVA}/lib/*:{_JAVA}/lib/{own}/*", f"peers.{main}"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A stream processor. ``share``: the part of the events that it gets, since it takes longer for each."""

    command: Sequence[str]
    share: float


PEERS: Mapping[str, Peer] = {
    "kafka-streams": Peer(_java("KafkaStreamsApp", "streams"), 1),
    "flink": Peer(_java("FlinkApp", "flink"), 1),
    "bytewax": Peer([str(_PYTHON), "-m", "benchmarks.peers.bytewax_app"], 0.5),
    "quix": Peer([str(_PYTHON), "-m", "benchmarks.peers.quix_app"], 0.2),
    "faust": Peer([sys.executable, "-m", "benchmarks.peers.faust_app", "--quiet", "worker", "--without-web", "-l", "warn"], 0.1),
}  # fmt: skip


def check_installed(names: Sequence[str]) -> None:
    """Raises BenchError where a peer is not there."""
    for name in names:
        program = PEERS[name].command[0]
        built = (_JAVA / "built").exists() if program == "java" else True
        if not built or which(program) is None:
            raise BenchError(f"{name} is not installed: run scripts/install-peers")


def work(
    name: str, job: str, bootstrap: str, prefix: str, folder: Path, output: str, expected: int, latency: bool = False
) -> Work:
    """A peer that does a job; with ``latency`` it holds nothing back for a larger batch."""
    scaler, regression = (step for _, step in trained().steps)
    coefficients = {
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "coefficients": regression.coef_[0].tolist(),
        "intercept": float(regression.intercept_[0]),
    }
    model = folder / "coefficients.json"
    model.write_text(json.dumps(coefficients), "utf-8")
    environment = {
        **os.environ, "KAFKA_BOOTSTRAP": bootstrap, "LEADLINE_PREFIX": prefix, "LEADLINE_BENCH_JOB": job,
        "LEADLINE_BENCH_MODEL": str(model), "LEADLINE_BENCH_SCHEMAS": str(SCHEMAS), "LEADLINE_BENCH_LATENCY": str(int(latency)),
    }  # fmt: skip
    return Work(name, PEERS[name].command, environment, STARTS, f"{prefix}.{output}", expected)
