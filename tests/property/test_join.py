"""The join equals a naive batch join, whatever the order, the runs, the restarts and the faults in the log."""

from bisect import bisect_right
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.core.windows.aggregates.by_score import EDGES
from leadline.settings import ModelSettings
from leadline.testing import oracle
from logs import JoinRun, differences, feed_all

TIMES = st.integers(-300, 900)
IDS = st.sampled_from(["r1", "r2", "r3", "r4", "ü5", "r6", "r7", "r8"])
PREDICTIONS = st.lists(
    st.fixed_dictionaries(
        {
            "request_id": IDS,
            "model_version": st.sampled_from(["v1", "v2"]),
            "event_time": TIMES,
            "score": st.sampled_from([0.0, 1.0, 0.5, 0.123456]) | st.floats(0, 1),
            "label_pred": st.integers(0, 1),
            "segment": st.sampled_from(["eu", "us", "", None]),
            "arrival_time": TIMES,
        }
    ),
    max_size=25,
)
OUTCOMES = st.lists(
    st.fixed_dictionaries(
        {
            "request_id": IDS | st.just("r99"),
            "outcome": st.sampled_from([0.0, 1.0, 1.0, None]),
            "outcome_time": TIMES,
            "arrival_time": TIMES,
        }
    ),
    max_size=25,
)


def by_arrival(log):
    return sorted(log, key=lambda record: record["arrival_time"])


@given(
    PREDICTIONS, OUTCOMES, st.randoms(use_true_random=False), st.sampled_from(["first", "latest"]),
    st.integers(1, 12), st.booleans(), st.integers(0, 2000),
)  # fmt: skip
@settings(max_examples=400)
def test_equals_the_batch_join_at_every_moment(predictions, outcomes, random, policy, most, reopen, wait):
    model = ModelSettings(name="m", horizon=200, window=100, policy=policy, grace="never")
    predictions, outcomes = by_arrival(predictions), by_arrival(outcomes)
    as_of = max([r["arrival_time"] for r in [*predictions, *outcomes]], default=0) + wait
    run = JoinRun(model)
    feed_all(run, predictions, outcomes, random.randint, most, reopen)
    run.pass_time(as_of)
    assert not differences(run, oracle.join(predictions, outcomes, horizon=200, window=100, policy=policy, as_of=as_of))


@given(
    PREDICTIONS, OUTCOMES, st.randoms(use_true_random=False), st.sampled_from(["first", "latest"]), st.integers(0, 300)
)
@settings(max_examples=200)
def test_what_arrives_after_the_grace_changes_nothing(predictions, outcomes, random, policy, grace):
    """Nothing is forgotten here: the clock stands still until everything is in."""
    model = ModelSettings(name="m", horizon=200, window=100, policy=policy, grace=grace)
    predictions = [p | {"arrival_time": min(p["arrival_time"], p["event_time"] + 50)} for p in predictions]
    outcomes = by_arrival(outcomes)
    late = [{"request_id": "zz", "outcome": 1.0, "outcome_time": -400, "arrival_time": -400, "offset": 0}]
    run = JoinRun(model)
    run.feed("outcomes", late)
    feed_all(run, [], [], random.randint, 5)
    held = run.join
    for offset, record in enumerate(predictions):
        record["offset"] = offset
    for offset, record in enumerate(outcomes):
        record["offset"] = offset + 1
    if outcomes:
        run.feed("outcomes", outcomes)
    before = {place: partial.matched for place, partial in run.windows.items()}
    assert not before
    for record in predictions:
        run.feed("predictions", [record | {"arrival_time": -400}])
    assert held is run.join
    expected = oracle.join(
        predictions, [*late, *outcomes], horizon=200, window=100, policy=policy, grace=grace, as_of=None
    )
    assert not differences(run, expected)


@given(PREDICTIONS, OUTCOMES, st.randoms(use_true_random=False), st.sampled_from(["first", "latest"]))
@settings(max_examples=150)
def test_the_highest_revision_of_a_labeled_prediction_is_its_label(predictions, outcomes, random, policy):
    predictions = [p | {"model_version": "v1"} for p in predictions]
    run = JoinRun(ModelSettings(name="m", horizon=200, window=100, policy=policy, grace="never"))
    feed_all(run, predictions, outcomes, random.randint, 7)
    _, _, labels = oracle.join(predictions, outcomes, horizon=200, window=100, policy=policy)
    for (request, _), outcome in labels.items():
        told = run.labels.get(request, [])
        assert [row["revision"] for row in told] == sorted({row["revision"] for row in told})
        assert (told[-1]["outcome"] if told else None) == outcome


def bins_of(rows):
    """Used bins and their counts; 2,048 is added to the bin of what is predicted positive."""
    counts = Counter(bisect_right(EDGES.tolist(), row["score"]) + 2048 * row["label_pred"] for row in rows)
    return sorted(counts), [counts[each] for each in sorted(counts)]


@given(PREDICTIONS, OUTCOMES, st.randoms(use_true_random=False), st.sampled_from(["first", "latest"]), st.booleans())
@settings(max_examples=200)
def test_predictions_are_counted_by_score_whatever_becomes_of_them(predictions, outcomes, random, policy, reopen):
    """Neither outcomes, corrections, retractions nor expiry change these counts; a prediction that comes again does not count."""
    run = JoinRun(ModelSettings(name="m", horizon=200, window=100, policy=policy, grace="never"))
    feed_all(run, predictions, outcomes, random.randint, 7, reopen)
    run.pass_time(random.choice([0, 500, 5000]))
    first = {(row["request_id"], row["model_version"]): row for row in reversed(predictions)}
    for (version, start, segment), partial in run.windows.items():
        window = [
            row for row in first.values() if (row["model_version"], row["event_time"] // 100 * 100) == (version, start)
        ]
        own = [row for row in window if segment in ("*", row["segment"])]
        assert (partial.prediction_bins, partial.prediction_counts) == bins_of(own)
        assert sum(partial.prediction_counts) == partial.predictions
