"""What the demo shows: each note whole and in order, and the newest of them on a small terminal."""

import io
from dataclasses import fields

import pytest
from rich.console import Console

from leadline.demo.screen import Screen
from leadline.records import Alert, Metric, Rollout, Verdict, WindowMetrics

DAY = 86_400_000
CAUSE = (
    "accuracy 0.61 of labelled, limit 0.71; with drift of "
    + ", ".join(f"feature_{each}" for each in range(30))
    + ", end"
)


def window(segment, start, version, state="provisional"):
    blank = dict.fromkeys((each.name for each in fields(WindowMetrics)), None)
    said = {
        "model": "flights", "model_version": version, "segment": segment, "window_start": start, "state": state, "task": "binary",
        "predictions": 12_345, "revision": 1, "coverage": 0.97, "accuracy": Metric(0.627, 0.593, 0.659), "auc": Metric(0.745, None, None),
    }  # fmt: skip
    return WindowMetrics(**blank | said)


def screen(**more):
    console = Console(file=io.StringIO(), **{"width": 80, "height": 24, "color_system": None} | more)
    return Screen(console, 0.77)


def printed(shown, what):
    shown.console.file.truncate(shown.console.file.seek(0))
    shown.console.print(what)
    return shown.console.file.getvalue()


def test_piped_a_note_is_whole_in_order_and_says_what_happened_and_why():
    shown = screen()
    shown.now_ms = 3 * DAY
    shown.take(
        Alert("a", "performance", "critical", "opened", "flights", "v1", "*", DAY, 2 * DAY, 1, {}, "", cause=CAUSE)
    )
    shown.take(
        Rollout(
            "flights", "v1", DAY, "ann", "try it", rollout_id="r", challenger="v2", state="shadow", shares={"v2": 0.0}
        )
    )
    shown.take(Verdict("v", "flights", "v2", "v1", "gate", "promote", [], "all 8 checks passed", "", "", DAY))
    lines = shown.console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert {line[:6] for line in lines if line[0] != " "} == {"Jan 04"}, (
        "the day on which it came, whatever it is about"
    )
    said = " ".join(" ".join(lines).split())
    assert f"Jan 04 incident performance opened, critical, day Jan 02: {CAUSE}" in said
    assert "rollout In shadow: v2 scores all requests beside v1, and answers nobody. (by ann: try it)" in said
    assert "gate promote v2: all 8 checks passed" in said


def test_a_reason_is_told_once():
    shown = screen()
    begins = "the rollout begins (shadow): try it"
    shadow = Rollout(
        "flights", "v1", 0, "ann", "try it", rollout_id="r", challenger="v2", state="shadow", shares={"v2": 0.0}
    )
    shown.take(shadow)
    shown.take(Verdict("v", "flights", "v2", "v1", "shadow", "hold", [], begins, "ann", "", 0))
    shown.take(Verdict("w", "flights", "v2", "v1", "canary", "roll-back", [], "it is worse", "", "", 0))
    back = Rollout("flights", "v1", 0, "rollout", "it is worse", revision=1, challenger="v2", state="rolled-back")
    shown.take(back)
    said = " ".join(shown.console.file.getvalue().split())
    assert (said.count("try it"), said.count("it is worse")) == (1, 1)
    assert (shown.state, set(shown.verdicts)) == ("rolled-back", {"shadow", "canary"})


@pytest.mark.parametrize("height", [24, 50])
def test_on_a_terminal_of_80_columns_the_newest_notes_have_room(height):
    shown = screen(height=height, force_terminal=True)
    for number, segment in enumerate(("*", "origin=EWR", "origin=JFK", "origin=LGA")):
        for day in range(4):
            shown.take(window(segment, day * DAY, f"v{number % 2 + 1}"))
    for number in range(9):
        shown.say("person", f"note {number} " + "long " * 30)
    lines = printed(shown, shown.render()).splitlines()
    assert len(lines) <= height - 1
    assert max(map(len, lines)) <= 80
    assert "note 8" in "".join(lines)
    assert "62.7% (59.3 to 65.9%)" in "".join(lines), "not broken over lines"
    assert "provisional" in "".join(lines)


def test_at_the_end_piped_the_notes_are_not_told_again():
    shown = screen()
    shown.take(window("*", 0, "v1"))
    shown.say("person", "agrees")
    assert "agrees" not in printed(shown, shown.result())
