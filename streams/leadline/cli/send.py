"""``leadline send``: a file to the requests or the outcomes."""

import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leadline.cli.common import Json, broker, err, models_of, put, put_json, say, wait_for
from leadline.settings import ModelSettings, Settings, SettingsError

if TYPE_CHECKING:
    from leadline.cli.rows import Row
    from leadline.cli.tables import Made
    from leadline.kafka.sender import Row as Sent

_AT_ONCE = 2000


def send(
    file: Annotated[Path, typer.Argument(help="A .csv, .jsonl (either may be .gz) or .parquet file.")],
    to: Annotated[Literal["requests", "outcomes"], typer.Option(help="What the rows are.")],
    model: Annotated[str, typer.Option(help="For requests: the model to ask.")] = "",
    atomic: Annotated[
        bool, typer.Option("--atomic/--no-atomic", help="Read and check the whole file before anything is sent.")
    ] = True,
    json: Json = False,
) -> None:
    """Send each row of FILE as a prediction request or an outcome."""
    if to == "requests" and not model:
        raise typer.BadParameter("--model is missing: name the model that the requests ask")
    settings, bootstrap = broker()
    asked = _known(models_of(settings, model), model) if to == "requests" else None
    from leadline.cli.tables import check_columns, read_rows

    try:
        check_columns(file, asked)
        if atomic:
            _check_all(file, settings, asked)
        else:
            _check_first(file, asked)
    except SettingsError as error:
        raise SettingsError(f"{error}; nothing was sent") from None
    count = wait_for(_send(_checked(read_rows(file), settings, asked), bootstrap, settings, _topic(asked)))
    if json:
        put_json({"file": str(file), "to": to, "topic": f"{settings.prefix}.{_topic(asked)}", "sent": count})
    else:
        put(f"sent {count} {to}" if count else f"sent nothing: {file} has no rows")


def _topic(model: ModelSettings | None) -> str:
    return "outcomes" if model is None else "prediction-requests"


def _check_all(file: Path, settings: Settings, model: ModelSettings | None) -> None:
    """Read and check the whole file; raises SettingsError that says where it is wrong."""
    from leadline.cli.tables import check_names, read_rows

    names: dict[str, None] = {}

    def noted() -> Iterator["Row"]:
        for row in read_rows(file):
            names.update(dict.fromkeys(row.values))
            yield row

    for _ in _checked(noted(), settings, model):
        pass
    if names:
        check_names(file, names, model)


def _check_first(file: Path, model: ModelSettings | None) -> None:
    """Raise SettingsError where the first rows lack a name that has to be there."""
    from leadline.cli.tables import check_names, read_rows

    names = dict.fromkeys(name for row in islice(read_rows(file), _AT_ONCE) for name in row.values)
    if names:
        check_names(file, names, model)


def _checked(rows: Iterator["Row"], settings: Settings, model: ModelSettings | None) -> Iterator[list["Made"]]:
    """The rows as records that the stages can use, some at once; raises SettingsError for the first that is none."""
    from leadline.cli.tables import check, to_outcome, to_record, to_request

    make = to_outcome if model is None else partial(to_request, model=model)
    records = (to_record(row, make) for row in rows)
    while some := list(islice(records, _AT_ONCE)):
        check(_topic(model), some, settings.record_bytes, int(time.time() * 1000), settings.max_ahead)
        yield some


def _known(models: Path, name: str) -> ModelSettings:
    from leadline.learning.model_files import ModelFiles

    found = ModelFiles(models).settings(name)
    if found is None:
        raise SettingsError(f"{models} has no model {name}: add it with `leadline model add`, or set LEADLINE_MODELS")
    return found


async def _send(records: Iterator[list["Made"]], bootstrap: str, settings: Settings, topic: str) -> int:
    """Send all records; how many. Whatever ends it sooner, how many were sent is said."""
    from leadline.kafka.cluster import sizes
    from leadline.kafka.sender import open_sender

    topic_name, count, shown_at = f"{settings.prefix}.{topic}", 0, time.monotonic()
    partitions = len(await sizes(bootstrap, [topic_name]))
    try:
        async with open_sender(bootstrap, settings.prefix) as sender:
            for some in records:
                for partition, part in _by_partition(some, partitions).items():
                    await sender.send_and_wait(topic_name, partition, part)
                count += len(some)
                if err.is_terminal and time.monotonic() - shown_at > 1:
                    shown_at = time.monotonic()
                    err.print(f"sent {count} …", end="\r")
    except SettingsError as error:
        raise SettingsError(f"{error}; {count} rows before it were sent") from None
    except BaseException:
        say(f"{count} rows were sent, and perhaps some of the next {_AT_ONCE}")
        raise
    return count


def _by_partition(records: list["Made"], partitions: int) -> dict[int, list["Sent"]]:
    from leadline.wire.partitions import partition_of

    rows: defaultdict[int, list[Sent]] = defaultdict(list)
    for _, key, value in records:
        rows[partition_of(key, partitions)].append((key, value, []))
    return rows
