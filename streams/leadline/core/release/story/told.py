"""One thing that happened in a rollout, in a plain sentence."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from leadline.records import ACCEPTED, Alert, Assignment, Command, CommandAnswer, Record, Rollout, Verdict, iso


class Told(NamedTuple):
    """What happened and when. ``kind``: command, verdict, change or incident; ``record``: what it is read off."""

    at: int
    kind: str
    text: str
    record: Record | None = None


def percent(share: float) -> str:
    """A share in words.

    >>> percent(0.05), percent(0.3333), percent(1)
    ('5 %', '33.33 %', '100 %')
    """
    return f"{share * 100:.4g} %"


def command(asked: Command, answer: CommandAnswer | None) -> Told:
    """What a person asked for, and what was answered."""
    more = ", ".join(f"{name} {value}" for name, value in asked.arguments.items() if name != "version")
    what = " ".join([asked.kind, asked.arguments.get("version", asked.model), *([f"({more})"] if more else [])])
    if answer is None:
        return Told(
            asked.event_time, "command", f"{asked.actor} asked to {what}: {asked.reason}. Nobody has answered.", asked
        )
    why = f": {answer.reason}" if answer.answer != ACCEPTED else ""
    return Told(
        answer.as_of, "command", f"{asked.actor} asked to {what}: {asked.reason}. It was {answer.answer}{why}.", asked
    )


def verdict(found: Verdict) -> Told:
    """What a look at the evidence said."""
    by = f" by {found.actor}" if found.actor else ""
    return Told(found.as_of, "verdict", f"Verdict at {found.at}{by}: {found.verdict}: {found.reason}", found)


def verdicts(first: Verdict, last: Verdict, count: int) -> Told:
    """Several looks, one after the other, that said the same: what the last one said."""
    until = f"{count} looks until {iso(last.as_of)} said the same at {last.at}"
    return Told(first.as_of, "verdict", f"{until}: {last.verdict}, the last one: {last.reason}", last)


def incident(alert: Alert) -> Told:
    """An incident that the rollout opened, or its end."""
    cause = f": {alert.cause}" if alert.cause else ""
    return Told(alert.at, "incident", f"Incident {alert.alert_id} {alert.state}, {alert.severity}{cause}.", alert)


def change(rollout: Rollout, why: bool = True) -> Told:
    """What a change of who answers means; ``why``: with its reason, which a verdict may have told already."""
    by = f"by {rollout.actor}: {rollout.reason}" if rollout.actor else rollout.reason
    text = f"{_changed(rollout)} ({by})" if why else _changed(rollout)
    return Told(rollout.event_time, "change", text, rollout)


def remembered(held: Assignment) -> Told:
    """What held from a time on, of which only a later change tells."""
    text = f"{who_answers(held.champion, held.shares)} Why is not in the log any more."
    return Told(held.effective_at, "change", text)


def who_answers(champion: str, shares: Mapping[str, float]) -> str:
    """Which version answers how much, in a sentence.

    >>> who_answers("v1", {"v2": 0.05, "v3": 0})
    'v2 answers 5 % of the requests, v1 the rest; v3 answers nobody, and scores beside it.'
    """
    acting = [f"{name} answers {percent(share)} of the requests" for name, share in shares.items() if share > 0]
    silent = [name for name, share in shares.items() if not share > 0]
    said = ", ".join([*acting, f"{champion} the rest"]) if acting else f"{champion} answers all requests"
    return f"{said}; {', '.join(silent)} answers nobody, and scores beside it." if silent else f"{said}."


def _changed(rollout: Rollout) -> str:
    words = _WORDS.get(rollout.state)
    return words(rollout) if words else who_answers(rollout.champion, rollout.shares)


def _shadow(rollout: Rollout) -> str:
    sampled = "all requests" if rollout.sample >= 1 else f"{percent(rollout.sample)} of the requests"
    return f"In shadow: {rollout.challenger} scores {sampled} beside {rollout.champion}, and answers nobody."


def _canary(rollout: Rollout) -> str:
    return f"Canary, step {rollout.step + 1}: {who_answers(rollout.champion, rollout.shares)}"


def _watched(rollout: Rollout) -> str:
    return f"{rollout.champion} is champion. {rollout.before} scores on beside it, to go back to it at once."


def _back(rollout: Rollout) -> str:
    return f"Rolled back: {rollout.challenger or 'the challenger'} answers nobody any more, {rollout.champion} answers all requests."


def _aborted(rollout: Rollout) -> str:
    return f"Ended: {rollout.challenger or 'the challenger'} is taken out, {rollout.champion} answers all requests."


_WORDS: Mapping[str, Callable[[Rollout], str]] = {
    "shadow": _shadow,
    "canary": _canary,
    "ab": lambda rollout: f"Fixed shares: {who_answers(rollout.champion, rollout.shares)}",
    "paused": lambda rollout: f"Paused. {who_answers(rollout.champion, rollout.shares)}",
    "watched": _watched,
    "settled": lambda rollout: f"Settled: {rollout.champion} answers alone.",
    "aborted": _aborted,
    "rolled-back": _back,
    "rejected": lambda rollout: (
        f"Rejected: {rollout.challenger} is taken out, {rollout.champion} answers all requests."
    ),
}
