"""``leadline dead-letters``: what could not be used, and what to do about it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.common import Json, JsonLines, broker, moment_or_ago, put, put_json, say, wait_for
from leadline.foreign_text import as_json, as_text, shown
from leadline.records import iso
from leadline.settings import SettingsError
from leadline.wire.letters import Letter, Origin, Wanted, once, why_not
from leadline.wire.topics import BY_NAME, TopicName

if TYPE_CHECKING:
    from leadline.wire.letters import Seen

app = typer.Typer(
    no_args_is_help=True, help="Look at what could not be used, and send it again when its cause is mended."
)

Reason = Annotated[str, typer.Option(help="Only letters of this reason, such as model-unusable.")]
Topic = Annotated[
    TopicName | None,
    typer.Option(metavar="TOPIC", help=f"Only letters of records of this topic: {', '.join(BY_NAME)}."),
]
Since = Annotated[str, typer.Option(help="Only letters since then: ISO-8601 with zone, or so long ago, such as 2h.")]
Until = Annotated[str, typer.Option(help="Only letters before then.")]


@app.command("list")
def show_list(
    reason: Reason = "",
    topic: Topic = None,
    since: Since = "",
    until: Until = "",
    count: Annotated[int, typer.Option("-n", min=0, help="Show the newest so many; 0: all.")] = 50,
    json: JsonLines = False,
) -> None:
    """Show letters, and on standard error how many there are of each reason. A record that has two letters counts once."""
    wanted = _wanted(reason, topic, since, until)
    settings, bootstrap = broker()
    found = wait_for(_found(bootstrap, settings.prefix, wanted))
    for letter in found[-count:]:
        put(as_json(_fields(letter)) if json else _line(letter))
    for (of, why), number in Counter((_topic(each), each.reason) for each in found).most_common():
        say(f"{number} of {of or 'an unknown topic'}: {why or 'without a reason'}")
    if not found:
        say("no dead letters")


@app.command("show")
def show_one(
    letter: Annotated[str, typer.Argument(help="Partition and offset of the letter, such as 0/12.")],
    json: Json = False,
) -> None:
    """Show one letter: why, its headers, its key, and its value, decoded where that is possible."""
    from leadline.kafka.letters import letter_at

    at = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,18})", letter, re.ASCII)
    if at is None:
        raise typer.BadParameter(f"{letter!r} is not a partition and an offset, such as 0/12")
    settings, bootstrap = broker()
    found = wait_for(letter_at(bootstrap, settings.prefix, int(at[1]), int(at[2])))
    if found is None:
        raise SettingsError(f"there is no dead letter {letter}: `leadline dead-letters list` shows which there are")
    fields = _fields(found) | {"headers": dict(found.headers), "value": _value(found)}
    if json:
        put_json(fields)
        return
    for name, value in fields.items():
        put(f"{name}: {value if isinstance(value, str) else as_json(value)}")


@app.command("replay")
def send_again(
    reason: Reason = "",
    topic: Topic = None,
    since: Since = "",
    until: Until = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    json: JsonLines = False,
) -> None:
    """Send the records of letters again to where they were, each once; exit code 1 where some cannot be. Run one at a time.

    What was sent again, and failed again, is refused. So is what stages write.
    """
    wanted = _wanted(reason, topic, since, until)
    settings, bootstrap = broker()
    results = _Results(json, "would be sent again" if dry_run else "sent again")
    wait_for(_send_again(bootstrap, settings.prefix, wanted, dry_run, results))
    results.sum_up()
    if results.counts["refused"]:
        raise SystemExit(1)


class _Results:
    """Says what becomes of each letter, and counts it."""

    def __init__(self, json: bool, sent: str) -> None:
        self._json = json
        self._sent = sent
        self.counts: Counter[str] = Counter()

    def tell(self, letter: Letter, done: str, why: str = "") -> None:
        self.counts[done] += 1
        if self._json:
            put_json(_fields(letter) | {"done": done, "why": why})
        elif why:
            say(f"{letter.at} of {letter.origin or 'an unknown record'} is {done}: {why}")

    def sent(self, letter: Letter, why: str | None) -> None:
        self.tell(letter, "refused" if why else self._sent, why or "")

    def sum_up(self) -> None:
        names = dict.fromkeys([self._sent, *self.counts])
        say(", ".join(f"{self.counts[name]} {name}" for name in names))


async def _send_again(bootstrap: str, prefix: str, wanted: Wanted, dry_run: bool, results: _Results) -> None:
    from leadline.kafka.letters import look, send_back

    found = await _found(bootstrap, prefix, wanted)
    seen = await look(bootstrap, prefix, found)
    chosen = _chosen(found, seen, results)
    if dry_run:
        for letter in chosen:
            results.sent(letter, None)
    else:
        await send_back(bootstrap, prefix, chosen, seen, results.sent)


def _chosen(found: Sequence[Letter], seen: "Seen", results: _Results) -> list[Letter]:
    """Those whose records go back; the others are told of."""
    chosen = []
    for letter in found:
        why = why_not(letter, seen)
        if letter.at in seen.returned:
            results.tell(letter, "skipped, since it was sent again before")
        elif why is not None:
            results.tell(letter, "refused", why)
        else:
            chosen.append(letter)
    return chosen


async def _found(bootstrap: str, prefix: str, wanted: Wanted) -> list[Letter]:
    from leadline.kafka.letters import letters

    return once([letter.brief() async for letter in letters(bootstrap, prefix, wanted)])


def _wanted(reason: str, topic: TopicName | None, since: str, until: str) -> Wanted:
    return Wanted(reason, topic or "", moment_or_ago("since", since), moment_or_ago("until", until))


def _topic(letter: Letter) -> str:
    return letter.origin.topic if letter.origin else ""


def _line(letter: Letter) -> str:
    parts = [
        letter.at,
        iso(letter.timestamp),
        str(letter.origin or "?"),
        letter.reason,
        shown(as_text(letter.key) or "", 60),
    ]
    return "  ".join([*parts, letter.detail])


def _fields(letter: Letter) -> dict[str, Any]:
    """What is told of each letter."""
    key_bytes, value_bytes = letter.lengths
    return {
        "partition": letter.partition, "offset": letter.offset, "time": iso(letter.timestamp),
        "record": _place(letter.origin), "reason": letter.reason, "detail": letter.detail,
        "key": as_text(letter.key), "key_bytes": key_bytes, "value_bytes": value_bytes, "cut": letter.is_cut,
    }  # fmt: skip


def _place(origin: Origin | None) -> dict[str, Any] | None:
    return origin and {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset}


def _value(letter: Letter) -> Any:
    """The record in the letter; where it cannot be decoded, its bytes as text."""
    from leadline.wire.codec import read

    try:
        return asdict(read(_topic(letter), letter.value))
    except (ValueError, KeyError):
        return as_text(letter.value)
