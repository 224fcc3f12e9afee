"""Whether somebody trains what is asked for."""

from collections.abc import Iterator

from leadline.cli.checkup.findings import Asked, Finding, Seen, for_long, note, wrong

ENDED = ("succeeded", "failed", "cancelled")
_SILENT_MS = 900_000
"""A trainer tells of what it does every few minutes."""


def judge_trainings(seen: Seen) -> Iterator[Finding]:
    """The newest request of each model: whether it has an end, and else whether a trainer works on it."""
    answers = {each.model: each.champion for each in seen.rollouts}
    heard_ms = max((each.told_ms for each in seen.trainings if each.told_ms is not None), default=0)
    for each in seen.trainings:
        yield _training(each, answers.get(each.model, each.version), seen.now_ms, seen.now_ms - heard_ms < _SILENT_MS)


def _training(asked: Asked, champion: str, now_ms: int, a_trainer_lives: bool) -> Finding:
    what, silent_ms = f"training of {asked.model}", now_ms - (asked.told_ms or asked.asked_ms)
    if asked.state in ENDED:
        return Finding(what, f"{asked.retrain_id} {asked.state} {for_long(silent_ms)} ago")
    if not asked.state and champion != asked.version:
        return Finding(what, f"{asked.retrain_id} is over: {champion} answers, it was for {asked.version}")
    if silent_ms <= _SILENT_MS:
        return Finding(what, f"{asked.retrain_id}: {asked.state or 'asked for'} {for_long(silent_ms)} ago")
    if not asked.state and a_trainer_lives:
        mend = "wait: a trainer works on one after the other"
        return note(what, f"{asked.retrain_id} waits for its turn since {for_long(silent_ms)}", mend, asked.asked_ms)
    last = f"told {asked.state} last, and has told nothing" if asked.state else "has told nothing of it"
    return wrong(
        what,
        f"no trainer works on {asked.retrain_id}: one {last} for {for_long(silent_ms)}",
        "start a trainer, and look at the log of the one that ran; the request waits in the log for it",
        asked.told_ms or asked.asked_ms,
    )
