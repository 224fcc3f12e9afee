"""The rules of labeling by columns say what the rules of one request say."""

from math import isnan, nan

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from leadline.core.join.class_names import number_of
from leadline.core.join.label_rules import (
    OUTCOME_CLASSES,
    LabelColumns,
    LabelRule,
    StoredOutcome,
    classify,
    in_horizon,
    in_time,
    is_class,
    known,
    label,
)
from leadline.core.join.request_state import OUTCOME

NEVER_SEALED = 2**62
TIMES = st.integers(-2, 2) | st.integers(-(10**13), 10**13)
YES, NO, MAYBE = map(number_of, ("yes", "no", "maybe"))
RULES = st.builds(
    LabelRule,
    deadline_ms=TIMES,
    seal_ms=st.none() | TIMES,
    policy=st.sampled_from(["first", "latest"]),
    classes=st.sampled_from([None, (0.0, 1.0), (1.0, 2.0)]),
    names=st.sampled_from([(), (NO, YES)]),
)
OUTCOMES = st.builds(
    StoredOutcome,
    offset=st.integers(0, 99),
    outcome_time=TIMES,
    arrival_ms=TIMES,
    value=st.sampled_from([0.0, 1.0, 2.0, 0.7, nan, YES, NO, MAYBE]),
    log_ms=TIMES,
)
REQUESTS = st.lists(st.tuples(st.lists(RULES, max_size=4), OUTCOMES), max_size=8)


@given(REQUESTS)
def test_columns_say_what_one_by_one_is_said(requests):
    outcomes = np.array([outcome for _, outcome in requests], OUTCOME)
    request = np.array([i for i, (rules, _) in enumerate(requests) for _ in rules], np.int64)
    rules = [rule for own, _ in requests for rule in own]
    deadlines = np.array([rule.deadline_ms for rule in rules], np.int64)
    seals = np.array([NEVER_SEALED if rule.seal_ms is None else rule.seal_ms for rule in rules], np.int64)
    own = [known(rule, requests[i][1]) for i, rule in zip(request, rules, strict=True)]
    classes = np.array([is_class(rule, outcome) for rule, outcome in zip(rules, own, strict=True)], bool)
    columns = LabelColumns.of(deadlines, seals, np.array(own, OUTCOME), classes)
    for i, rule in enumerate(rules):
        outcome = requests[request[i]][1]
        one = label(rule, [outcome])
        within = in_horizon(rule, outcome) and is_class(rule, own[i])
        assert (columns.in_time[i], columns.in_horizon[i]) == (in_time(rule, outcome), within)
        assert (columns.used[i], columns.late[i]) == (one.outcome is not None, one.late)
        assert not (columns.used[i] and isnan(outcome.value))
    classes = [OUTCOME_CLASSES[code] for code in columns.classes(request, outcomes)]
    assert classes == [
        name for own, outcome in requests for name in classify(own, [label(rule, [outcome]) for rule in own], [outcome])
    ]
