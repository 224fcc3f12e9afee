"""``leadline send``: a file to the requests or the outcomes."""

import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.common import broker, err, say, wait_for
from leadline.records import Outcome, PredictionRequest
from leadline.settings import Settings, SettingsError, load_model_settings

_AT_ONCE = 2000


def send(
    file: Annotated[Path, typer.Argument(help="A .csv, .jsonl (either may be .gz) or .parquet file.")],
    to: Annotated[str, typer.Option(help="requests or outcomes")],
    model: Annotated[str, typer.Option(help="For requests: the model to ask.")] = "",
) -> None:
    """Send each row of FILE as a prediction request or an outcome."""
    settings, bootstrap = broker()
    if to not in ("requests", "outcomes"):
        raise SettingsError(f"--to {to!r}: say requests or outcomes")
    records = _outcomes(file) if to == "outcomes" else _requests(file, settings, model)
    count = wait_for(
        _send(records, bootstrap, settings.prefix, "outcomes" if to == "outcomes" else "prediction-requests")
    )
    say(f"sent {count} {to}")


def _outcomes(file: Path) -> Iterator[Outcome]:
    from leadline.cli.tables import read_rows, to_outcome

    return (to_outcome(row) for row in read_rows(file))


def _requests(file: Path, settings: Settings, model: str) -> Iterator[PredictionRequest]:
    from leadline.cli.tables import read_rows, to_request

    if not model:
        raise SettingsError("--model is missing: name the model that the requests ask")
    known = load_model_settings(settings.models / model / "model.toml")
    return (to_request(row, known) for row in read_rows(file))


async def _send(
    records: Iterator[Outcome] | Iterator[PredictionRequest], bootstrap: str, prefix: str, topic: str
) -> int:
    from leadline.kafka.cluster import sizes
    from leadline.kafka.sender import Row, open_sender
    from leadline.wire.codec import value_of
    from leadline.wire.partitions import partition_of

    topic_name, count, shown_at = f"{prefix}.{topic}", 0, time.monotonic()
    partitions = len(await sizes(bootstrap, [topic_name]))
    async with open_sender(bootstrap, prefix) as sender:
        while some := list[Outcome | PredictionRequest](islice(records, _AT_ONCE)):
            rows: defaultdict[int, list[Row]] = defaultdict(list)
            for record in some:
                key = record.request_id.encode()
                rows[partition_of(key, partitions)].append((key, value_of(record), []))
            for partition, part in rows.items():
                await sender.send_and_wait(topic_name, partition, part)
            count += len(some)
            if time.monotonic() - shown_at > 1:
                shown_at = time.monotonic()
                err.print(f"sent {count} …", end="\r")
    return count
