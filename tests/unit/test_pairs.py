"""The join counts pairs of versions, and what was kept before there were shadows goes on."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest

from factories import prediction
from leadline.core.columnar.progress import NEVER, Progress
from leadline.core.join.request_state import FORMAT, RequestState, StoredPrediction
from leadline.core.join.state_columns import States
from leadline.core.store_keys import JoinKeys
from leadline.core.windows.loss_grid import GRID, ONE, difference, neighbours
from leadline.records import PairCounts, PairPartial
from leadline.settings import ModelSettings
from leadline.wire.codec import decode, key_of, value_of
from leadline.wire.run import Run
from logs import JoinRun

SETTINGS = ModelSettings(name="m", horizon=200, window=100, grace=600)


def said(version, label, arrival=0, offset=0, **changes):
    record = {
        "request_id": "r", "model_version": version, "event_time": 0, "score": 0.5, "label_pred": label, "segment": "eu",
        "arrival_time": arrival, "offset": offset,
    }  # fmt: skip
    return record | changes


def outcome(value, time, offset):
    return {"request_id": "r", "outcome": value, "outcome_time": time, "arrival_time": time, "offset": offset}


def cells(run, key=("v1", "v2", 0, "*", 1.0)):
    counts = run.pairs[key].counts
    return counts.both, counts.first, counts.second, counts.neither, counts.alike, counts.unlike


def test_a_pair_follows_its_label():
    run = JoinRun(SETTINGS.model_copy(update={"policy": "latest"}))
    run.feed("predictions", [said("v1", 0)])
    run.feed("shadow-predictions", [said("v2", 1)])
    assert cells(run) == (0, 0, 0, 0, 0, 1)
    for at, (value, expected) in enumerate(
        [(1.0, (0, 0, 1, 0, 0, 0)), (0.0, (0, 1, 0, 0, 0, 0)), (None, (0, 0, 0, 0, 0, 1))]
    ):
        run.feed("outcomes", [outcome(value, 10 + at, at)])
        assert cells(run) == cells(run, ("v1", "v2", 0, "eu", 1.0)) == expected


def test_a_shadow_counts_in_pairs_alone_and_is_no_reason_to_refuse_what_answers():
    run = JoinRun(SETTINGS)
    run.feed("shadow-predictions", [said("v2", 1)])
    run.feed("outcomes", [outcome(1.0, 10, 0)])
    assert not run.windows
    assert not run.labels
    [(_, kept)] = run.store.scan(JoinKeys.REQUEST, JoinKeys.REQUEST + b"\xff")
    assert [each.body for each in RequestState.unpack(kept).predictions] == [b""]
    assert (run.counts()["predictions"], run.counts()["outcomes_orphan"]) == (0, 1)
    many = [said(f"s{i}", 1, offset=1 + i, segment=None) for i in range(80)]
    run.feed("shadow-predictions", many)
    assert {reason for _, reason in run.rejects} == {"too-many-versions"}
    run.rejects.clear()
    run.feed("predictions", [said("v1", 1)])
    assert not run.rejects
    assert (run.counts()["matched"], run.counts()["outcomes_used"]) == (1, 1)


def test_of_what_a_version_answered_and_said_in_shadow_the_answer_counts():
    run = JoinRun(SETTINGS)
    run.feed("shadow-predictions", [said("v1", 1), said("v2", 1, offset=1)])
    assert cells(run) == (0, 0, 0, 0, 1, 0)
    run.feed("predictions", [said("v1", 0)])
    assert cells(run) == (0, 0, 0, 0, 0, 1)


@pytest.mark.parametrize("changes", [{"event_time": 1}, {"segment": "us"}, {"model": "n"}])
def test_what_is_not_said_of_the_same_is_no_pair(changes):
    run = JoinRun(SETTINGS, SETTINGS.model_copy(update={"name": "n"}))
    run.feed("predictions", [said("v1", 0)])
    run.feed("shadow-predictions", [said("v2", 1, **changes)])
    assert not run.pairs


def test_a_shadow_that_stops_holds_up_windows_of_pairs_for_an_hour_and_nothing_else():
    run = JoinRun(SETTINGS)
    run.feed("predictions", [said("v1", 0), said("v2", 0, offset=1)])
    run.take(run.join.on_time(1000, frozenset({"predictions", "outcomes"})), [])
    assert run.windows["v1", 0, "*"].mature is not None
    assert run.pairs["v1", "v2", 0, "*", 1.0].mature is None
    run.take(run.join.on_time(3_600_000 + 302, frozenset({"predictions", "outcomes"})), [])
    assert run.pairs["v1", "v2", 0, "*", 1.0].mature is not None
    run.pass_time(4_000_000)
    assert not list(run.store.scan(JoinKeys.PAIR, JoinKeys.PAIR + b"\xff"))


@pytest.mark.parametrize("sample", [0.0, -0.5, 1.5, float("nan"), float("inf")])
def test_a_share_that_is_none_is_refused(sample):
    run = JoinRun(SETTINGS)
    run.feed("shadow-predictions", [said("v2", 1, sample=sample)])
    assert run.rejects == [("r", "sample-out-of-range")]


def test_a_shadow_under_another_key_is_a_dead_letter():
    record = prediction("r", model_version="v2")
    run = Run("shadow-predictions", 0, [0], [0], [b"other"], [value_of(record)], [()])
    batch, [letter] = decode(run, 1 << 20)
    assert (len(batch), letter.reason) == (0, "key-mismatch")
    assert key_of("shadow-predictions", record) == b"r"


OLD_HEAD, OLD_ENTRY, OLD_OUTCOME = "<BBH", "<qIdbBI", "<qqqdq"


def test_a_state_of_before_is_read_with_what_predictions_have_since_then():
    bodies = b"one", b"other"
    entries = [struct.pack(OLD_ENTRY, 5, 0, 0.5, 1, 1, 3), struct.pack(OLD_ENTRY, 5, 1, 0.25, 0, 0, 5)]
    old = struct.pack(OLD_HEAD, 2, 2, 1) + b"".join([*entries, *bodies]) + struct.pack(OLD_OUTCOME, 7, 6, 6, 1.0, 6)
    end = b"\x00" + struct.pack("<d", 1.0)
    state = RequestState.unpack(old)
    assert state.predictions == [
        StoredPrediction(5, 0, 0.5, 1, 1, b"one" + end),
        StoredPrediction(5, 1, 0.25, 0, 0, b"other" + end),
    ]
    assert [each.offset for each in state.outcomes] == [7]
    values = States.of([None, old]).values
    assert values[1] == state.pack()
    assert values[1][0] == FORMAT == values[0][0]


def test_progress_of_before_is_read():
    assert Progress.unpack(struct.pack("<6q", *range(6))) == Progress(*range(6), NEVER, NEVER)


def test_losses_stand_on_a_grid_whose_tallies_err_on_a_known_side():
    rng = np.random.default_rng(0)
    given = difference(rng.normal(size=5000), rng.normal(size=5000), np.full(5000, 1.5))
    below, *shares = neighbours(given)
    for share, sign in zip(shares, (-1, 1), strict=True):
        means = (GRID[below] * (ONE - share) + GRID[below + 1] * share) / ONE
        assert (sign * (means - given) >= -1e-12).all()
        assert np.abs(means - given).max() < 1 / ONE


PARTIAL = PairPartial(
    "m",
    "v1",
    "v2",
    "*",
    0,
    100,
    0,
    1.0,
    1,
    100,
    "mature",
    "binary",
    PairCounts(1, 0, 0, 0, 0, 0, 5, -5),
    PairCounts(*[0] * 8),
)
BAD = [
    ("unknown-state", {"state": "odd"}),
    ("counts-out-of-range", {"sample": 0.0}),
    ("counts-out-of-range", {"sample": float("nan")}),
    ("counts-out-of-range", {"revision": -1}),
    ("counts-out-of-range", {"source_partition": -1}),
    ("counts-out-of-range", {"counts": replace(PARTIAL.counts, unlike=-1)}),
    ("counts-out-of-range", {"mature": replace(PARTIAL.counts, both=2**47)}),
    ("counts-disagree", {"first": "v2"}),
    ("counts-disagree", {"state": "provisional"}),
    ("counts-disagree", {"counts": replace(PARTIAL.counts, lower=[ONE], upper=[ONE])}),
    ("counts-disagree", {"counts": replace(PARTIAL.counts, lower=[ONE, *[0] * 32])}),
]


@pytest.mark.parametrize(("reason", "changed"), BAD)
def test_pairs_that_cannot_be_are_a_dead_letter_with_its_reason(reason, changed):
    records = [PARTIAL, replace(PARTIAL, **changed)]
    keys = [key_of("pair-partials", each) for each in records]
    assert json.loads(keys[0]) == ["m", "v1", "v2", "*", 0, 0, 1.0]
    batch, [letter] = decode(
        Run("pair-partials", 0, [0, 1], [0, 0], keys, list(map(value_of, records)), [(), ()]), 1 << 20
    )
    assert batch.records == [PARTIAL]
    assert (letter.offset, letter.reason) == (1, reason)
