"""What Leadline costs an event as a part of what a peer costs, in the same round; and whether that has become worse."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.latency import Latency
from benchmarks.measure import Cost

RECORDED = Path(__file__).resolve().parent / "recorded.json"
MARGIN = 1.25

Rounds = Sequence[Sequence[Cost]]


def of(rounds: Rounds) -> dict[str, list[float]]:
    """For each peer, of each round: Leadline's processor time an event divided by the peer's.

    >>> ours, theirs = Cost("leadline", 100, 1.0, 1.0, 9), Cost("flink", 100, 2.0, 1.0, 9)
    >>> of([[ours, theirs], [theirs, ours]])
    {'flink': [0.5, 0.5]}
    """
    ratios: dict[str, list[float]] = {}
    for costs in rounds:
        cost_of = {cost.name: cost.per_million for cost in costs}
        for name in cost_of.keys() - {"leadline"}:
            ratios.setdefault(name, []).append(cost_of["leadline"] / cost_of[name])
    return ratios


def table(job: str, rounds: Rounds) -> Table:
    """One row a worker: medians, and in brackets the smallest and the largest."""
    made = Table(title=f"{job}: {len(rounds)} rounds, medians (and range); all answers were right")
    for name in (
        "worker",
        "events",
        "CPU-s a million",
        "events / CPU-s",
        "Leadline's cost / its",
        "wall s",
        "peak RSS MB",
    ):
        made.add_column(name, justify="left" if name == "worker" else "right")
    against = of(rounds)
    for name in [cost.name for cost in rounds[0]]:
        own = [cost for costs in rounds for cost in costs if cost.name == name]
        made.add_row(
            name,
            f"{own[0].events:,}",
            _range([cost.per_million for cost in own]),
            f"{median(cost.per_cpu_s for cost in own):,.0f}",
            _range(against[name]) if name in against else "",
            f"{median(cost.wall_s for cost in own):.1f}",
            f"{max(cost.rss_mb for cost in own):,}",
        )
    return made


def latency_table(rounds: Sequence[Sequence[Latency]]) -> Table:
    """One row a worker: medians of its runs, and in brackets the smallest and the largest."""
    made = Table(title=f"latency: {len(rounds)} rounds, medians (and range)")
    for name in ("worker", "requests", "p50 ms", "p95 ms", "p99 ms", "worst ms", "cores", "idle cores"):
        made.add_column(name, justify="left" if name == "worker" else "right")
    for name in [each.name for each in rounds[0]]:
        own = [each for one in rounds for each in one if each.name == name]
        figures = ([getattr(each, part) for each in own] for part in ("p50", "p95", "p99", "worst", "cores", "idle"))
        made.add_row(name, f"{own[0].requests:,}", *map(_range, figures))
    return made


def _range(values: Sequence[float]) -> str:
    spread = f" ({min(values):.2f}-{max(values):.2f})" if len(values) > 1 else ""
    return f"{median(values):.2f}{spread}"


def record(job: str, rounds: Rounds) -> None:
    """Keep the medians of the ratios; those of peers that did not run stay."""
    known = _recorded()
    medians = {name: round(median(values), 3) for name, values in of(rounds).items()}
    kept = {**known, job: {**known.get(job, {}), **medians}}
    RECORDED.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", "utf-8")


def check(job: str, rounds: Rounds) -> bool:
    """Whether no ratio is over the recorded one by more than the margin; says each."""
    recorded, fine = _recorded().get(job, {}), True
    for name, values in of(rounds).items():
        now, then = median(values), recorded.get(name)
        worse = then is not None and now > then * MARGIN
        fine = fine and not worse
        print(
            f"{job} beside {name}: {now:.3f}, recorded {then}, limit {MARGIN} times that: {'WORSE' if worse else 'fine'}"
        )
    return fine


def _recorded() -> Mapping[str, Mapping[str, float]]:
    found: Mapping[str, Mapping[str, float]] = json.loads(RECORDED.read_text("utf-8")) if RECORDED.exists() else {}
    return found
