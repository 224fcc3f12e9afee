"""Records of hostile producers, as the commands show them."""

import io
import json

import pytest
from rich.console import Console

from leadline.cli import tail
from leadline.cli.metrics_table import tables
from leadline.cli.record_fields import record_fields
from leadline.demo.screen import Screen
from leadline.foreign_text import as_json, lines_shown, shown
from leadline.kafka.cluster import Stored
from leadline.records import Alert, PredictionRequest, WindowMetrics
from leadline.wire.codec import value_of

HOSTILE = [
    "[/b]", "[unknown]", "[link=http://evil]x[/link]", "\x1b]0;t\x07", "\x9b31m", "\u202egnp", "a\u2028b\rc\n", "\u200b\u3164", "\ud800",
]  # fmt: skip
SEEN = "\x1b\x07\x9b\u202e\u2028\r\u200b\u3164\ud800"


def window(segment):
    said = {
        "model": "m",
        "model_version": "v1",
        "segment": segment,
        "window_start": 0,
        "state": segment,
        "task": "binary",
    }
    return WindowMetrics(**dict.fromkeys(WindowMetrics.__dataclass_fields__) | said | {"predictions": 1, "revision": 1})


def told(record):
    return record_fields(record)


def printed(what):
    console = Console(file=io.StringIO(), width=400, force_terminal=True, color_system=None)
    console.print(what)
    return console.file.getvalue()


@pytest.mark.parametrize("text", HOSTILE)
def test_metrics_and_the_demo_show_hostile_text(text):
    screen = Screen(Console(file=io.StringIO(), width=400), 0.9)
    screen.take(window(text))
    screen.take(Alert("a", text, "high", "opened", "m", "v1", text, 0, 1, 1, {text: text}, ""))
    for said in (printed(tables([window(text)], 3, Console(file=io.StringIO(), width=400))), printed(screen.render())):
        assert shown(text) in said
        assert not set(SEEN) & set(said)


@pytest.mark.parametrize("text", HOSTILE[:-1])
def test_tail_prints_json_that_says_what_came(text):
    request = PredictionRequest("r", text, 0, {"nan": float("nan"), "inf": float("inf")})
    line = as_json(tail.fields("prediction-requests", Stored(0, 1, 2, b"r", value_of(request), ()), told))
    assert not set(SEEN) & set(line)
    found = json.loads(line, parse_constant=lambda name: pytest.fail(name))
    assert (found["model"], found["features"]) == (text, {"nan": None, "inf": "Infinity"})


def test_tail_shows_letters_without_header_values_and_bytes_that_are_no_text():
    stored = Stored(0, 1, 2, b"\xff", b"\xff\x00", [("leadline-reason", None), ("h", b"\xfe")])
    found = json.loads(as_json(tail.fields("dead-letters", stored, told)))
    assert (found["key"], found["headers"]) == ("\\xff", {"leadline-reason": None, "h": "\\xfe"})
    assert "unreadable" in tail.fields("alerts", stored, told)


def test_what_is_shown_is_bounded():
    assert len(shown("x" * 10_000)) == 200
    assert lines_shown("a\nb\x1b") == "a\nb\\x1b"
