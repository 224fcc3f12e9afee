"""Pairs of versions equal a naive comparison of the logs, however these are read."""

from contextlib import ExitStack
from itertools import accumulate
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from join_strategies import HORIZON, OUTCOMES, POLICIES, RANDOMS, WINDOW, scored
from leadline.core.join import schedule
from leadline.core.windows import pair_partials, partials
from leadline.settings import ModelSettings
from leadline.testing import oracle
from logs import JoinRun, differences, feed_all, pair_differences

GRACE = 600
GRACES = st.sampled_from([("unknown", None), ("unknown", GRACE), ("negative", GRACE)])
SAID = st.lists(scored().filter(lambda own: len(own) > 1), max_size=10)
SAMPLES = st.lists(st.sampled_from([1.0, 1.0, 0.25, 0.1]), min_size=50, max_size=50)


def split(requests, random, samples):
    """What versions said of requests: what they answered, and what they said in shadow, now and then both, later, and again."""
    logs = [], []
    for own in requests:
        segment = random.choice(["eu", None, own[0]["segment"]])
        for prediction in own:
            if random.random() < 0.8:
                prediction |= {"event_time": own[0]["event_time"], "segment": segment}
            prediction["sample"] = samples[random.randrange(len(samples))]
            for log in random.choice([logs[:1], logs[1:], logs, [logs[0], logs[0]], [logs[1], logs[1]]]):
                later = random.choice([0, 0, 90, 400])
                log.append(
                    prediction
                    | {
                        "arrival_time": prediction["arrival_time"] + later,
                        "score": random.choice([prediction["score"], 0.25]),
                    }
                )
    return [by_log(log) for log in logs]


def by_log(log):
    """The log by arrival, each record with the time of its log."""
    log = sorted(log, key=lambda record: record["arrival_time"])
    for record, time in zip(log, accumulate((r["arrival_time"] for r in log), max), strict=True):
        record["log_time"] = time
    return log


def check(requests, outcomes, random, samples, policy, unlabelled_grace, most, reopen, at_once, wait, task="binary"):
    unlabelled, grace = ("unknown", unlabelled_grace[1]) if task == "regression" else unlabelled_grace
    predictions, shadows = split(requests, random, samples)
    outcomes = by_log(outcomes)
    as_of = max([r["arrival_time"] for r in [*predictions, *shadows, *outcomes]], default=0) + wait
    own = {"window": WINDOW, "horizon": HORIZON, "policy": policy, "grace": grace, "unlabelled": unlabelled}
    settings = [
        ModelSettings(name=name, task=task, **own | {"grace": "never" if grace is None else grace}) for name in "mn"
    ]
    run = JoinRun(*settings)
    run.dies_between_steps = reopen
    with ExitStack() as limits:
        for module in (schedule, partials, pair_partials):
            limits.enter_context(patch.object(module, "_MOST", at_once))
        if task == "regression":
            limits.enter_context(patch("leadline.core.join.cohorts.Cohorts.error_bound", lambda *_: 0.6))
        feed_all(run, predictions, outcomes, random.randint, most, reopen, shadows)
        run.pass_time(as_of)
    rules = own | {"as_of": as_of} | ({"bound": 0.6} if task == "regression" else {})
    judged = oracle.pairs_at_maturity(predictions, shadows, outcomes, **rules)
    wrong = pair_differences(run, oracle.pairs(predictions, shadows, outcomes, **rules), judged)
    assert not wrong, wrong
    if task == "binary":
        assert not differences(run, oracle.join(predictions, outcomes, **own, as_of=as_of))


@given(
    SAID, OUTCOMES, RANDOMS, SAMPLES, POLICIES, GRACES, st.integers(1, 12), st.booleans(), st.integers(1, 9),
    st.integers(0, 2000), st.sampled_from(["binary", "binary", "regression"]),
)  # fmt: skip
@settings(max_examples=60)
def test_pairs_equal_a_naive_comparison_of_the_logs(
    requests, outcomes, random, samples, policy, unlabelled_grace, most, reopen, at_once, wait, task
):
    check(requests, outcomes, random, samples, policy, unlabelled_grace, most, reopen, at_once, wait, task)
