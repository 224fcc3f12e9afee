"""What a window is judged by, and what no outcome means, equal a naive batch join of the log, however the log is read."""

from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import accumulate
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from join_strategies import HORIZON, OTHER_HORIZON, OUTCOMES, POLICIES, PREDICTIONS, RANDOMS, WINDOW
from leadline.core.join import schedule
from leadline.core.performance.performance import Performance
from leadline.core.windows import partials
from leadline.records import MatureCounts
from leadline.settings import ModelSettings
from leadline.testing import oracle
from leadline.wire.rules import broken_record
from logs import JoinRun, differences, feed_all
from stages import Host, Models, partial, records_batch

GRACE = 600
"""So long that nothing is forgotten while records come in, so short that no outcome means no for the first of them."""
GRACES = st.sampled_from([("unknown", None), ("unknown", GRACE), ("negative", GRACE), ("negative", GRACE)])


def models(policy, other_policy, unlabelled, grace):
    """The models m and n; the word for no outcome is that of m, n has always the usual one."""
    own = {"window": WINDOW, "grace": "never" if grace is None else grace}
    return [
        ModelSettings(name="m", horizon=HORIZON, policy=policy, unlabelled=unlabelled, **own),
        ModelSettings(name="n", horizon=OTHER_HORIZON, policy=other_policy, **own),
    ]


def split(log, partitions):
    """The log of each partition, each record with the time of its log, which does not go back."""
    parts = [[r for r in log if sum(r["request_id"].encode()) % partitions == i] for i in range(partitions)]
    for part in parts:
        for record, time in zip(part, accumulate((r["arrival_time"] for r in part), max), strict=True):
            record["log_time"] = time
    return parts


def known(rows):
    names = ("predictions", "matched", "predicted_positive", "tp", "fp", "fn", "tn")
    return {name: sum(row[name] for row in rows) for name in names}


def check(
    predictions, outcomes, random, policy, other_policy, unlabelled_grace, partitions, most, reopen, at_once, wait
):
    """Read both logs in some way, and compare all that is counted, labelled and judged."""
    unlabelled, grace = unlabelled_grace
    other = {"horizon": OTHER_HORIZON, "policy": other_policy}
    predictions = [p | (other if p["model"] == "n" else {"unlabelled": unlabelled}) for p in predictions]
    as_of = max([r["arrival_time"] for r in [*predictions, *outcomes]], default=0) + wait
    judged, expected = {}, {}
    for own, labels in zip(split(predictions, partitions), split(outcomes, partitions), strict=True):
        rules = {"horizon": HORIZON, "window": WINDOW, "policy": policy, "grace": grace, "as_of": as_of}
        run = JoinRun(*models(policy, other_policy, unlabelled, grace))
        run.dies_between_steps = reopen
        with ExitStack() as limits:
            for module in (schedule, partials):
                limits.enter_context(patch.object(module, "_MOST", at_once))
            feed_all(run, own, labels, random.randint, most, reopen)
            run.pass_time(as_of)
        answer = oracle.join(own, labels, **rules)
        assert not differences(run, answer)
        newest = {
            key: max(reversed(rows), key=lambda row: row["revision"])["outcome"] for key, rows in run.labels.items()
        }
        assert {k: v for k, v in newest.items() if v is not None} == {
            k: v for k, v in answer[2].items() if v is not None
        }
        for window, answered in oracle.at_maturity(own, labels, **rules).items():
            found = run.windows[window]
            assert (found.state == "provisional") == (found.mature is None) == (answered is None)
            if answered is not None:
                judged.setdefault(window, []).append(asdict(found.mature))
                expected.setdefault(window, []).append(answered)
    assert {key: known(rows) for key, rows in judged.items()} == {key: known(rows) for key, rows in expected.items()}


