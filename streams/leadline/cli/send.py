"""``leadline send``: a file to the requests or the outcomes."""

import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leadline.cli.common import broker, err, say, wait_for
from leadline.settings import ModelSettings, Settings, SettingsError

if TYPE_CHECKING:
    from leadline.cli.tables import Made

_AT_ONCE = 2000


def send(
    file: Annotated[Path, typer.Argument(help="A .csv, .jsonl (either may be .gz) or .parquet file.")],
    to: Annotated[Literal["requests", "outcomes"], typer.Option(help="What the rows are.")],
    model: Annotated[str, typer.Option(help="For requests: the model to ask.")] = "",
) -> None:
    """Send each row of FILE as a prediction request or an outcome."""
    if to == "requests" and not model:
        raise typer.BadParameter("--model is missing: name the model that the requests ask")
    settings, bootstrap = broker()
    records = _records(file, settings, model if to == "requests" else None)
    topic = "outcomes" if to == "outcomes" else "prediction-requests"
    count = wait_for(_send(records, bootstrap, settings, topic))
    say(f"sent {count} {to}")


def _records(file: Path, settings: Settings, model: str | None) -> Iterator["Made"]:
    """An outcome of each row, or (for a model) a request."""
    from leadline.cli.tables import read_rows, to_outcome, to_record, to_request

    make = to_outcome if model is None else partial(to_request, model=_known(settings.models, model))
    return (to_record(row, make) for row in read_rows(file))


def _known(models: Path, name: str) -> ModelSettings:
    from leadline.learning.model_files import ModelFiles

    found = ModelFiles(models).settings(name)
    if found is None:
        raise SettingsError(f"{models} has no model {name}: add it with `leadline model add`, or set LEADLINE_MODELS")
    return found


async def _send(records: Iterator["Made"], bootstrap: str, settings: Settings, topic: str) -> int:
    from leadline.cli.tables import check
    from leadline.kafka.cluster import sizes
    from leadline.kafka.sender import Row, open_sender
    from leadline.wire.partitions import partition_of

    topic_name, count, shown_at = f"{settings.prefix}.{topic}", 0, time.monotonic()
    partitions = len(await sizes(bootstrap, [topic_name]))
    async with open_sender(bootstrap, settings.prefix) as sender:
        try:
            while some := list(islice(records, _AT_ONCE)):
                check(topic, some, settings.record_bytes, int(time.time() * 1000))
                rows: defaultdict[int, list[Row]] = defaultdict(list)
                for _, key, value in some:
                    rows[partition_of(key, partitions)].append((key, value, []))
                for partition, part in rows.items():
                    await sender.send_and_wait(topic_name, partition, part)
                count += len(some)
                if time.monotonic() - shown_at > 1:
                    shown_at = time.monotonic()
                    err.print(f"sent {count} …", end="\r")
        except SettingsError as error:
            raise SettingsError(f"{error}; {count} rows before it were sent") from None
    return count
