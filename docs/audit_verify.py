"""Verify an export of Leadline's audit without Leadline: python audit_verify.py EXPORT.jsonl [DIGEST_THAT_YOU_KEPT]"""

# The digest of an entry is the sha256 of its other fields as canonical JSON (RFC 8785); ``previous`` is that of the entry before. Exit
# code 1: the first bad entry is named. That the tail was cut off, or all written anew, only a digest shows that was kept elsewhere.

import base64
import hashlib
import json
import sys

NAMES = set("sequence previous topic partition offset arrival_time key value left_out digest".split())


def digest_of(entry):
    held = {name: value for name, value in entry.items() if name != "digest"}
    text = json.dumps(held, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def once(pairs):
    return dict(pairs) if len(dict(pairs)) == len(pairs) else None


def wrong_with(entry, sequence, digest):
    if entry.keys() != NAMES:
        return "it is no entry"
    for part in {entry["key"], entry["value"]} - {None}:
        if base64.b64encode(base64.b64decode(part, validate=True)).decode() != part:
            return "its key or value is not base64 in its usual form"
    if entry["sequence"] != sequence:
        return f"in its place stands entry {entry['sequence']}"
    if entry["digest"] != digest_of(entry):
        return "its digest is not that of what it holds: it was changed"
    if entry["previous"] != digest:
        return f"it does not follow entry {sequence - 1} as that is here: one of the two is not the original"
    return ""


def main(path, kept=""):
    sequence, digest, seen = 0, "0" * 64, not kept.strip("0")
    for sequence, line in enumerate(open(path, "rb"), 1):  # noqa: SIM115, PTH123 - it ends with the program
        try:
            wrong = wrong_with(entry := json.loads(line, object_pairs_hook=once), sequence, digest)
        except (ValueError, TypeError, AttributeError, RecursionError):
            wrong = "it is no entry"
        if wrong:
            return f"entry {sequence}: {wrong}"
        digest, seen = entry["digest"], seen or entry["digest"] == kept.lower()
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
