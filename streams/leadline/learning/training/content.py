"""Digests of content: of the rows of a table, and of what is in a model's file, however either was written."""

import io
import json
import zipfile
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.learning.online.stored import is_online

_UNSAID = frozenset({"__id__", "_skops_version"})
"""Where an object was in memory, and who wrote the file."""
_CHANCE = frozenset({"cv_results_", "refit_time_"})
"""Attributes of a search that say how long it took; nothing is predicted by them."""


def digest_of_rows(table: pa.Table) -> str:
    """The sha256 of the names, types and values of a table, in the order of its rows; NaN counts as missing.

    >>> one = pa.table({"a": [1.5, None], "b": ["x", ""]})
    >>> digest_of_rows(one) == digest_of_rows(pa.concat_tables([one.slice(0, 1), one.slice(1)]))
    True
    >>> digest_of_rows(one) == digest_of_rows(pa.table({"a": [1.5, None], "b": ["x", None]}))
    False
    """
    parts = [f"{len(table)}"]
    parts += [f"{name} {_kind(table[name].type)} {_of_column(table[name])}" for name in sorted(table.column_names)]
    return sha256("\n".join(parts).encode()).hexdigest()


def _kind(kind: pa.DataType) -> str:
    return "texts" if pa.types.is_list(kind) else str(kind)


def _of_column(column: pa.ChunkedArray) -> str:
    """The values as bytes: which are there, how long the texts are, and the texts or numbers."""
    there, sizes, values = sha256(), sha256(), sha256()
    for chunk in column.chunks:
        if pa.types.is_floating(chunk.type):
            chunk = pc.if_else(pc.is_nan(chunk), pa.scalar(None, chunk.type), chunk)
        there.update(pc.is_valid(chunk).to_numpy(zero_copy_only=False).tobytes())
        while pa.types.is_list(chunk.type):
            sizes.update(_sizes(pc.list_value_length(chunk)))
            chunk = chunk.flatten()
        if pa.types.is_string(chunk.type):
            sizes.update(_sizes(pc.binary_length(chunk)))
            values.update("".join(chunk.drop_null().to_pylist()).encode())
        else:
            values.update(np.ascontiguousarray(pc.fill_null(chunk, 0).to_numpy(zero_copy_only=False)).tobytes())
    return sha256(there.digest() + sizes.digest() + values.digest()).hexdigest()


def _sizes(lengths: pa.Array) -> bytes:
    found: bytes = pc.fill_null(lengths, -1).to_numpy(zero_copy_only=False).astype("<i8").tobytes()
    return found


def digest_of_model(data: bytes) -> str:
    """The sha256 of the objects in a model's file: equal for equal objects, wherever they were in memory and however the file is packed."""
    if is_online(data):
        return sha256(data).hexdigest()
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return _Objects(file).digest(json.loads(file.read("schema.json")))


class _Objects:
    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._known: dict[Any, str] = {}

    def digest(self, value: Any) -> str:
        """Of an object as the schema has it; what is there several times is looked at once."""
        same = value.get("__id__") if isinstance(value, dict) else None
        if same not in self._known or same is None:
            self._known[same] = sha256(json.dumps(self._plain(value)).encode()).hexdigest()
        return self._known[same]

    def _plain(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.digest(each) for each in value]
        if not isinstance(value, dict):
            return value
        found = {name: self._field(name, each) for name, each in value.items() if name not in _UNSAID | _CHANCE}
        if value.get("__loader__") == "SetNode" and isinstance(found.get("content"), list):
            found["content"].sort()
        return sorted(found.items()) if "__loader__" in value else list(found.items())

    def _field(self, name: str, value: Any) -> Any:
        if name == "file" and isinstance(value, str):
            return self._array(value)
        return self.digest(value) if isinstance(value, dict) else self._plain(value)

    def _array(self, name: str) -> str:
        """Of an array; a sparse one is a zip of arrays."""
        data = self._file.read(name)
        if not name.endswith(".npz"):
            return sha256(data).hexdigest()
        with zipfile.ZipFile(io.BytesIO(data)) as inner:
            return sha256(
                "".join(sha256(inner.read(each)).hexdigest() for each in sorted(inner.namelist())).encode()
            ).hexdigest()
