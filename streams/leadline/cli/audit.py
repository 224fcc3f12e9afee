"""``leadline audit``: the chain of what was decided; shown, verified, asked, handed out."""

import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from leadline.cli.audit_log import Item, decision, exported, logged
from leadline.cli.common import (
    Json,
    JsonAlways,
    JsonLines,
    broker,
    moment_ms,
    moment_or_ago,
    put,
    put_json,
    say,
    wait_for,
)
from leadline.core.release.chain import NOTHING, Chain, to_json
from leadline.records import SHADOW, AuditEntry, Prediction, Record, iso
from leadline.settings import SettingsError

if TYPE_CHECKING:
    from leadline.cli.audit_who import History, Step

app = typer.Typer(
    no_args_is_help=True, help="Look at what was decided, by whom and why, and prove that nobody changed it."
)
_NOT_SHOWN = (
    "A chain does not show that its newest entries were cut off, nor that all of it was written anew: keep this digest where nobody who "
    "may write to Kafka may write, and give it to --head the next time."
)


@app.command("show")
def show(
    model: Annotated[str, typer.Option(help="Only decisions about this model.")] = "",
    since: Annotated[str, typer.Option(help="Only since then: ISO-8601 with zone, or so long ago, such as 2h.")] = "",
    json: JsonLines = False,
) -> None:
    """Show the decisions, one a line: its number in the chain, when, in which topic, and what it says."""
    since_ms = moment_or_ago("since", since)
    settings, bootstrap = broker()
    wait_for(_show(logged(bootstrap, settings.prefix), model, since_ms or 0, json))


async def _show(items: AsyncIterator[Item], model: str, since_ms: int, json: bool) -> None:
    from leadline.cli.audit_words import line

    async for item in items:
        if isinstance(item, str):
            say(f"an entry that cannot be read: {item}")
        elif item.arrival_time >= since_ms and (not model or _model(decision(item)) == model):
            put_json(_fields(item)) if json else put(line(item))


def _model(record: Record | None) -> str:
    return getattr(record, "model", "")


def _fields(entry: AuditEntry) -> dict[str, Any]:
    from leadline.cli.record_fields import record_fields

    record = decision(entry)
    return {
        "sequence": entry.sequence, "time": iso(entry.arrival_time), "topic": entry.topic, "partition": entry.partition,
        "offset": entry.offset, "kind": record and type(record).__name__,
        "decision": record and record_fields(record), "left_out": entry.left_out, "digest": entry.digest,
    }  # fmt: skip


# -- verify ---------------------------------------------------------------------------------------------------------------


@app.command("verify")
def verify(
    file: Annotated[Path | None, typer.Option("--from", help="An export, in place of the topic.")] = None,
    head: Annotated[str, typer.Option(help="A digest that you kept: an entry has to have it.")] = "",
    json: Json = False,
) -> None:
    """Walk the chain; exit code 1 where it is not whole, with its first bad entry by number and what is wrong.

    docs/audit_verify.py does the same to an export, without Leadline.
    """
    walk = wait_for(_walk(exported(file) if file is not None else _logged(), _digest(head)))
    if json:
        put_json(walk.as_fields())
    else:
        for line in walk.lines():
            put(line)
    if walk.wrong:
        raise SystemExit(1)


def _digest(head: str) -> str:
    """A digest as it is compared. Raises BadParameter for what is none: it would look like a chain that was cut off."""
    found = head.strip().lower()
    if found and not re.fullmatch("[0-9a-f]{64}", found):
        raise typer.BadParameter(
            f"--head {head!r} is no digest: it has 64 hexadecimal digits, as `leadline audit verify` says it"
        )
    return found


def _logged() -> AsyncIterator[Item]:
    settings, bootstrap = broker()
    return logged(bootstrap, settings.prefix)


class _Walk(NamedTuple):
    """How far a chain is whole, and the first thing that is wrong with it."""

    chain: Chain
    wrong: str

    def as_fields(self) -> dict[str, Any]:
        return {
            "whole": not self.wrong,
            "entries": self.chain.sequence,
            "head": self.chain.digest,
            "wrong": self.wrong or None,
        }

    def lines(self) -> list[str]:
        count, head = self.chain.sequence, self.chain.digest
        if self.wrong:
            return [self.wrong, f"before it {count} entries are whole; the last of them has the digest {head}"]
        return [f"{count} entries, whole; the head is {head}", *([_NOT_SHOWN] if count else [])]


async def _walk(items: AsyncIterator[Item], kept: str) -> _Walk:
    chain, seen = Chain(), kept in ("", NOTHING)
    async for item in items:
        what = item if isinstance(item, str) else chain.follow(item)
        if what:
            return _Walk(chain, f"entry {chain.sequence + 1}: {what}")
        seen |= chain.digest == kept
    cut = f"no entry has the digest {kept}: the tail of the chain was cut off, or all of it was written anew"
    return _Walk(chain, "" if seen else cut)


