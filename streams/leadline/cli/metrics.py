"""``leadline metrics``: live metrics as a table."""

import asyncio
from typing import Annotated

import typer
from aiokafka import AIOKafkaConsumer
from rich.box import SIMPLE_HEAD
from rich.live import Live
from rich.table import Table

from leadline.agents.reach import reach
from leadline.cli.common import out, reached, wait_for
from leadline.core.windows.latest import keep
from leadline.records import Metric, WindowMetrics, identity, iso


def metrics(
    model: Annotated[str, typer.Option(help="Only this model.")] = "",
    segment: Annotated[str, typer.Option(help="Only this segment, such as origin=JFK.")] = "",
    windows: Annotated[int, typer.Option(min=1, help="Newest windows of each segment.")] = 3,
    once: Annotated[bool, typer.Option("--once", help="Show what is there now, and end.")] = False,
) -> None:
    """Show live metrics, with their label coverage and 95 % intervals, as they change."""
    settings, bootstrap = reached()
    wait_for(_show(bootstrap, settings.prefix, model, segment, windows, once))


async def _show(bootstrap: str, prefix: str, model: str, segment: str, windows: int, once: bool) -> None:
    from leadline.agents.cluster import partitions
    from leadline.agents.fetch import fetch, to_run
    from leadline.wire.codec import decode

    held: dict[bytes, WindowMetrics] = {}
    async with AIOKafkaConsumer(
        **reach(bootstrap), isolation_level="read_committed", enable_auto_commit=False
    ) as reader:
        places = await partitions(reader, f"{prefix}.metrics")
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        ends = await reader.end_offsets(places)
        with Live(console=out, auto_refresh=False, transient=once) as live:
            while True:
                for place, records in (await fetch(reader, timeout_ms=300)).items():
                    for record in decode(to_run("metrics", place.partition, records), 1 << 30)[0].records:
                        if (
                            isinstance(record, WindowMetrics)
                            and model in ("", record.model)
                            and segment in ("", record.segment)
                        ):
                            keep(held, _identity(record), record)
                if not once:
                    live.update(table(held, windows), refresh=True)
                elif all([await reader.position(tp) >= end for tp, end in ends.items()]):
                    break
                await asyncio.sleep(0)
    out.print(table(held, windows))


def _identity(record: WindowMetrics) -> bytes:
    return identity(record.model, record.model_version, record.segment, record.window_start)


def table(held: dict[bytes, WindowMetrics], windows: int) -> Table:
    """The newest windows of each segment; columns of a task that no model has are left out."""
    tasks = {record.task for record in held.values()}
    metrics = ["accuracy", "auc"] * ("binary" in tasks) + ["mae"] * ("regression" in tasks)
    shown = Table("model", "segment", "window", "state", "scored", "labels", *metrics, box=SIMPLE_HEAD, pad_edge=False)
    groups: dict[tuple[str, str, str], list[WindowMetrics]] = {}
    for record in held.values():
        groups.setdefault((record.model, record.model_version, record.segment), []).append(record)
    for _, group in sorted(groups.items()):
        for record in sorted(group, key=lambda each: each.window_start)[-windows:]:
            shown.add_row(*_row(record), *(interval(getattr(record, metric)) for metric in metrics))
    return shown


def _row(record: WindowMetrics) -> list[str]:
    labels = "-" if record.coverage is None else f"{record.coverage:.0%}"
    window = iso(record.window_start)[:16].replace("T", " ")
    return [
        f"{record.model} {record.model_version}",
        record.segment,
        window,
        record.state,
        str(record.predictions),
        labels,
    ]


def interval(metric: Metric | None) -> str:
    """A number with its interval; a dash where it is not known.

    >>> interval(Metric(0.9123, 0.89, 0.93)), interval(None)
    ('0.912 (0.890 to 0.930)', '-')
    """
    if metric is None:
        return "-"
    span = "" if metric.low is None or metric.high is None else f" ({metric.low:.3f} to {metric.high:.3f})"
    return f"{metric.value:.3f}{span}"
