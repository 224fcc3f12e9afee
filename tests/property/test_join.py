"""The join equals a naive batch join, whatever the order, the runs, the restarts and the faults in the log."""

from bisect import bisect_right
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from join_strategies import (
    HORIZON,
    ODD_OUTCOMES,
    OTHER_HORIZON,
    OUTCOMES,
    POLICIES,
    PREDICTIONS,
    RANDOMS,
    WINDOW,
)
from leadline.core.join import schedule
from leadline.core.models import Signature, Version
from leadline.core.reference import ReferenceProfile
from leadline.core.store_keys import JoinKeys
from leadline.core.windows import live_profiles, partials
from leadline.core.windows.aggregates.by_score import EDGES
from leadline.settings import ModelSettings
from leadline.testing import oracle
from logs import JoinRun, Models, differences, feed_all


def by_arrival(log):
    return sorted(log, key=lambda record: record["arrival_time"])


def two_models(policy, other_policy="first", grace="never"):
    """The models of `VERSIONS`."""
    return [
        ModelSettings(name="m", horizon=HORIZON, window=WINDOW, policy=policy, grace=grace),
        ModelSettings(name="n", horizon=OTHER_HORIZON, window=WINDOW, policy=other_policy, grace=grace),
    ]


def expected(predictions, outcomes, policy, other_policy="first", grace=None, as_of=None):
    """What the oracle says of the two models."""
    other = {"horizon": OTHER_HORIZON, "policy": other_policy}
    predictions = [p | other if p["model"] == "n" else p for p in predictions]
    return oracle.join(predictions, outcomes, horizon=HORIZON, window=WINDOW, policy=policy, grace=grace, as_of=as_of)


def numbers(run):
    """All that a run has counted: windows, records and labels; not when it emitted them, nor what it emitted before."""
    later = {"revision", "as_of"}
    windows = {key: {k: v for k, v in asdict(window).items() if k not in later} for key, window in run.windows.items()}
    labels = {key: (rows[-1]["outcome"], rows[-1]["outcome_time"]) for key, rows in run.labels.items()}
    return windows, run.counts(), {key: label for key, label in labels.items() if label[0] is not None}


@given(PREDICTIONS, OUTCOMES, RANDOMS, POLICIES, POLICIES, st.integers(1, 12), st.booleans(), st.integers(0, 2000))
@settings(max_examples=400)
def test_equals_the_batch_join_at_every_moment(predictions, outcomes, random, policy, other_policy, most, reopen, wait):
    predictions, outcomes = by_arrival(predictions), by_arrival(outcomes)
    as_of = max([r["arrival_time"] for r in [*predictions, *outcomes]], default=0) + wait
    run = JoinRun(*two_models(policy, other_policy))
    feed_all(run, predictions, outcomes, random.randint, most, reopen)
    run.pass_time(as_of)
    assert not differences(run, expected(predictions, outcomes, policy, other_policy, as_of=as_of))


CLASSES = {"m": [0.0, 1.0], "n": [0.0, 3.0]}
NAMES = {"m": {"no": 0.0, "yes": 1.0}, "n": {}}


class WithClasses(Models):
    """Each version knows the two classes of its model."""

    def version(self, model, version):
        profile = ReferenceProfile(0, [], {}, CLASSES[model], class_names=list(NAMES[model]))
        return Version(self.settings(model), version, Signature("s", [], [], {}), profile)


@given(PREDICTIONS, ODD_OUTCOMES, RANDOMS, POLICIES, POLICIES, st.integers(1, 12), st.booleans(), st.integers(0, 2000))
@settings(max_examples=200)
def test_an_outcome_that_is_no_class_labels_nothing(
    predictions, outcomes, random, policy, other_policy, most, reopen, wait
):
    predictions = [p | {"classes": CLASSES[p["model"]], "names": NAMES[p["model"]]} for p in by_arrival(predictions)]
    outcomes = by_arrival(outcomes)
    as_of = max([r["arrival_time"] for r in [*predictions, *outcomes]], default=0) + wait
    run = JoinRun(models=WithClasses(*two_models(policy, other_policy)))
    feed_all(run, predictions, outcomes, random.randint, most, reopen)
    run.pass_time(as_of)
    assert not differences(run, expected(predictions, outcomes, policy, other_policy, as_of=as_of))
    run = JoinRun(models=WithClasses(*two_models(policy, other_policy)))
    for topic, log in (("predictions", predictions), ("outcomes", outcomes)):
        if log:
            run.feed(topic, log)
    known = {(p["request_id"], value) for p in predictions for value in [*p["classes"], *p["names"]]}
    predicted = {p["request_id"] for p in predictions}
    assert [request for request, reason in run.rejects if reason == "outcome-not-a-class"] == [
        o["request_id"]
        for o in outcomes
        if o["request_id"] in predicted and o["outcome"] is not None and (o["request_id"], o["outcome"]) not in known
    ]


