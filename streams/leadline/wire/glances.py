"""A look at a record instead of reading it: its model and its ``as_of``, which stand near its beginning.

To read all of a record of many fields takes some twenty times as long. What is wrong behind ``as_of`` is not seen: that is for a stage
that reads the record whole.
"""

import io
from collections.abc import Collection
from functools import cache
from typing import Any, NamedTuple

import fastavro

from leadline.core.processor import Glance
from leadline.wire.run import Run
from leadline.wire.schemas import HEAD_BYTES, Schema, head, plain

_LAST = "as_of"
ALL = "*"


class Glances(NamedTuple):
    """The schemas at whose records a glance is enough. ``but_overall``: those of all segments (`*`) are to be read all the same."""

    names: Collection[str] = ()
    but_overall: bool = False


NO_GLANCES = Glances()


def glances_at(run: Run, wanted: Glances, max_bytes: int) -> tuple[list[Glance], list[int]]:
    """A glance at each record of the schemas that are wanted, as they are today, and the indexes of the records that are to be read.

    A record that cannot be read so far, or has over ``max_bytes``, is passed over.
    """
    known = {head(name): _beginning(name) for name in wanted.names}
    found, left = [], []
    for i, value in enumerate(run.values):
        beginning = known.get(value[:HEAD_BYTES]) if value is not None else None
        if value is None or beginning is None:
            left.append(i)
        elif len(value) <= max_bytes and (seen := _seen(beginning, value)) is not None:
            if wanted.but_overall and seen.get("segment") == ALL:
                left.append(i)
            else:
                found.append(Glance(run.offsets[i], seen["model"], seen[_LAST]))
    return found, left


def _seen(beginning: Schema, value: bytes) -> dict[str, Any] | None:
    stream = io.BytesIO(value)
    stream.seek(HEAD_BYTES)
    try:
        fields: dict[str, Any] = fastavro.schemaless_reader(stream, beginning, None)  # type: ignore[assignment]
    except Exception:  # noqa: BLE001 - hostile bytes raise many kinds
        return None
    return fields


@cache
def _beginning(name: str) -> Schema:
    """The schema of a record up to its ``as_of``."""
    whole = plain(name)
    count = 1 + [each["name"] for each in whole["fields"]].index(_LAST)
    cut = {"type": "record", "name": f"{name}Beginning", "fields": whole["fields"][:count]}
    made: Schema = fastavro.parse_schema(cut)  # type: ignore[assignment]
    return made
