"""What is packed in a model's file, looked at before anything of it is believed, and packed anew.

A skops file is a zip of arrays (``.npy``, ``.npz``) and a ``schema.json`` that says which objects are made of them. Each can claim more
than it has: all that is read here is bounded by what really comes out.
"""

import io
import json
import math
import re
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from leadline.learning.limits import ARRAY_DIMENSION, BYTES, MEMBERS, SCHEMA, SCHEMA_BYTES, UNPACKED, VALUES
from leadline.learning.native.kinds import REPLACED

PROTOCOL = 2
"""Of skops, since 0.8. Older ones make objects in ways that were mended since."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PART = 1 << 20
_LOADERS = frozenset(
    {
        "DTypeNode", "DefaultDictNode", "DictNode", "FunctionNode", "JsonNode", "ListNode", "LossNode", "MaskedArrayNode",
        "BytearrayNode", "NdArrayNode", "ObjectNode", "PartialNode", "RandomGeneratorNode", "RandomStateNode", "SetNode", "SliceNode",
        "SparseMatrixNode", "TreeNode", "TupleNode", "TypeNode",
    }
)  # fmt: skip
"""What models need. The others call constructors and methods that the file names."""
_FILES = {"BytearrayNode": ".bin", "NdArrayNode": ".npy", "SparseMatrixNode": ".npz"}


class PackedError(Exception):
    """The file is not as skops writes it, or larger than allowed; the message says in what."""


def repacked(data: bytes) -> io.BytesIO:
    """The same file with nothing compressed and nothing claimed. Raises PackedError."""
    room = _Room()
    members = _unpacked(data, room)
    if SCHEMA not in members:
        raise PackedError("it is no skops file: it has no schema.json")
    for name, member in members.items():
        if name != SCHEMA:
            _check_member(name, member, room)
    members[SCHEMA] = _checked_schema(members)
    new = io.BytesIO()
    with zipfile.ZipFile(new, "w") as file:
        for name, member in members.items():
            file.writestr(name, member)
    new.seek(0)
    return new


class _Room:
    """How much may still be unpacked."""

    def __init__(self) -> None:
        self.left = UNPACKED

    def take(self, size: int) -> None:
        self.check(size)
        self.left -= size

    def check(self, size: int) -> None:
        if size > self.left:
            raise PackedError(f"it unpacks to more than {UNPACKED:,} bytes")


def _unpacked(data: bytes, room: _Room) -> dict[str, bytes]:
    """The members of a zip. What its directory says of their sizes is not relied on."""
    if data.count(b"PK\x01\x02") > MEMBERS:  # each entry of a directory begins so
        raise PackedError(f"it has more than {MEMBERS:,} members")
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        room.check(sum(info.file_size for info in file.infolist()))
        for info in file.infolist():
            if not _NAME.fullmatch(info.filename) or info.filename in found:
                raise PackedError(f"it has a member of the name {info.filename[:100]!r}, or has it twice")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise PackedError(f"its member {info.filename} is neither stored nor deflated")
            found[info.filename] = _member(file, info, room)
    return found


def _member(file: zipfile.ZipFile, info: zipfile.ZipInfo, room: _Room) -> bytes:
    """By parts: at once, a small size that is stated lets a large one through."""
    parts: list[bytes] = []
    with file.open(info) as member:
        while part := member.read(_PART):
            room.take(len(part))
            parts.append(part)
    return b"".join(parts)


def _check_member(name: str, member: bytes, room: _Room) -> None:
    if name.endswith(".npy"):
        _check_array(name, member)
    elif name.endswith(".npz"):
        for inner, array in _unpacked(member, room).items():
            _check_array(f"{name}/{inner}", array)
    elif not name.endswith(".bin"):
        raise PackedError(f"its member {name} is no array")
    elif len(member) > BYTES:
        raise PackedError(f"its member {name} has more than {BYTES:,} bytes: give the file that its own library writes")


def _check_array(name: str, member: bytes) -> None:
    """An array has as many bytes as its shape says, and is no pickle."""
    stream = io.BytesIO(member)
    try:
        version = np.lib.format.read_magic(stream)
        read: Callable[..., Any] = {
            (1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0
        }[version]  # fmt: skip
        shape, _, dtype = read(stream)
    except Exception as error:  # noqa: BLE001 - numpy's parser fails in many ways
        raise PackedError(f"its member {name} is no array ({type(error).__name__})") from None
    if dtype.hasobject:
        raise PackedError(f"its member {name} is an array of objects")
    if any(not 0 <= each <= ARRAY_DIMENSION for each in shape):
        raise PackedError(f"its member {name} has an impossible shape")
    count = math.prod(shape)
    if count * dtype.itemsize != len(member) - stream.tell() or (count and not dtype.itemsize):
        raise PackedError(f"its member {name} has not as many bytes as its shape says")


def _checked_schema(members: dict[str, bytes]) -> bytes:
    text = members[SCHEMA]
    if len(text) > SCHEMA_BYTES or sum(map(text.count, (b",", b"{", b"["))) > VALUES:
        raise PackedError(f"its schema.json has more than {SCHEMA_BYTES:,} bytes, or {VALUES:,} values")
    try:
        schema = json.loads(text)
    except RecursionError:
        raise PackedError("its schema.json is nested too deeply") from None
    if not isinstance(schema, dict) or schema.get("protocol") != PROTOCOL or schema["protocol"] is True:
        raise PackedError(f"it has not the protocol {PROTOCOL} of skops; save it again with the newest skops")
    objects = _Objects(members)
    objects.size(schema)
    return json.dumps(schema).encode() if objects.replaced else members[SCHEMA]


class _Objects:
    """The objects of a schema, counted as they would be if nothing were shared: what walks over them takes as long."""

    def __init__(self, members: dict[str, bytes]) -> None:
        self._members = members
        self._sizes: dict[Any, int] = {}
        self._read = 0
        self.replaced = False

    def size(self, value: Any) -> int:
        """How many values there are in a value. Raises PackedError."""
        if not isinstance(value, (dict, list)):
            return 1
        if isinstance(value, list) or "__loader__" not in value:
            return self._sum(value if isinstance(value, list) else value.values())
        same = value.get("__id__")
        if same is None or isinstance(same, (dict, list)):
            return self._object(value)
        if same not in self._sizes:
            self._sizes[same] = 1  # while it is counted: it may hold itself
            self._sizes[same] = self._object(value)
        return self._sizes[same]

    def _sum(self, values: Any) -> int:
        total = 1
        for each in values:
            total += self.size(each)
            if total > VALUES:
                raise PackedError(f"its objects have more than {VALUES:,} values")
        return total

    def _object(self, value: dict[str, Any]) -> int:
        loader = value["__loader__"]
        if loader not in _LOADERS:
            raise PackedError(f"it has an object that is made by {str(loader)[:100]}, which no model needs")
        ours = REPLACED.get((str(value.get("__module__")), str(value.get("__class__"))))
        if ours is not None:
            value["__module__"], value["__class__"] = ours
            self.replaced = True
        if loader == "JsonNode" and str(value.get("content")).lstrip()[:1] in ("[", "{"):
            raise PackedError("it has JSON within JSON")
        if loader == "NdArrayNode" and value.get("__class__") == "void":
            raise PackedError("it has an array of the type void")
        if loader in _FILES and "file" in value:
            self._take(value["file"], _FILES[loader])
        return self._sum(value.values())

    def _take(self, name: Any, ending: str) -> None:
        if not isinstance(name, str) or not name.endswith(ending) or name not in self._members:
            raise PackedError(f"it has no member {str(name)[:100]!r} for one of its arrays")
        self._read += len(self._members[name])
        if self._read > UNPACKED:
            raise PackedError(f"its arrays have more than {UNPACKED:,} bytes")