@given(PREDICTIONS, OUTCOMES, RANDOMS, POLICIES, st.integers(0, 300), st.integers(1, 12))
@settings(max_examples=200)
def test_equals_the_batch_join_with_a_grace(predictions, outcomes, random, policy, grace, most):
    """Predictions arrive before all outcomes: stage time stands still, and nothing is forgotten."""
    predictions = [p | {"arrival_time": -400} for p in predictions]
    run = JoinRun(*two_models(policy, grace=grace))
    feed_all(run, predictions, by_arrival(outcomes), random.randint, most)
    assert not differences(run, expected(predictions, by_arrival(outcomes), policy, grace=grace))


@given(
    PREDICTIONS, OUTCOMES, RANDOMS, POLICIES, st.sampled_from([None, 0, 150]), st.integers(1, 3), st.integers(1, 12),
    st.integers(0, 2000),
)  # fmt: skip
@settings(max_examples=200)
def test_equals_the_batch_join_however_little_is_done_at_once(
    predictions, outcomes, random, policy, grace, at_once, most, wait
):
    """Whatever falls due in steps of a few requests or windows, and the worker dies between any two of them."""
    predictions = [p | {"arrival_time": -400} for p in predictions]
    as_of = max([r["arrival_time"] for r in outcomes], default=0) + wait
    run = JoinRun(*two_models(policy, grace="never" if grace is None else grace))
    run.dies_between_steps = True
    with ExitStack() as limits:
        for module in (schedule, partials, live_profiles):
            limits.enter_context(patch.object(module, "_MOST", at_once))
        feed_all(run, predictions, by_arrival(outcomes), random.randint, most)
        run.pass_time(as_of)
        assert not differences(run, expected(predictions, by_arrival(outcomes), policy, grace=grace, as_of=as_of))
        if grace is not None:
            run.pass_time(as_of + 10_000)
            assert not list(run.store.scan(JoinKeys.REQUEST, JoinKeys.REQUEST + b"\xff"))


@given(PREDICTIONS.filter(len), OUTCOMES, OUTCOMES.filter(len), RANDOMS, POLICIES, st.integers(0, 300))
@settings(max_examples=200)
def test_what_arrives_after_the_grace_changes_nothing(predictions, outcomes, late, random, policy, grace):
    """Stage time stands still, so that nothing is forgotten."""
    sealed = max(p["event_time"] for p in predictions) + HORIZON + grace
    predictions = [p | {"arrival_time": -400} for p in predictions]
    known = {p["request_id"] for p in predictions}
    late = [o | {"arrival_time": sealed + 1 + i, "offset": len(outcomes) + i} for i, o in enumerate(late)]
    late = [o for o in late if o["request_id"] in known]
    run = JoinRun(*two_models(policy, grace=grace))
    feed_all(run, predictions, by_arrival(outcomes), random.randint, 5)
    windows, counts, labels = numbers(run)
    for outcome in late:
        run.feed("outcomes", [outcome])
    more = {name: counts[name] + len(late) for name in ("outcome_records", "outcomes_after_grace")}
    assert numbers(run) == (windows, counts | more, labels)


@given(PREDICTIONS, OUTCOMES, RANDOMS, POLICIES)
@settings(max_examples=150)
def test_the_highest_revision_of_a_labeled_prediction_is_its_label(predictions, outcomes, random, policy):
    run = JoinRun(*two_models(policy))
    feed_all(run, predictions, outcomes, random.randint, 7)
    _, _, labels = expected(predictions, outcomes, policy)
    for prediction, outcome in labels.items():
        emitted = run.labels.get(prediction, [])
        assert [row["revision"] for row in emitted] == sorted({row["revision"] for row in emitted})
        assert (emitted[-1]["outcome"] if emitted else None) == outcome


@given(PREDICTIONS, OUTCOMES, POLICIES, st.booleans(), st.booleans(), st.integers(-300, 1500))
@settings(max_examples=200)
def test_a_run_of_many_records_is_as_many_runs_of_one(predictions, outcomes, policy, outcomes_first, again, as_of):
    logs = [("predictions", predictions), ("outcomes", outcomes), *([("predictions", predictions)] if again else [])]
    offsets = {"predictions": 0, "outcomes": 0}
    whole, single = JoinRun(*two_models(policy)), JoinRun(*two_models(policy))
    for topic, records in reversed(logs) if outcomes_first else logs:
        part = [record | {"offset": offsets[topic] + i} for i, record in enumerate(records)]
        offsets[topic] += len(part)
        if part:
            whole.feed(topic, part)
        for record in part:
            single.feed(topic, [record])
    for run in (whole, single):
        run.pass_time(max([as_of, *(r["arrival_time"] for _, records in logs for r in records)]))
    assert numbers(whole) == numbers(single)


def bins_of(rows):
    """Used bins and their counts; 2,048 is added to the bin of what is predicted positive."""
    counts = Counter(bisect_right(EDGES.tolist(), row["score"]) + 2048 * row["label_pred"] for row in rows)
    return sorted(counts), [counts[each] for each in sorted(counts)]


@given(PREDICTIONS, OUTCOMES, RANDOMS, POLICIES, st.booleans())
@settings(max_examples=200)
def test_predictions_are_counted_by_score_whatever_becomes_of_them(predictions, outcomes, random, policy, reopen):
    """Neither outcomes, corrections, retractions nor expiry change these counts; a prediction that comes again does not count."""
    run = JoinRun(*two_models(policy))
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