# -- export ---------------------------------------------------------------------------------------------------------------


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Where to write it; - is standard output.")],
    _: JsonAlways = False,
) -> None:
    """Write all entries as lines of JSON, byte for byte: for an auditor, who can verify them without Leadline (docs/audit_verify.py)."""
    settings, bootstrap = broker()
    try:
        if str(file) == "-":
            count = wait_for(_export(logged(bootstrap, settings.prefix), sys.stdout.buffer.write))
        else:
            part = file.with_name(f".{file.name}.part")  # half an export would look like a whole chain
            with part.open("wb") as lines:
                count = wait_for(_export(logged(bootstrap, settings.prefix), lines.write))
            part.replace(file)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be written: {error.strerror}") from None
    say(f"{count} entries")


async def _export(items: AsyncIterator[Item], write: Any) -> int:
    """What is no entry is a line that says so: whoever verifies the export finds it."""
    count = 0
    async for item in items:
        text = to_json(item) if isinstance(item, AuditEntry) else '{"unreadable":true}'
        write(f"{text}\n".encode())
        count += 1
    return count


# -- who ------------------------------------------------------------------------------------------------------------------


@app.command("who")
def who(
    request: Annotated[str, typer.Option(help="The id of a request that was answered.")] = "",
    at: Annotated[str, typer.Option(help="A moment, ISO-8601 with zone; with --model.")] = "",
    model: Annotated[str, typer.Option(help="The model; with --request, where several answered it.")] = "",
    json: JsonLines = False,
) -> None:
    """Say which version answered, who let it and why, which verdict of the gate, and which training and receipt made it."""
    if bool(request) == bool(at) or (at and not model):
        raise typer.BadParameter("name either --request ID, or --at TIME and --model MODEL")
    at_ms = _moment(at) if at else 0
    settings, bootstrap = broker()
    if request:
        found = wait_for(_answers(bootstrap, settings.prefix, request))
        answers = [each for each in found if model in ("", each.model)]
        if not answers:
            raise SettingsError(
                f"no prediction of {request} is in the log: it was never scored, or is older than what is kept"
            )
    else:
        answers = [_Asked(model, None, at_ms, "")]
    histories = wait_for(_histories(logged(bootstrap, settings.prefix), {each.model for each in answers}))
    for each in answers:
        _tell(each, histories[each.model], json)


def _moment(text: str) -> int:
    try:
        return moment_ms(text)
    except ValueError as error:
        raise typer.BadParameter(f"--at: {error}") from None


class _Asked(NamedTuple):
    """What is to be explained: the version that answered, or (None) the champion of a time."""

    model: str
    version: str | None
    at_ms: int
    said: str


async def _answers(bootstrap: str, prefix: str, request: str) -> list[_Asked]:
    """What versions that answer said of a request, each the first time."""
    from leadline.kafka.reader import Reader
    from leadline.wire.codec import read
    from leadline.wire.partitions import partition_of

    key, found = request.encode(), dict[tuple[str, str], _Asked]()
    async with Reader(bootstrap, f"{prefix}.predictions") as every:
        number = partition_of(key, len(every.partitions))
    async with Reader(bootstrap, f"{prefix}.predictions", partitions=[number]) as reader:
        await reader.from_beginning()
        async for run in reader.until(await reader.ends()):
            for value in (value for each, value in zip(run.keys, run.values, strict=True) if each == key):
                try:
                    made = read("predictions", value)
                except ValueError:
                    continue
                assert isinstance(made, Prediction)
                if made.role != SHADOW:
                    said = f"request {request}: {made.model} {made.model_version} answered {made.score:g} at {iso(made.scored_at)}"
                    asked = _Asked(made.model, made.model_version, made.scored_at, said)
                    found.setdefault((made.model, made.model_version), asked)
    return list(found.values())


async def _histories(items: AsyncIterator[Item], models: set[str]) -> dict[str, "History"]:
    from leadline.cli.audit_who import History

    found = {model: History() for model in models}
    async for item in items:
        if isinstance(item, AuditEntry) and (record := decision(item)) is not None and _model(record) in found:
            found[_model(record)].add(item, record)
    return found


def _tell(asked: _Asked, history: "History", json: bool) -> None:
    rollout = history.rollout(asked.at_ms, asked.version)
    version = asked.version or (rollout[1].champion if rollout else None)
    if version is None:
        raise SettingsError(
            f"the audit has no rollout of {asked.model} until {iso(asked.at_ms)}: nobody answered for it"
        )
    steps = list(history.explain(version, rollout))
    if json:
        told = {"model": asked.model, "version": version, "time": iso(asked.at_ms)}
        put_json(told | {"steps": [_step_fields(each) for each in steps]})
        return
    put(asked.said or f"at {iso(asked.at_ms)} {asked.model} {version} was champion")
    for each in steps:
        put(f"  {_in_words(each)}")


def _in_words(step: "Step") -> str:
    from leadline.cli.audit_words import said

    if step.entry is None:
        return f"{step.what}: {step.missing}"
    return f"{step.what} (entry {step.entry.sequence}, {iso(step.entry.arrival_time)}): {said(step.entry, step.record)}"


def _step_fields(step: "Step") -> dict[str, Any]:
    return {"what": step.what, "missing": step.missing or None, "entry": step.entry and _fields(step.entry)}