@given(
    PREDICTIONS, OUTCOMES, RANDOMS, POLICIES, POLICIES, GRACES, st.integers(1, 3), st.integers(1, 12), st.booleans(),
    st.sampled_from([1, 2, 1000]), st.integers(1, 2000),
)  # fmt: skip
@settings(max_examples=100)
def test_however_the_log_is_read(
    predictions, outcomes, random, policy, other_policy, unlabelled_grace, partitions, most, reopen, at_once, wait
):
    check(
        predictions, outcomes, random, policy, other_policy, unlabelled_grace, partitions, most, reopen, at_once, wait
    )


def busy(rng):
    """Logs in which many outcomes come about the time when their windows become mature."""
    predictions, outcomes = [], []
    for request in range(20):
        event = rng.randint(-300, 500)
        for version in rng.sample(["v1", "v2", "n1"], rng.choice([1, 1, 2])):
            own = {"request_id": f"r{request}", "model": "m" if version != "n1" else "n", "model_version": version}
            said = {
                "event_time": event,
                "score": rng.random(),
                "label_pred": rng.randint(0, 1),
                "segment": rng.choice("ab"),
            }
            predictions.append(own | said | {"arrival_time": event + rng.choice([0, 5, 320])})
        for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
            said = {"outcome": rng.choice([0.0, 1.0, 1.0, None]), "outcome_time": event + rng.randint(0, 220)}
            outcomes.append({"request_id": f"r{request}"} | said | {"arrival_time": event + rng.randint(50, 500)})
    return [sorted(log, key=lambda record: record["arrival_time"]) for log in (predictions, outcomes)]


@pytest.mark.parametrize("seed", range(30))
def test_however_the_log_is_read_when_outcomes_come_about_maturity(seed):
    """Each order of the topics among them: one of them whole before the other."""
    rng = Random(seed)
    draw = [rng, FirstOne(0), FirstOne(1)][seed % 3]
    most, at_once, partitions = rng.choice([3, 20, 100]), rng.choice([5, 1000, 1000]), rng.randint(1, 3)
    unlabelled = rng.choice([("unknown", None), ("unknown", GRACE), ("negative", GRACE)])
    policies = rng.choice(["first", "latest"]), rng.choice(["first", "latest"])
    check(
        *busy(rng),
        draw,
        *policies,
        unlabelled,
        partitions,
        most,
        rng.random() < 0.5,
        at_once,
        rng.choice([1, 300, 2000]),
    )


@pytest.mark.parametrize("most", [1, 12])
@pytest.mark.parametrize("at_once", [1, 1000])
def test_an_outcome_that_the_log_did_not_hold_at_maturity_leaves_a_no_there(most, at_once):
    """Behind one that came late in its partition, though it arrived in time: it is the label, and the window is judged without it."""
    common = {"score": 0.0, "label_pred": 0, "segment": "eu", "arrival_time": 0, "model": "m"}
    predictions = [common | {"request_id": "r1", "model_version": "v1", "event_time": 0}]
    predictions += [common | {"request_id": "r3", "model_version": each, "event_time": -201} for each in ("v1", "v2")]
    late = {"request_id": "r1", "outcome": 0.0, "outcome_time": 0, "arrival_time": 601}
    outcomes = [late, late | {"request_id": "r3", "outcome_time": -1, "arrival_time": 0}]
    for seed in range(5):
        check(predictions, outcomes, Random(seed), "first", "first", ("negative", GRACE), 1, most, False, at_once, 1)


