"""The join on the conformance case, and at its limits."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit

from leadline.core.join.request_state import RequestState
from leadline.core.models import Signature, Version
from leadline.core.performance.metrics import measure
from leadline.core.processor import drain
from leadline.core.reference import ReferenceProfile
from leadline.core.windows.aggregates.by_score import SCORE_BINS
from leadline.core.windows.counts import WindowCounts
from leadline.core.windows.reference_bins import quantile_edges
from leadline.records import WindowPartial
from leadline.settings import ModelSettings
from leadline.testing import oracle
from logs import JoinRun, Models, differences, feed_all, ms

CASE = json.loads((Path(__file__).parent.parent / "data" / "late_join_small.json").read_text("utf-8"))
POLICIES = {"first": "first_outcome_wins", "latest": "latest_outcome_wins"}
SNAPSHOTS = [("first", snapshot) for snapshot in CASE["expected"]["live_snapshots_first_outcome_wins"]]
MOMENTS = [(policy, CASE["expected"][name]) for policy, name in POLICIES.items()] + SNAPSHOTS


def case_logs(as_of):
    log = [{k: ms(v) if k.endswith("_time") else v for k, v in record.items()} for record in CASE["log"]]
    log = [record for record in log if record["arrival_time"] <= as_of]
    return [r for r in log if r["topic"] == "predictions"], [r for r in log if r["topic"] == "outcomes"]


def model(**changes):
    return ModelSettings(**({"name": "m", "horizon": "1h", "window": "1h", "grace": "never"} | changes))


@pytest.mark.parametrize(("policy", "expected"), MOMENTS, ids=lambda value: str(value)[:10])
@pytest.mark.parametrize("seed", range(5))
def test_the_conformance_case(policy, expected, seed):
    as_of = ms(expected["counts"]["as_of"])
    predictions, outcomes = case_logs(as_of)
    run = JoinRun(model(policy=policy))
    feed_all(run, predictions, outcomes, random.Random(seed).randint, 6, reopen=seed % 2 == 0)
    run.pass_time(as_of)
    counts = run.counts()
    wanted = {name: value for name, value in expected["counts"].items() if name in counts}
    assert {name: counts[name] for name in wanted} == wanted
    assert len(run.windows) == len(expected["windows"])
    for row in expected["windows"]:
        partial = run.windows[row["model_version"], ms(row["window_start"]), row["segment"]]
        for name in ("predictions", "matched", "expired", "tp", "fp", "fn", "tn"):
            assert getattr(partial, name) == row[name]


def test_a_decision_function_is_counted_by_its_order_and_has_no_metrics_of_probabilities():
    """Its windows are those of the probabilities of which it is the logit."""
    as_of = ms(MOMENTS[0][1]["counts"]["as_of"])
    predictions, outcomes = case_logs(as_of)
    decisions = [row | {"score": float(logit(row["score"])), "label_pred": None} for row in predictions]
    runs = JoinRun(model()), JoinRun(model(score="decision"))
    for run, log in zip(runs, ([row | {"label_pred": None} for row in predictions], decisions), strict=True):
        feed_all(run, log, outcomes, random.Random(1).randint, 6)
        run.pass_time(as_of)
        assert run.rejects == []
    for key, partial in runs[0].windows.items():
        found = runs[1].windows[key]
        assert found.task == "decision"
        for name in ("tp", "fp", "fn", "tn", "matched", "score_bins", "positives", "negatives"):
            assert getattr(found, name) == getattr(partial, name)
        measured, usual = (measure(WindowCounts.of(each), each.task) for each in (found, partial))
        assert {name for name in usual if usual[name] != measured[name]} <= {"logloss", "brier", "mean_score"}
        assert measured["logloss"] is measured["brier"] is measured["mean_score"] is None


class OfDecisions(Models):
    """Each version knows between which values its scores lay in the reference."""

    def version(self, name, version):
        edges = quantile_edges(DECISIONS, SCORE_BINS - 1).tolist()
        profile = ReferenceProfile(0, [], {}, score_edges=edges)
        return Version(self.settings(name), version, Signature("s", [], [], {}), profile)


RNG = np.random.default_rng(4)
DECISIONS = 4000 + RNG.normal(size=5000)


@pytest.mark.parametrize("known", [True, False])
def test_the_bins_of_a_decision_function_are_where_its_scores_are(known):
    """AUC is within its error of the exact one, and that is small although all scores are far from 0; without a profile it is not."""
    truth = RNG.random(3000) < 0.3
    scores = 4000 + RNG.normal(size=3000) + truth
    scores[:2] = -1e8, 1e8  # further out than any of the reference
    predictions = [
        {"request_id": f"r{i}", "model_version": "v1", "event_time": 0, "score": float(score), "label_pred": 1, "segment": None,
         "arrival_time": 0, "offset": i} for i, score in enumerate(scores)
    ]  # fmt: skip
    outcomes = [
        {"request_id": f"r{i}", "outcome": float(yes), "outcome_time": 0, "arrival_time": 0, "offset": i}
        for i, yes in enumerate(truth)
    ]
    run = JoinRun(models=(OfDecisions if known else Models)(model(score="decision")))
    for part in (slice(0, 1000), slice(1000, 3000)):
        run.feed("predictions", predictions[part])
        run.reopen()
    run.models = Models(model(score="decision"))  # a version that is gone is counted on as it was
    run.reopen()
    run.feed("outcomes", outcomes)
    [partial] = run.windows.values()
    found = measure(WindowCounts.of(partial), partial.task)
    exact = oracle.auc(scores[truth].tolist(), scores[~truth].tolist())
    assert abs(found["auc"].value - exact) <= found["auc_error"] + 1e-12
    assert found["auc_error"] < 0.001 if known else found["auc_error"] > 0.4


@pytest.mark.parametrize(("policy", "expected"), MOMENTS, ids=lambda value: str(value)[:10])
def test_the_oracle_on_the_conformance_case(policy, expected):
    as_of = ms(expected["counts"]["as_of"])
    counts, windows, _ = oracle.join(*case_logs(as_of), horizon=3_600_000, window=3_600_000, policy=policy, as_of=as_of)
    assert {name: counts[name] for name in expected["counts"] if name in counts} == {
        name: value for name, value in expected["counts"].items() if name in counts
    }
    for row in expected["windows"]:
        got = windows[row["model_version"], ms(row["window_start"]), row["segment"]]
        assert {name: got[name] if got[name] is None else round(got[name], 6) for name in got if name in row} == {
            name: row[name] for name in got if name in row
        }


def prediction(request_id="r1", event_time=0, score=0.5, offset=0, **changes):
    base = {"model_version": "v1", "label_pred": 1, "segment": "eu", "arrival_time": event_time}
    return base | {"request_id": request_id, "event_time": event_time, "score": score, "offset": offset} | changes


def outcome(request_id="r1", value=1.0, outcome_time=10, offset=0, **changes):
    return {
        "request_id": request_id,
        "outcome": value,
        "outcome_time": outcome_time,
        "arrival_time": outcome_time,
        "offset": offset,
    } | changes


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (prediction(model="other"), "unknown-model"),
        (prediction(score=1.5), "score-out-of-range"),
        (prediction(score=-0.1), "score-out-of-range"),
    ],
)
def test_predictions_that_cannot_be_used_are_rejected(record, reason):
    run = JoinRun(model())
    run.feed("predictions", [prediction("good"), record])
    assert run.rejects == [("r1", reason)]
    assert run.counts()["predictions"] == 1


def test_a_request_takes_a_thousand_outcomes_and_no_more():
    run = JoinRun(model())
    run.feed("outcomes", [outcome(value=float(i % 2), offset=i) for i in range(1001)])
    assert run.rejects == [("r1", "too-many-outcomes")]
    assert run.counts()["outcome_records"] == 1000


def test_time_matures_seals_and_forgets():
    run = JoinRun(model(horizon=100, window=100, grace=50))
    run.feed("predictions", [prediction("r1", 10), prediction("r2", 20, offset=1)])
    run.feed("outcomes", [outcome("r1", 1.0, 30)])
    window = ("v1", 0, "*")
    assert run.windows[window].state == "provisional"
    assert run.join.wake_at_ms == 111
    run.pass_time(201)
    assert (run.windows[window].state, run.windows[window].expired) == ("mature", 1)
    run.feed("outcomes", [outcome("r2", 1.0, 60, offset=1, arrival_time=240)])
    assert run.counts()["outcomes_after_grace"] == 1
    run.pass_time(251)
    assert run.windows[window].state == "sealed"
    run.pass_time(302)
    assert not list(run.store.scan(b"r", b"s"))
    assert not list(run.store.scan(b"w", b"x"))
    assert run.join.wake_at_ms is None
    run.feed("predictions", [prediction("r3", 20, offset=2)])
    assert run.rejects == [("r3", "window-forgotten")]


def test_a_repeat_is_known_as_long_as_its_window_takes_records():
    run = JoinRun(model(horizon=100, window=100, grace=50))
    run.feed("predictions", [prediction("r1", 0), prediction("r2", 90, offset=1)])
    run.pass_time(299)
    run.feed("predictions", [prediction("r1", 0, offset=2)])
    assert run.windows["v1", 0, "*"].predictions == 2
    assert run.counts()["duplicate_predictions"] == 1


def test_an_outcome_waits_as_long_as_its_prediction_may_come():
    run = JoinRun(model(horizon=100, window=100, grace=50))
    run.feed("outcomes", [outcome("r1", 1.0, 20)])
    run.pass_time(299)
    run.feed("predictions", [prediction("r1", 0)])
    assert run.windows["v1", 0, "*"].matched == 1


def test_segments_over_the_limit_count_together():
    run = JoinRun(model(segment_limit=2))
    segments = ["eu", "us", "asia", "eu", "moon", "asia", None]
    for n, segment in enumerate(segments):  # a run each: the limit is the task's, not the run's
        run.feed("predictions", [prediction(f"r{n}", offset=n, segment=segment)])
        run.reopen()
        run.feed("outcomes", [outcome(f"r{n}", offset=n)])
    counted = {window[2]: (partial.predictions, partial.matched) for window, partial in run.windows.items()}
    assert counted == {"*": (7, 7), "eu": (2, 2), "us": (1, 1), "other": (3, 3)}


def test_regression_sums_are_exact_for_any_order():
    settings = model(task="regression")
    scores = [1e9, -1e9, 0.1, 123456.789, -0.3]
    runs = [JoinRun(settings), JoinRun(settings)]
    for run, order in zip(runs, ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]), strict=True):
        for offset, i in enumerate(order):
            run.feed("predictions", [prediction(f"r{i}", score=scores[i], offset=offset)])
            run.feed("outcomes", [outcome(f"r{i}", 0.2, offset=offset)])
    sums = [
        (r.error_sum, r.absolute_error_sum, r.squared_error_sum) for r in (run.windows["v1", 0, "*"] for run in runs)
    ]
    assert sums[0] == sums[1]
    assert sums[0][0] == pytest.approx(sum(s - 0.2 for s in scores) * 1e12, abs=1e6)


def test_a_retraction_after_a_label_takes_it_back():
    run = JoinRun(model(policy="latest"))
    run.feed("predictions", [prediction()])
    run.feed("outcomes", [outcome(offset=0)])
    run.feed("outcomes", [outcome(value=None, outcome_time=20, offset=1)])
    assert [row["outcome"] for row in run.labels["r1", "v1"]] == [1.0, None]
    assert run.windows["v1", 0, "*"].matched == 0
    assert run.windows["v1", 0, "*"].logloss_sum == 0
    assert not run.windows["v1", 0, "*"].score_bins
    assert run.counts()["outcomes_retractions"] == 1
    assert not differences(
        run,
        oracle.join(
            [prediction()],
            [outcome(), outcome(value=None, outcome_time=20)],
            horizon=3_600_000,
            window=3_600_000,
            policy="latest",
        ),
    )


@pytest.mark.parametrize("late", [outcome("r5", 0.0, 540, offset=10), outcome("r5", None, 540, offset=10)])
def test_a_correction_days_later_restates_the_window_that_it_touches_and_no_other(late):
    settings = model(policy="latest", horizon="30d", window=100)
    run = JoinRun(settings)
    run.feed("predictions", [prediction(f"r{n}", n * 100 + 1, offset=n) for n in range(10)])
    run.feed("outcomes", [outcome(f"r{n}", 1.0, n * 100 + 2, offset=n) for n in range(10)])
    before = dict(run.windows)
    run.pass_time(7 * 86_400_000)
    run.feed("outcomes", [late | {"arrival_time": 7 * 86_400_000}])
    touched = {window for window in run.windows if run.windows[window] != before[window]}
    assert touched == {("v1", 500, "*"), ("v1", 500, "eu")}
    assert all(run.windows[window].revision > before[window].revision for window in touched)
    assert run.windows["v1", 500, "*"].matched == (late["outcome"] is not None)


def two_versions(**changes):
    return [prediction(offset=n, model_version=version, **changes) for n, version in enumerate(("v1", "v2"))]


@pytest.mark.parametrize("waiting", [False, True])
def test_an_outcome_of_two_versions_is_one_record_and_labels_both(waiting):
    run = JoinRun(model())
    logs = [("predictions", two_versions()), ("outcomes", [outcome()])]
    for topic, records in reversed(logs) if waiting else logs:
        run.feed(topic, records)
    counts = run.counts()
    assert (counts["predictions"], counts["matched"]) == (2, 2)
    assert (counts["outcome_records"], counts["outcomes_used"], counts["outcomes_orphan"]) == (1, 1, 0)
    assert {key: [row["revision"] for row in rows] for key, rows in run.labels.items()} == {
        ("r1", "v1"): [1],
        ("r1", "v2"): [1],
    }


def test_an_outcome_belongs_to_the_model_that_predicted_first():
    run = JoinRun(model(), model(name="n", horizon="1s"))
    run.feed("predictions", [prediction(model="n", model_version="n1"), prediction(offset=1)])
    run.feed("outcomes", [outcome(outcome_time=2000)])
    assert (run.totals["n"].outcomes_used, run.totals["n"].matched, run.totals["m"].matched) == (1, 0, 1)


def test_versions_expire_each_at_its_deadline_and_the_request_is_forgotten_with_the_last():
    run = JoinRun(model(horizon=100, window=100, grace=50), model(name="n", horizon=300, window=100, grace=50))
    run.feed(
        "predictions", [prediction(event_time=10), prediction(event_time=10, model="n", model_version="n1", offset=1)]
    )
    run.pass_time(111)
    assert (run.totals["m"].expired, run.counts()["expired"]) == (1, 1)
    run.pass_time(311)
    assert (run.totals["n"].expired, run.counts()["expired"]) == (1, 2)
    run.pass_time(500)
    assert list(run.store.scan(b"r", b"s"))
    run.pass_time(501)
    assert not list(run.store.scan(b"r", b"s"))


@pytest.mark.parametrize("together", [1, 40, 200])
@pytest.mark.parametrize("segments", [[], ["a=1"], ["a=1", "b=2", "c=3"]])
def test_a_request_takes_versions_of_64_windows_and_no_more(segments, together):
    """However its predictions are cut into runs. One that comes again is counted, also when there is no room for another."""
    run, most = JoinRun(model()), 64 // (1 + len(segments))
    made = [prediction(offset=n, model_version=f"v{n}", segment=None, segments=segments) for n in range(most + 2)]
    for start in range(0, len(made), together):
        run.feed("predictions", made[start : start + together])
    assert run.rejects == [("r1", "too-many-versions")] * 2
    run.feed(
        "predictions", [prediction(offset=n, model_version="v0", segment=None, segments=segments) for n in (300, 301)]
    )
    assert len(run.rejects) == 2
    run.feed("outcomes", [outcome()])
    counts = run.counts()
    assert (counts["matched"], counts["duplicate_predictions"], len(run.labels)) == (most, 2, most)


@pytest.mark.parametrize("together", [1, 3, 50])
def test_the_predictions_of_a_request_have_a_mebibyte_at_most(together):
    """Nine models are asked with one id, and say much: what is kept of one request still fits into one transaction."""
    run = JoinRun(model())
    made = [prediction(offset=n, model_version="v" * 200_000 + str(n)) for n in range(9)]
    for start in range(0, len(made), together):
        run.feed("predictions", [*made[start : start + together], prediction("other", offset=start)])
    assert run.rejects == [("r1", "state-too-large")] * 4
    assert max(len(value) for _, value in run.store.scan(b"r", b"s")) < 1_100_000


def test_simple_requests_are_never_unpacked_one_by_one(monkeypatch):
    def unpack(*_):
        raise AssertionError("a simple request went one by one")

    monkeypatch.setattr(RequestState, "unpack", unpack)
    run = JoinRun(model(horizon=100, grace=100))
    run.feed("predictions", [*two_versions(), prediction("r2", offset=2)])
    run.feed("outcomes", [outcome(), outcome("r3", offset=1), outcome("r4", offset=2, value=None)])
    run.feed("predictions", [prediction("r3", offset=3), prediction(offset=4, model_version="v3")])
    run.pass_time(10**8)
    assert run.counts()["matched"] == 4
    with pytest.raises(AssertionError, match="one by one"):
        run.feed("predictions", [prediction(event_time=10**8, offset=5)] * 2)


def steps_of(run, now_ms):
    """Bytes of state that each step changes, and how many windows it emits, when time comes to ``now_ms``."""
    sizes = []
    effects = run.join.on_time(now_ms, frozenset({"predictions", "outcomes"}))
    while True:
        changes = run.store.changes()
        size = sum(len(key) + len(value or b"") for key, value in changes.items())
        sizes.append((size, sum(isinstance(each, WindowPartial) for out in effects.outputs for each in out.records)))
        run.take(effects, [])
        if not run.join.has_due:
            return sizes
        run.reopen()
        effects = next(drain(run.join))


def test_a_window_of_many_requests_is_forgotten_in_steps():
    run = JoinRun(model(grace="1h"))
    name = "r" * 100
    for start in range(0, 40_000, 8_000):
        run.feed("predictions", [prediction(f"{name}{n}", offset=n) for n in range(start, start + 8_000)])
    sizes = steps_of(run, 10 * 3_600_000)
    assert len(sizes) >= 5
    assert max(size for size, _ in sizes) < 4 << 20
    assert not list(run.store.scan(b"r", b"s"))
    assert run.counts()["expired"] == 40_000


def test_many_segments_mature_in_steps():
    run = JoinRun(model(grace="never", segments=["s"]))
    run.feed("predictions", [prediction(f"r{n}", offset=n, segment=f"s={n}") for n in range(3_500)])
    sizes = steps_of(run, 10 * 3_600_000)
    assert max(windows for _, windows in sizes[1:]) <= 1_000
    assert {partial.state for partial in run.windows.values()} == {"mature"}


def test_versions_that_alternate_in_a_run_keep_their_own_bodies():
    run = JoinRun(model())
    rows = [("r1", "v1"), ("r2", "v1"), ("r1", "v2"), ("r2", "v2")]
    run.feed("predictions", [prediction(r, offset=n, model_version=v, score=n / 8) for n, (r, v) in enumerate(rows)])
    stored = {key[1:]: RequestState.unpack(value) for key, value in run.store.scan(b"r", b"s")}
    assert [p.score for p in stored[b"r1"].predictions] == [0.0, 0.25]
    assert len({p.body for state in stored.values() for p in state.predictions}) == 4
    run.feed("outcomes", [outcome("r1"), outcome("r2", offset=1)])
    assert run.counts()["matched"] == 4


class Breaking(Models):
    """Models whose settings cannot be read while ``broken``."""

    broken = False

    def settings(self, model):
        return None if self.broken else super().settings(model)

    def why_unusable(self, model, version=None):
        return "model.toml is broken" if self.broken else None


def test_a_model_is_counted_on_by_its_settings_when_they_cannot_be_read_any_more():
    models, whole = (
        Breaking(model(horizon=100, window=100, grace=50)),
        JoinRun(model(horizon=100, window=100, grace=50)),
    )
    run = JoinRun(model(), models=models)
    for each in (run, whole):
        each.feed("predictions", [prediction("r1", 5)])
    models.broken = True
    run.reopen()
    for each in (run, whole):
        each.feed("outcomes", [outcome("r1", 1.0, 20)])
        each.feed("predictions", [prediction("r2", 30, offset=1)])
        each.pass_time(1_000)
    assert run.windows == whole.windows
    assert run.counts() == whole.counts()


def test_predictions_of_a_model_that_was_never_readable_are_dead_letters_and_their_outcomes_wait():
    models = Breaking(model(horizon=100, window=100, grace=50))
    models.broken = True
    run = JoinRun(model(), models=models)
    run.feed("predictions", [prediction("r1", 5)])
    assert run.rejects == [("r1", "model-unusable")]
    run.feed("outcomes", [outcome("r1", 1.0, 20)])
    run.pass_time(30 * 86_400_000)
    models.broken = False
    run.reopen()
    late = prediction("r1", 30 * 86_400_000, offset=1)
    run.feed("predictions", [late])
    assert run.counts()["matched"] == 1
