"""Whatever is done to an export of the audit, both verifiers name the first entry that is not as it should be, and the same one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.core.processor import Raw
from leadline.core.release.audit import DECISIONS
from leadline.core.release.chain import Chain, EntryError, digest_of, first_wrong, from_json, to_json

SCRIPT = Path(__file__).parents[2] / "docs" / "audit_verify.py"
BYTES = st.none() | st.binary(max_size=20)
RECORDS = st.lists(
    st.tuples(st.sampled_from(DECISIONS), st.integers(0, 9), BYTES, BYTES, st.integers(0, 2**45), st.sampled_from(["", "ü\n"])),
    min_size=2,
    max_size=9,
)  # fmt: skip


def lines_of(records):
    chain, lines = Chain(), []
    for offset, (topic, partition, key, value, time, unreadable) in enumerate(records):
        lines.append(to_json(chain.add(topic, partition, Raw(offset, key, value, unreadable), time)))
    return lines


def items(lines):
    for line in lines:
        try:
            yield from_json(line.encode())
        except EntryError as error:
            yield str(error)


def ours(lines):
    wrong = first_wrong(Chain(), items(lines))
    return wrong and f"entry {wrong.sequence}: {wrong.what}"


def theirs(lines, tmp_path_factory, *kept):
    """What the program says that imports nothing of ours, which is loaded here as a module, so that many exports can be tried."""
    path = tmp_path_factory.getbasetemp() / "export.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    scope = {"__name__": "audit_verify"}
    exec(compile(SCRIPT.read_text("utf-8"), str(SCRIPT), "exec"), scope)
    return scope["main"](path, *kept)


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What both say of an export, which is the same."""

    def said(lines):
        found = ours(lines)
        assert (theirs(lines, tmp_path_factory) or None) == found
        return found

    return said


CHANGED = {
    "topic": st.sampled_from(["alerts", "odd", "", None, 1]),
    "key": st.sampled_from([None, "bQ==", "bR==", "?", "", 1]),
    "value": st.sampled_from([None, "bQ==", "bR==", "?", "", {}]),
    "sequence": st.sampled_from([0, 1, 2.0, "1", None, True, 10**30]),
    "partition": st.integers(-1, 9),
    "offset": st.integers(-1, 9),
    "arrival_time": st.integers(0, 9) | st.just(float("nan")),
    "previous": st.sampled_from(["", "0" * 64, None]),
    "digest": st.sampled_from(["", "0" * 64, None]),
    "left_out": st.sampled_from([{}, {"value": "x"}, [], None]),
}


@given(st.data())
@settings(max_examples=300)
def test_a_change_is_found_where_it_is(said, data):
    lines = lines_of(data.draw(RECORDS))
    assert said(lines) is None
    at, name = data.draw(st.integers(0, len(lines) - 1)), data.draw(st.sampled_from(sorted(CHANGED)))
    held = json.loads(lines[at])
    other = held | {name: data.draw(CHANGED[name])}
    if json.dumps(other, sort_keys=True) == json.dumps(held, sort_keys=True):
        return
    lines[at] = json.dumps(other)
    assert said(lines).startswith(f"entry {at + 1}: ")


@given(st.data())
@settings(max_examples=200)
def test_dropped_doubled_and_swapped_entries_are_found(said, data):
    lines = lines_of(data.draw(RECORDS))
    one, other = sorted(data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2, unique=True)))
    assert said(lines[:one] + lines[one + 1 :]).startswith(f"entry {one + 1}: in its place stands entry {one + 2}")
    doubled = lines[: one + 1] + lines[one:]
    assert said(doubled).startswith(f"entry {one + 2}: in its place stands entry {one + 1}")
    lines[one], lines[other] = lines[other], lines[one]
    assert said(lines).startswith(f"entry {one + 1}: in its place stands entry {other + 1}")


@given(st.data())
@settings(max_examples=100)
def test_bytes_that_are_no_entry_are_found(said, data):
    lines = lines_of(data.draw(RECORDS))
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = data.draw(
        st.sampled_from(
            [
                "",
                "{",
                "[]",
                "null",
                "1",
                '"\\ud800"',
                "[" * 20_000,
                lines[at][:-1] + ',"more":1}',
                '{"value":"bQ==",' + lines[at][1:],
            ]
        )
    )
    assert said(lines) == f"entry {at + 1}: it is no entry"


@given(st.data())
@settings(max_examples=100)
def test_a_change_with_a_new_digest_is_found_at_the_next_entry(said, data):
    lines = lines_of(data.draw(RECORDS))
    at = data.draw(st.integers(0, len(lines) - 2))
    other = json.loads(lines[at]) | {"offset": 99}
    entry = from_json(json.dumps(other).encode())
    lines[at] = json.dumps(other | {"digest": digest_of(entry)})
    assert said(lines).startswith(f"entry {at + 2}: it does not follow entry {at + 1}")


def test_what_a_chain_does_not_show_a_digest_that_was_kept_does(said, tmp_path_factory):
    lines = lines_of([("alerts", 0, b"k", b"%d" % n, n, "") for n in range(5)])
    kept = json.loads(lines[-1])["digest"]
    assert said(lines[:-1]) is None
    assert theirs(lines, tmp_path_factory, kept) == 0
    assert "cut off" in theirs(lines[:-1], tmp_path_factory, kept)


def verify(*arguments):
    done = subprocess.run([sys.executable, "-I", "-S", SCRIPT, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_program_runs_by_itself_in_sixty_lines(tmp_path):
    lines = lines_of([("alerts", 0, b"k", b"v", 1, ""), ("rollouts", 0, b"m", b"v", 2, "")])
    export = tmp_path / "export.jsonl"
    export.write_text("\n".join(lines) + "\n")
    assert verify(export) == (0, f"2 entries, whole; the head is {json.loads(lines[1])['digest']}\n")
    export.write_text("\n".join(reversed(lines)) + "\n")
    assert verify(export) == (1, "entry 1: in its place stands entry 2\n")
    assert verify(tmp_path / "none")[0] == 2
    assert len(SCRIPT.read_text().splitlines()) <= 60
    assert "leadline." not in SCRIPT.read_text()