class FirstOne:
    """Chooses runs so that one of two topics comes whole before the other."""

    def __init__(self, topic):
        self.topic, self.runs = topic, 0

    def randint(self, low, high):
        if (low, high) != (0, 1):
            return high
        self.runs += 1
        return (self.topic + self.runs // 100) % 2


def row(topic, arrival):
    common = {"request_id": "r1", "arrival_time": arrival, "offset": 0}
    if topic == "outcomes":
        return common | {"outcome": 1.0, "outcome_time": 20}
    return common | {"model_version": "v1", "event_time": 10, "score": 0.75, "label_pred": 1, "segment": None}


def test_a_partition_whose_first_prediction_comes_after_maturity_has_zeros():
    run = JoinRun(*models("first", "first", "unknown", None))
    run.pass_time(WINDOW + HORIZON + 1)
    run.feed("predictions", [row("predictions", WINDOW + HORIZON + 1)])
    window = run.windows["v1", 0, "*"]
    assert (window.predictions, window.state) == (1, "mature")
    assert window.mature == MatureCounts(*[0] * 9)


def test_no_outcome_means_no_when_horizon_and_grace_are_over():
    run = JoinRun(*models("first", "first", "negative", GRACE))
    run.feed("predictions", [row("predictions", 10)])
    run.pass_time(10 + HORIZON + GRACE)
    assert (run.windows["v1", 0, "*"].expired, run.labels) == (1, {})
    run.pass_time(10 + HORIZON + GRACE + 1)
    window, [label] = run.windows["v1", 0, "*"], run.labels["r1", "v1"]
    assert (window.matched, window.assumed, window.expired, window.fp, window.mature) == (1, 1, 0, 1, None)
    assert (label["outcome"], label["outcome_time"], label["assumed"]) == (0.0, 10 + HORIZON, True)
    before = window.matched, window.assumed, window.fp
    run.feed("outcomes", [row("outcomes", 10 + HORIZON + GRACE + 1)])
    run.pass_time(WINDOW + HORIZON + GRACE + 1)
    window = run.windows["v1", 0, "*"]
    assert (window.matched, window.assumed, window.fp) == before
    assert (window.state, window.mature.matched, window.mature.fp) == ("sealed", 1, 1)
    assert run.counts()["outcomes_after_grace"] == 1


def test_performance_knows_what_is_judged_when_all_its_partitions_do():
    own = MatureCounts(2, 1, 1, 1, 0, 0, 0, 0, 0)
    parts = [partial([(0.9, 1.0, 1)], source=source, extra=1, state="mature") for source in (0, 1)]
    host = Host(lambda store: Performance(store, Models()))
    host.feed(records_batch("window-partials", [replace(parts[0], mature=own), parts[1]]))
    host.feed(records_batch("window-partials", [replace(parts[1], mature=own, revision=2)]))
    assert [window.mature for window in host.emitted] == [None, MatureCounts(4, 2, 2, 2, 0, 0, 0, 0, 0)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "provisional"},
        {"mature": MatureCounts(9, 1, 1, 1, 0, 0, 0, 0, 0)},
        {"mature": MatureCounts(2, 1, 1, 1, 1, 0, 0, 0, 0)},
        {"mature": MatureCounts(2, 1, 0, 1, 0, 0, 0, 0, 0)},
        {"mature": MatureCounts(2, -1, 1, 1, 0, 0, 0, 0, 0)},
        {"mature": MatureCounts(2, 1, 1, 1, 0, 0, 0, -1, 0)},
        {"mature": MatureCounts(2, 1, 1, 1, 0, 0, 0, 0, 2**127)},
        {"assumed": 2},
        {"assumed": -1},
    ],
)
def test_counts_that_cannot_be_are_refused(wrong):
    right = partial([(0.9, 1.0, 1)], extra=1, state="mature")
    right = replace(right, mature=MatureCounts(2, 1, 1, 1, 0, 0, 0, 0, 0))
    assert broken_record("window-partials", right, None) is None
    reason, _ = broken_record("window-partials", replace(right, **wrong), None)
    assert reason in ("counts-disagree", "counts-out-of-range")


@pytest.mark.parametrize("wrong", [{"task": "regression"}, {"grace": "never"}])
def test_no_outcome_can_only_mean_no_where_there_is_a_no_and_an_end(wrong):
    with pytest.raises(ValidationError, match='unlabelled = "negative"'):
        ModelSettings(name="m", unlabelled="negative", **wrong)
