"""Some thousand hostile records; `scripts/fuzz` has as many as you like. And that it finds a decoder that is wrong."""

import random
import re
import signal
import time
from pathlib import Path

import pyarrow.compute as pc
import pytest
from fuzz.check import check, check_run
from fuzz.child import Child, DiedError
from fuzz.inputs import TOPICS, run
from fuzz.reference import ARRIVAL, REASONS, Raw
from fuzz.shrink import from_text, shrink, to_text

from leadline.records import Outcome
from leadline.wire import decoding, single
from leadline.wire.codec import value_of

GOOD = Raw(b"r1", value_of(Outcome("r1", 1.0, 5)))
LONG = Raw(b"r1", value_of(Outcome("r1", 1.0, 5)) + b"\0")


def test_the_product_and_the_reference_agree():
    done, number = 0, 0
    while done < 20_000 or number < 2 * len(TOPICS):
        found = check_run(1, number)
        assert not found.wrong, f"scripts/fuzz --seed 1 --first {number} --inputs 1: {found.wrong}"
        done, number = done + found.accepted + found.rejected.total(), number + 1


FOUND = [
    # a clock without a time
    "outcomes:7231:none:leadline-arrival-ms=none",
    # half a surrogate pair
    "outcomes:7231:7b22726571756573745f6964223a225c7564383030222c226f7574636f6d65223a312c226f7574636f6d655f74696d65223a357d",
    # no request id, in JSON
    "outcomes::7b22726571756573745f6964223a22222c226f7574636f6d65223a312c226f7574636f6d655f74696d65223a357d",
    # half a surrogate pair, in the detail
    "prediction-requests:7231:7b22726571756573745f6964223a227231222c226d6f64656c223a226d222c226576656e745f74696d65223a352c226665617475726573223a7b225c7564383030223a2278227d7d",
    # features that are no object
    "prediction-requests:7231:7b22726571756573745f6964223a227231222c226d6f64656c223a226d222c226576656e745f74696d65223a352c226665617475726573223a5b5d7d",
    # a missing feature of an impossible name
    "prediction-requests:7231:7b22726571756573745f6964223a227231222c226d6f64656c223a226d222c226576656e745f74696d65223a352c226665617475726573223a7b225c7564383030223a4e614e7d7d",
]


@pytest.mark.parametrize("word", FOUND)
def test_what_it_found_stays_mended(word):
    topic, record = from_text(word)
    assert not check(topic, [record]).wrong


def test_every_reason_is_in_the_table_of_limits():
    table = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text("utf-8")
    assert {reason for reason in REASONS if f"`{reason}`" not in table} == set()


def test_a_run_is_the_same_for_its_numbers():
    assert repr(run(1, 5)) == repr(run(1, 5)) != repr(run(2, 5))


def trailing_bytes_pass(patch):
    patch.setattr(decoding, "unusual", lambda *_: set())


def strings_of_any_bytes_pass(patch):
    def to_columns(bodies, name):
        try:
            return decoding.pyruhvro.deserialize_array(bodies, decoding.text(name))
        except Exception:  # noqa: BLE001 - as in the product
            return None

    patch.setattr(decoding, "_to_columns", to_columns)


def no_rule_is_kept(patch):
    patch.setattr(decoding, "broken", lambda *_: [])


def the_last_record_of_a_rewritten_run_is_lost(patch):
    rewritten = decoding._rewritten
    patch.setattr(decoding, "_rewritten", lambda *given: tuple(each[:-1] for each in rewritten(*given)))


def minus_zero_becomes_zero(patch):
    to_columns = decoding._to_columns

    def changed(bodies, name):
        columns = to_columns(bodies, name)
        if columns is None or name != "Outcome":
            return columns
        return columns.set_column(1, "outcome", pc.add(columns["outcome"], 0.0))

    patch.setattr(decoding, "_to_columns", changed)


def json_raises(patch):
    patch.setattr(single, "read_json", lambda _, value: value["request_id"])


def reasons_are_made_up(patch):
    letter = decoding._letter
    patch.setattr(decoding, "_letter", lambda run, i, reason, detail: letter(run, i, f"odd-{reason}", detail))


@pytest.mark.parametrize(
    ("break_it", "why"),
    [
        (trailing_bytes_pass, "not .*trailing-bytes"),
        (strings_of_any_bytes_pass, "not .*undecodable"),
        (no_rule_is_kept, "not .*time-out-of-range"),
        (the_last_record_of_a_rewritten_run_is_lost, "rows are without"),
        (minus_zero_becomes_zero, r"\[0.0\], not \[-0.0\]"),
        (json_raises, "TypeError"),
        (reasons_are_made_up, "odd-undecodable"),
    ],
)
def test_a_decoder_that_is_wrong_is_found(break_it, why, monkeypatch):
    break_it(monkeypatch)
    assert any(re.search(why, check_run(1, number).wrong) for number in range(200))


def test_a_failure_shrinks_to_the_one_record(monkeypatch):
    monkeypatch.setattr(decoding, "unusual", lambda *_: set())
    records = [GOOD] * 300 + [LONG] + [GOOD] * 99
    random.Random(1).shuffle(records)
    least = shrink(records, lambda fewer: bool(check("outcomes", fewer).wrong))
    assert len(least) == 1
    assert len(least[0].value) < len(LONG.value)
    assert "trailing-bytes" in check("outcomes", least).wrong


def test_a_line_names_a_record():
    for raw in (GOOD, Raw(None, b"", ((ARRIVAL, None), ("x", b":="))), Raw(b"", None)):
        assert from_text(to_text("outcomes", raw)) == ("outcomes", raw)


@pytest.mark.parametrize(
    ("work", "given", "seconds", "why"),
    [
        (signal.raise_signal, signal.SIGSEGV, 60, "ended with -11"),
        (time.sleep, 600, 0.2, "no answer within"),
        (bytearray, 1 << 50, 60, "ended with 1"),
    ],
)
def test_a_child_that_dies_or_hangs_is_known_and_comes_back(work, given, seconds, why):
    child = Child(work)
    for _ in range(2):
        with pytest.raises(DiedError, match=why):
            child.ask(given, seconds=seconds)
    child.close()
