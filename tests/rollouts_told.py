"""A whole rollout as its records tell it: v2 goes from shadow over a canary and a pause, and is rolled back."""

from leadline.records import (
    Alert,
    Assignment,
    Check,
    Command,
    CommandAnswer,
    Comparison,
    PairCounts,
    Rollout,
    Verdict,
)

HOUR = 3_600_000
ID = "r-1"
_ALONE = Assignment("v1", 0, {}, "", 1.0, "")


def at(state, revision, hours, **more):
    """A change of the rollout."""
    known = {
        "rollout_id": ID,
        "challenger": "v2",
        "mode": "canary",
        "state": state,
        "revision": revision,
        "before": "v0",
    }
    said = {
        "event_time": hours * HOUR,
        "effective_at": hours * HOUR,
        "actor": "rollout",
        "reason": "as the policy says",
    }
    return Rollout("m", "v1", **said | known | more)


def assignment(hours, share):
    return Assignment("v1", hours * HOUR, {"v2": share}, "salt", 1.0, ID)


def verdict(number, hours, says, place="canary"):
    checks = [Check("promote", "*", 0.7, 20.0, "no-evidence", "too little")]
    return Verdict(
        f"v-{number}", "m", "v2", "v1", place, says, checks, f"look {number} says {says}.", "", ID, hours * HOUR
    )


def compared(start, first, second, mature=True, segment="*", revision=1):
    counts = PairCounts(80, first, second, 5, 10, 2, 0, 0)
    return Comparison(
        "m",
        ID,
        "v1",
        "v2",
        segment,
        start,
        start + HOUR,
        1.0,
        revision,
        start,
        "binary",
        counts,
        counts if mature else None,
    )


STARTED = at(
    "shadow",
    2,
    1,
    mode="shadow",
    shares={"v2": 0.0},
    sample=0.25,
    cause="c-1",
    actor="ann",
    reason="try it",
    earlier=[_ALONE],
)
CANARY = at("canary", 3, 25, shares={"v2": 0.01}, cause="v-1", earlier=[assignment(1, 0.0), _ALONE])
PAUSED = at(
    "paused",
    4,
    26,
    shares={"v2": 0.01},
    cause="c-2",
    effective_at=25 * HOUR,
    earlier=[assignment(25, 0.01), assignment(1, 0.0), _ALONE],
)
BACK = at(
    "rolled-back",
    5,
    40,
    mode="none",
    rollout_id="",
    cause="v-7",
    reason="worse",
    earlier=[assignment(25, 0.01), assignment(1, 0.0), _ALONE],
)
CHANGES = [Rollout("m", "v1", 0, "ann", "first", revision=1), STARTED, CANARY, PAUSED, BACK]
COMMANDS = [
    Command("c-1", "start", "m", "ann", "try it", {"version": "v2", "mode": "shadow"}, HOUR),
    CommandAnswer("c-1", "m", "start", "accepted", "the rollout began", HOUR),
    Command("c-2", "pause", "m", "bob", "lunch", {"version": "v2"}, 26 * HOUR),
    CommandAnswer("c-2", "m", "pause", "accepted", "paused", 26 * HOUR),
    Command("c-3", "start", "m", "eve", "mine first", {"version": "v3"}, 27 * HOUR),
    CommandAnswer("c-3", "m", "start", "refused", "v2 is under way: abort it first", 27 * HOUR),
    Command("c-4", "start", "other", "eve", "elsewhere", {"version": "v3"}, 27 * HOUR),
]
VERDICTS = [
    verdict(0, 0, "promote", "gate"),
    verdict(1, 25, "hold", "shadow"),
    *(verdict(number, 26 + number, "hold") for number in range(2, 7)),
    verdict(7, 40, "roll-back"),
]
COMPARED = [
    compared(0, 30, 10),
    compared(HOUR, 20, 20),
    compared(2 * HOUR, 1, 1, mature=False),
    compared(0, 9, 9, segment="s=a"),
]
ALERTS = [
    Alert(
        "i-1",
        "rollout",
        "high",
        "opened",
        "m",
        "v2",
        "*",
        0,
        HOUR,
        1,
        {"rollout": ID},
        "",
        cause="v2 was rolled back",
        at=40 * HOUR,
    ),
    Alert("i-2", "performance", "high", "opened", "m", "v1", "*", 0, HOUR, 1, {}, "", cause="it fell", at=30 * HOUR),
]
EVERYTHING = [*CHANGES, *COMMANDS, *VERDICTS, *COMPARED, *ALERTS]
