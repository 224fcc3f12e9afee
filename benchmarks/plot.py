"""Draw what ``scripts/bench scale`` printed: ``.venv-peers/bin/python -m benchmarks.plot docs/measured/scale.jsonl docs/scale.svg``.

Where it ran more than once, the median of the cost and the most of the memory.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt

_LABELS = {
    "rate": "requests a second",
    "partitions": "partitions of each topic, one worker",
    "workers": "workers on 16 partitions; sum of memory",
    "models": "models that take turns",
    "segments": "segments, equally many predictions each",
    "versions": "versions that predict each request",
    "waiting": "predictions that wait all the time",
    "features": "features of a request",
}


def main(lines: Path, drawing: Path) -> None:
    """One panel a thing that grows: processor time an event (as the rate grows: a second), and the workers' peak memory."""
    runs: dict[str, dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for line in lines.read_text("utf-8").splitlines():
        run = json.loads(line)
        thing = next(name for name in _LABELS if name in run)
        runs[thing][run[thing]].append(run)
    figure, panels = plt.subplots(2, -(-len(runs) // 2), figsize=(3.4 * -(-len(runs) // 2), 6), layout="constrained")
    for panel in panels.flat[len(runs) :]:
        panel.set_axis_off()
    for panel, (thing, own) in zip(panels.flat, runs.items(), strict=False):
        _draw(panel, thing, own)
    plt.rcParams["svg.hashsalt"] = "leadline"  # the same bytes for the same lines
    figure.savefig(drawing, metadata={"Date": None} if drawing.suffix == ".svg" else {})


def _draw(panel: Any, thing: str, own: dict[int, list[dict[str, Any]]]) -> None:
    sizes = list(own)
    cost = [median(_cost(thing, run) for run in same) for same in own.values()]
    most = [max(run["rss_mb"] for run in same) for same in own.values()]
    panel.plot(sizes, cost, "o-", color="tab:blue")
    for size, value in zip(sizes, cost, strict=True):
        panel.annotate(f"{value:.3g}", (size, value), textcoords="offset points", xytext=(0, 6), ha="center")
    panel.set(
        xscale="log", ylim=(0, max(cost) * 1.25), xlabel=_LABELS[thing], title=f"{own[sizes[0]][0]['job']}: {thing}"
    )
    panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
    panel.minorticks_off()
    beside = (sizes[-1] / sizes[0]) ** 0.15
    panel.set_xlim(sizes[0] / beside, sizes[-1] * beside)
    panel.set_ylabel("cores" if thing == "rate" else "CPU-s a million events", color="tab:blue")
    memory = panel.twinx()
    memory.plot(sizes, most, "s--", color="tab:gray")
    memory.set_ylim(0, max(most) * 1.4)
    memory.set_ylabel("peak memory, MB", color="tab:gray")


def _cost(thing: str, run: dict[str, Any]) -> float:
    return run["cpu_s"] / run["wall_s"] if thing == "rate" else run["cpu_s"] / run["events"] * 1e6


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
