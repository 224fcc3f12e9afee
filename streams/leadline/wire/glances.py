"""A look at a record instead of reading it: its model and its ``as_of``, which stand near its beginning.

To read all of a record of many fields takes some twenty times as long. What is wrong behind ``as_of`` is not seen: that is for a stage
that reads the record whole.
"""

import io
from collections.abc import Collection
from functools import cache

import fastavro

from leadline.core.processor import Glance
from leadline.wire.run import Run
from leadline.wire.schemas import HEAD_BYTES, Schema, head, plain

_LAST = "as_of"


def glances_at(run: Run, names: Collection[str], max_bytes: int) -> tuple[list[Glance], list[int]]:
    """A glance at each record of the schemas of these names, as they are today, and the indexes of the records that are to be read.

    A record that cannot be read so far, or has over ``max_bytes``, is passed over.
    """
    known = {head(name): _beginning(name) for name in names}
    found, left = [], []
    for i, value in enumerate(run.values):
        beginning = known.get(value[:HEAD_BYTES]) if value is not None else None
        if value is None or beginning is None:
            left.append(i)
        elif len(value) <= max_bytes and (seen := _seen(beginning, value)) is not None:
            found.append(Glance(run.offsets[i], *seen))
    return found, left


def _seen(beginning: Schema, value: bytes) -> tuple[str, int] | None:
    stream = io.BytesIO(value)
    stream.seek(HEAD_BYTES)
    try:
        fields = fastavro.schemaless_reader(stream, beginning, None)
    except Exception:  # noqa: BLE001 - hostile bytes raise many kinds
        return None
    return fields["model"], fields[_LAST]  # type: ignore[index, call-overload, return-value]


@cache
def _beginning(name: str) -> Schema:
    """The schema of a record up to its ``as_of``."""
    whole = plain(name)
    count = 1 + [each["name"] for each in whole["fields"]].index(_LAST)
    cut = {"type": "record", "name": f"{name}Beginning", "fields": whole["fields"][:count]}
    made: Schema = fastavro.parse_schema(cut)  # type: ignore[assignment]
    return made
