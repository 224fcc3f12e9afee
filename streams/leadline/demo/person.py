"""What the demo does in the place of a person: asks for a training, agrees, promotes, and lets a broken version in."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leadline.core.processor import Output
from leadline.core.release.story import ENDS
from leadline.demo.flights import history, model_settings
from leadline.demo.screen import Screen
from leadline.embedded.workers import Workers
from leadline.kafka.sender import open_sender
from leadline.learning.add import add_version, signature_of
from leadline.learning.train import train
from leadline.records import APPROVE, PROMOTE, RETRAIN, Candidate, Command, Verdict
from leadline.settings import Settings

_WAIT_S = 120.0


class Place(NamedTuple):
    """Where all of it happens."""

    settings: Settings
    bootstrap: str
    redis_url: str


async def train_again(place: Place, now_ms: int, screen: Screen, running: Sequence[Workers]) -> None:
    """Ask for a training where nothing has, wait until the trainer has answered, and agree where a person is asked for."""
    if not screen.counts["retrain"]:
        screen.say(
            "person",
            "the demo asks for a training all the same, `leadline retrain --force`: it is the storms, no outage",
        )
        await command(place, now_ms, RETRAIN, "it is the storms, no outage", {"force": "true"})
    await until(lambda: bool(screen.failed) or _held(screen) or _waiting(screen) is not None, running)
    waiting = _waiting(screen)
    if waiting is not None:
        screen.say("person", f"the demo agrees to {waiting.version}: `leadline approve`")
        await command(place, now_ms, APPROVE, "better on the held-out days", {"version": waiting.version})
        await until(lambda: bool(screen.rollouts), running)


def canary(screen: Screen) -> Verdict | None:
    """The newest verdict of a canary that goes on for want of a proof; None where none is under way."""
    newest = screen.verdicts.get("canary")
    is_held = newest is not None and newest.verdict == "hold" and newest.version != screen.champion
    return newest if is_held and screen.state == "canary" else None


async def promote(place: Place, now_ms: int, screen: Screen, running: Sequence[Workers]) -> None:
    """Make the version in the canary champion: days differ too much for a proof in a week, and a person may."""
    held = canary(screen)
    if held is not None:
        screen.say(
            "person",
            f"days differ too much to prove either in a week; the demo promotes {held.version} all the same, as a person may: "
            "`leadline rollout promote`",
        )
        await command(place, now_ms, PROMOTE, "it has learned from storms", {"version": held.version}, held.version)
        await until(lambda: screen.champion == held.version, running)


async def try_broken(place: Place, now_ms: int, screen: Screen, running: Sequence[Workers]) -> None:
    """A version whose features are swapped, which the demo lets past the gate: what it does to requests has to show."""
    if screen.state not in ("", *ENDS):
        screen.say("person", f"the rollout is not over ({screen.state}), so the demo does not try its broken v3")
        return
    screen.say("person", "the demo adds v3, its features swapped on purpose, lets it past the gate, and agrees to it")
    await asyncio.to_thread(add_broken, place.settings.models)
    verdict = Verdict(
        "demo-gate",
        "flights",
        "v3",
        screen.champion,
        "gate",
        "promote",
        [],
        "the demo lets it past",
        "demo",
        "",
        now_ms,
    )
    await _send(place, "candidates", Candidate("flights", "v3", screen.champion, "", "", "person", {}, now_ms), now_ms)
    await _send(place, "verdicts", verdict, now_ms)
    await until(lambda: _waiting(screen, "v3"), running)
    await command(place, now_ms, APPROVE, "to see it fail", {"version": "v3"}, "v3")


async def command(place: Place, now_ms: int, kind: str, reason: str, arguments: dict[str, str], of: str = "") -> None:
    """What a person would ask for on the command line, at a moment of the summer."""
    asked = Command(f"demo-{kind}{of}", kind, "flights", "demo", reason, arguments, now_ms)
    await _send(place, "commands", asked, now_ms)


async def _send(place: Place, topic: str, record: Candidate | Command | Verdict, now_ms: int) -> None:
    output = Output(topic, records=[record], arrival_ms=np.array([now_ms]))
    async with open_sender(place.bootstrap, place.settings.prefix, pass_on_arrival=True) as sender:
        await asyncio.gather(*await sender.send_outputs([output]))


def _waiting(screen: Screen, version: str = "") -> Verdict | None:
    """The version (or any) for which a person is asked; None: there is none."""
    asked = screen.verdicts.get("approval")
    if asked is None or asked.verdict != "hold" or asked.version == screen.champion:
        return None
    return asked if version in ("", asked.version) else None


def _held(screen: Screen) -> bool:
    """Whether the gate did not let the version through, so that nobody is asked."""
    gate = screen.verdicts.get("gate")
    return gate is not None and gate.verdict != "promote"


async def until(come: Callable[[], object], running: Sequence[Workers]) -> None:
    """Wait until something has come; for so long at most, on a machine that is busy."""
    deadline = time.monotonic() + _WAIT_S
    while not come() and time.monotonic() < deadline:
        for each in running:
            each.tend()
        await asyncio.sleep(0.2)


def add_broken(root: Path) -> None:
    """Add v3, which was trained with its numbers in the reverse order: with one feature in the place of another."""
    model, (past, reference) = model_settings(), history()
    swapped = past
    for name, other in zip(model.numeric, reversed(model.numeric), strict=True):
        swapped = swapped.set_column(swapped.column_names.index(name), name, past[other])
    add_version(root, model, "v3", train(swapped, model, "label"), reference, "label", signature_of(past, model))
