"""Which version answers a request: computed again from a record of `rollouts`."""

import hashlib


def answers(rollout, request, arrival_ms):
    """The version that answers a request, of a record of `rollouts` as a dict."""
    for each in (rollout, *rollout["earlier"]):
        if arrival_ms >= each["effective_at"]:
            break
    who = request["user_id"] or request["request_id"]
    digest = hashlib.sha256(each["salt"].encode() + b"\0" + who.encode()).digest()
    bucket, above = int.from_bytes(digest[:8], "big") / 2**64, 0.0
    for name in sorted(each["shares"]):
        above += each["shares"][name]
        if bucket < above:
            return name
    return each["champion"]
