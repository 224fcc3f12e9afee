"""A file of ONNX that keeps numbers in files beside it, as one file."""

import re
from collections.abc import Callable, Iterator

from leadline.learning.native.errors import NativeError
from leadline.learning.native.onnx_file import MODEL
from leadline.learning.native.protobuf import Message, decode, encode


def joined(data: bytes, part: Callable[[str], bytes], most: int) -> bytes:
    """The file with the numbers in it that it keeps in others, which ``part`` reads by their names. Raises NativeError."""
    model = decode(data, MODEL)
    room = most
    for tensor in _tensors(model):
        if 13 in tensor:
            tensor[9] = _elsewhere(tensor.pop(13), part)
            tensor.pop(14, None)
            room -= len(tensor[9])
        if room < 0:
            raise NativeError(f"has more than {most:,} bytes of numbers")
    return encode(model, MODEL)


def _tensors(model: Message) -> Iterator[Message]:
    graph = model.get(7, {})
    yield from graph.get(5, [])
    yield from (each[5] for node in graph.get(1, []) for each in node.get(5, []) if 5 in each)


def _elsewhere(entries: list[bytes], part: Callable[[str], bytes]) -> bytes:
    pairs = (decode(entry, {1: "bytes", 2: "bytes"}) for entry in entries)
    said = {str(each.get(1, b""), "utf-8", "replace"): str(each.get(2, b""), "utf-8", "replace") for each in pairs}
    start, size = said.get("offset", "0"), said.get("length", "")
    if not re.fullmatch(r"[0-9]{1,12}", start) or not re.fullmatch(r"[0-9]{0,12}", size):
        raise NativeError("has numbers in another file at no sound place")
    held = part(said.get("location", ""))[int(start) :]
    return held[: int(size)] if size else held
