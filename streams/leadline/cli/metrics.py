"""``leadline metrics``: live metrics as a table."""

from collections.abc import AsyncIterator
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.live import Live
from rich.table import Table
from rich.text import Text

from leadline.cli.common import broker, out, wait_for
from leadline.core.windows.latest import keep
from leadline.foreign_text import shown as safe
from leadline.records import Metric, WindowMetrics, identity, iso
from leadline.wire.run import Run


def metrics(
    model: Annotated[str, typer.Option(help="Only this model.")] = "",
    segment: Annotated[str, typer.Option(help="Only this segment, such as origin=JFK.")] = "",
    windows: Annotated[int, typer.Option(min=1, help="Newest windows of each segment.")] = 3,
    once: Annotated[bool, typer.Option("--once", help="Show what is there now, and end.")] = False,
) -> None:
    """Show live metrics, with their label coverage and 95 % intervals, as they change."""
    settings, bootstrap = broker()
    wait_for(_show(bootstrap, settings.prefix, model, segment, windows, once))


async def _show(bootstrap: str, prefix: str, model: str, segment: str, windows: int, once: bool) -> None:
    from leadline.kafka.reader import Reader

    held: dict[bytes, WindowMetrics] = {}
    async with Reader(bootstrap, f"{prefix}.metrics", "metrics") as reader:
        await reader.from_beginning()
        runs = reader.until(await reader.ends()) if once else reader.follow()
        with Live(console=out, auto_refresh=False, transient=once) as live:
            async for run in _with_start(runs):
                for record in _records(run, model, segment):
                    keep(held, _identity(record), record)
                if not once:
                    live.update(table(held, windows), refresh=True)
    out.print(table(held, windows))


async def _with_start(runs: AsyncIterator[Run]) -> AsyncIterator[Run | None]:
    """The runs; before the first, None."""
    yield None
    async for run in runs:
        yield run


def _records(run: Run | None, model: str, segment: str) -> list[WindowMetrics]:
    """The metrics in a run that somebody wants to see; empty names are all."""
    from leadline.wire.codec import decode

    records = [] if run is None else decode(run, 1 << 30)[0].records
    metrics = [record for record in records if isinstance(record, WindowMetrics)]
    return [each for each in metrics if model in ("", each.model) and segment in ("", each.segment)]


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
            cells = [*_row(record), *(interval(getattr(record, metric)) for metric in metrics)]
            shown.add_row(*(Text(safe(cell)) for cell in cells))
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
