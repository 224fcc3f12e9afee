"""Verify an export of Leadline's audit without Leadline: python audit_verify.py EXPORT.jsonl [DIGEST_THAT_YOU_KEPT]

The digest of an entry is the sha256 of its other fields as canonical JSON (RFC 8785); ``previous`` is that of the entry before. Exit
code 1: the first bad entry is named. That the tail was cut off, or all written anew, only a digest shows that was kept elsewhere.
"""

import base64
import hashlib
import json
import pathlib
import sys

NAMES = set("sequence previous topic partition offset arrival_time key value left_out digest".split())


def digest_of(entry):
    held = {name: value for name, value in entry.items() if name != "digest"}
    text = json.dumps(held, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def unreadable(line):
    try:
        entry = json.loads(line)
        if not isinstance(entry, dict) or entry.keys() != NAMES:
            return None, "it is no entry"
        parts = [part for part in (entry["key"], entry["value"]) if part is not None]
        if any(base64.b64encode(base64.b64decode(part, validate=True)).decode() != part for part in parts):
            return None, "its key or value is not base64 in its usual form"
    except (ValueError, TypeError, RecursionError):
        return None, "it is no entry"
    return entry, ""


def main(path, kept=""):
    sequence, digest, seen = 0, "0" * 64, not kept
    with pathlib.Path(path).open("rb") as lines:
        for line in lines:
            entry, wrong = unreadable(line)
            if not wrong and entry["sequence"] != sequence + 1:
                wrong = f"in its place stands entry {entry['sequence']}"
            if not wrong and entry["digest"] != digest_of(entry):
                wrong = "its digest is not that of what it holds: it was changed"
            if not wrong and entry["previous"] != digest:
                wrong = f"it does not follow entry {sequence} as that is here: one of the two is not the original"
            if wrong:
                return f"entry {sequence + 1}: {wrong}"
            sequence, digest, seen = sequence + 1, entry["digest"], seen or entry["digest"] == kept
    if not seen:
        return f"no entry has the digest {kept}: the tail of the chain was cut off, or all of it was written anew"
    print(f"{sequence} entries, whole; the head is {digest}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (OSError, TypeError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
