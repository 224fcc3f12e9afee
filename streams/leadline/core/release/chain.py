"""The chain of the audit: each entry has the digest of the one before it.

The digest is the sha256 of the entry as canonical JSON (RFC 8785: keys sorted, no blanks), key and value of the record in base64.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from leadline.records import AuditEntry

if TYPE_CHECKING:
    from leadline.core.processor import Raw

KEY_BYTES, VALUE_BYTES = 16 << 10, 512 << 10
"""What is longer is left out of an entry, so that it fits into any topic as Kafka makes it (1 MiB)."""
NOTHING = "0" * 64
"""In place of the digest of the entry before the first one."""
NO_ENTRY = "it is no entry"
_NAMES = {each.name for each in fields(AuditEntry)}


class EntryError(ValueError):
    """A line is no entry; the message says why."""


@dataclass(slots=True)
class Chain:
    """A chain up to its newest entry: adds to it, or follows one that is there."""

    sequence: int = 0
    digest: str = NOTHING

    def add(self, topic: str, partition: int, raw: "Raw", arrival_ms: int) -> AuditEntry:
        """The entry of a record, which is the newest then."""
        left_out = _left_out(raw)
        key, value = (None if name in left_out else getattr(raw, name) for name in ("key", "value"))
        entry = AuditEntry(
            self.sequence + 1, self.digest, topic, partition, raw.offset, arrival_ms, key, value, left_out, digest=""
        )
        entry = replace(entry, digest=digest_of(entry))
        self.sequence, self.digest = entry.sequence, entry.digest
        return entry

    def follow(self, entry: AuditEntry) -> str:
        """What is wrong with the entry that stands next; empty where nothing is."""
        expected = self.sequence + 1
        if entry.sequence != expected:
            return f"in its place stands entry {entry.sequence}"
        if entry.digest != digest_of(entry):
            return "its digest is not that of what it holds: it was changed"
        if entry.previous != self.digest:
            return f"it does not follow entry {self.sequence} as that is here: one of the two is not the original"
        self.sequence, self.digest = entry.sequence, entry.digest
        return ""


class Wrong(NamedTuple):
    """The first entry that is not as it should be, by its place in the chain, and what is wrong."""

    sequence: int
    what: str


def first_wrong(chain: Chain, entries: Iterable[AuditEntry | str]) -> Wrong | None:
    """Follow a chain to its end, or to what is wrong; a text in place of an entry says why that cannot be read."""
    for entry in entries:
        what = entry if isinstance(entry, str) else chain.follow(entry)
        if what:
            return Wrong(chain.sequence + 1, what)
    return None


# -- the form of an entry -------------------------------------------------------------------------------------------------


def digest_of(entry: AuditEntry) -> str:
    """The digest of an entry by what it holds."""
    held = {name: value for name, value in as_fields(entry).items() if name != "digest"}
    return sha256(canonical(held).encode("utf-8", "surrogatepass")).hexdigest()


def canonical(held: Mapping[str, Any]) -> str:
    """Canonical JSON of texts, whole numbers, null and objects of them."""
    return json.dumps(held, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def to_json(entry: AuditEntry) -> str:
    """An entry as a line of an export has it."""
    return canonical(as_fields(entry))


def as_fields(entry: AuditEntry) -> dict[str, Any]:
    """An entry as JSON has it: bytes in base64, and the time in milliseconds."""
    held = {name: getattr(entry, name) for name in _NAMES}
    return held | {name: _text(held[name]) for name in ("key", "value")}


def from_json(line: bytes) -> AuditEntry:
    """The entry that a line of an export says; raises EntryError."""
    try:
        return _from_fields(json.loads(line, object_pairs_hook=_once))
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, EntryError) else EntryError(NO_ENTRY) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
    """An object; None where a name is in it twice, so that it could be read in two ways."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else None


def _from_fields(held: Any) -> AuditEntry:
    if not isinstance(held, dict) or held.keys() != _NAMES:
        raise EntryError(NO_ENTRY)
    try:
        parts = {
            name: None if held[name] is None else b64decode(held[name], validate=True) for name in ("key", "value")
        }
    except TypeError:
        raise EntryError(NO_ENTRY) from None
    entry = AuditEntry(**held | parts)
    if as_fields(entry) != held:
        raise EntryError("its key or value is not base64 in its usual form")
    return entry


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()


def _left_out(raw: "Raw") -> dict[str, str]:
    return {"value": raw.unreadable} if raw.unreadable else dict(_too_long(raw))


def _too_long(raw: "Raw") -> Iterator[tuple[str, str]]:
    for name, data, most in (("key", raw.key, KEY_BYTES), ("value", raw.value, VALUE_BYTES)):
        if data is not None and len(data) > most:
            yield name, f"{len(data)} bytes, sha256 {sha256(data).hexdigest()}"
