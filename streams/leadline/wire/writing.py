"""Which form the topics that people read are written in (``LEADLINE_FORMAT``). All others are in single-object Avro, always."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro

from leadline.core.models import Models, Signature
from leadline.core.processor import Output
from leadline.settings import Settings
from leadline.wire import own_json
from leadline.wire.cloud_events import JSON
from leadline.wire.codec import WIRE, Wire
from leadline.wire.encoding import encode, single_object
from leadline.wire.forms import to_dict
from leadline.wire.registered import start_of
from leadline.wire.schemas import text
from leadline.wire.topics import BY_NAME, MANY


def wire_of(settings: Settings, ids: Mapping[str, int], models: Models | None = None) -> Wire:
    """How an installation writes. ``ids``: of the schema of each topic at the registry; ``models`` name the features in JSON."""
    if settings.format == "confluent":
        return Wire(encode=partial(encode, start=_start_by(ids)))
    if settings.format == "json":
        names = own_json.no_names if models is None else _names_by(models)
        return Wire(encode=partial(_encode_json, names=names), content_type=JSON)
    return WIRE


def _start_by(ids: Mapping[str, int]) -> Any:
    def start(topic: str, name: str) -> bytes:
        return start_of(topic, name, ids[topic]) if BY_NAME[topic].has_form else single_object(topic, name)

    return start


# -- JSON ---------------------------------------------------------------------------------------------------------------


def _encode_json(output: Output, names: own_json.Names) -> list[bytes]:
    if not BY_NAME[output.topic].has_form:
        return encode(output)
    return [own_json.write(output.topic, name, values, names) for name, values in _fields(output)]


def _fields(output: Output) -> list[tuple[str, dict[str, Any]]]:
    """The class and the fields of each record."""
    if output.columns is None:
        return [(type(record).__name__, to_dict(record)) for record in output.records]
    name, rows = MANY[output.topic], _rows(output.columns)
    if output.bodies:
        first = _rows(pyruhvro.deserialize_array(output.bodies, text("Prediction")))
        rows = [{"prediction": one} | row for one, row in zip(first, rows, strict=True)]
    return [(name, row) for row in rows]


def _rows(columns: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as dicts: what `to_pylist` makes, in half the time."""
    names = columns.schema.names
    return [dict(zip(names, row, strict=True)) for row in zip(*map(_values, columns.columns), strict=True)]


def _values(column: pa.Array) -> list[Any]:
    kind, whole = column.type, not column.null_count
    if whole and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        found: list[Any] = column.to_numpy().tolist()
    elif whole and pa.types.is_list(kind):
        ends = np.cumsum(pc.list_value_length(column).to_numpy()).tolist()
        flat = _values(column.flatten())
        found = [flat[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    else:
        found = column.to_pylist(maps_as_pydicts="strict")
    return found


def _names_by(models: Models) -> own_json.Names:
    known: dict[str, Signature] = {}

    def names(model: str, version: str, signature: str) -> tuple[list[str], list[str]] | None:
        if signature not in known:
            found = models.version(model, version) if signature else None
            if found is None or found.signature.id != signature:
                return None
            known[signature] = found.signature
        return known[signature].names, known[signature].categorical

    return names
