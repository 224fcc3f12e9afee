"""``leadline metrics``: live metrics as a table, or as JSON."""

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.live import Live

from leadline.cli.common import broker, out, put_json, say, wait_for
from leadline.cli.metrics_table import newest, put_tables, tables
from leadline.core.windows.latest import keep
from leadline.records import WindowMetrics, identity
from leadline.wire.run import Run

if TYPE_CHECKING:
    from leadline.kafka.reader import Reader

_NONE_YET = (
    "no windows yet: there is one as soon as a prediction of a model was joined; `leadline doctor` says what is wrong"
)


def metrics(
    model: Annotated[str, typer.Option(help="Only this model.")] = "",
    segment: Annotated[str, typer.Option(help="Only this segment, such as origin=JFK; *: all requests together.")] = "",
    windows: Annotated[int, typer.Option(min=1, help="Newest windows of each segment.")] = 3,
    once: Annotated[bool, typer.Option("--once", help="Show what is there now, and end.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for each window; without --once, also when it changes.")
    ] = False,
) -> None:
    """Show live metrics, with their label coverage and 95 % intervals, as they change.

    Columns that a terminal has no room for are left out; --json has all of them.
    """
    settings, bootstrap = broker()
    wait_for(_show(bootstrap, settings.prefix, _Asked(model, segment, windows, once, json)))


class _Asked(NamedTuple):
    """What somebody wants to see; empty names are all."""

    model: str
    segment: str
    windows: int
    once: bool
    json: bool

    def changed(self, held: dict[bytes, WindowMetrics], run: Run) -> list[WindowMetrics]:
        """The wanted metrics in a run that hold from now on."""
        from leadline.wire.codec import decode

        found = [each for each in decode(run, 1 << 30)[0].records if isinstance(each, WindowMetrics)]
        wanted = [
            each for each in found if self.model in ("", each.model) and self.segment in ("", each.segment)
        ]  # fmt: skip
        return [each for each in wanted if keep(held, _identity(each), each)]


def _identity(record: WindowMetrics) -> bytes:
    return identity(record.model, record.model_version, record.segment, record.window_start)


async def _show(bootstrap: str, prefix: str, asked: _Asked) -> None:
    from leadline.kafka.reader import Reader

    held: dict[bytes, WindowMetrics] = {}
    async with Reader(bootstrap, f"{prefix}.metrics", "metrics") as reader:
        await reader.from_beginning()
        ends = await reader.ends()
        while not await reader.has_reached(ends):
            for run in await reader.take():
                asked.changed(held, run)
        if not held:
            say(_NONE_YET)
        if asked.json:
            for record in newest(held.values(), asked.windows):
                _put(record)
        elif asked.once and held:
            put_tables(held.values(), asked.windows, out)
        if not asked.once:
            await (_follow_as_json if asked.json else _follow)(reader, held, asked)


async def _follow(reader: "Reader", held: dict[bytes, WindowMetrics], asked: _Asked) -> None:
    with Live(tables(held.values(), asked.windows, out), console=out, auto_refresh=False) as live:
        live.refresh()
        async for run in reader.follow():
            if asked.changed(held, run):
                live.update(tables(held.values(), asked.windows, out), refresh=True)


async def _follow_as_json(reader: "Reader", held: dict[bytes, WindowMetrics], asked: _Asked) -> None:
    async for run in reader.follow():
        for record in asked.changed(held, run):
            _put(record)


def _put(record: WindowMetrics) -> None:
    from leadline.cli.record_fields import record_fields

    put_json(record_fields(record))
