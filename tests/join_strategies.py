"""Logs of predictions and outcomes, in any order, for property tests of the join."""

from hypothesis import strategies as st

HORIZON, OTHER_HORIZON, WINDOW = 200, 80, 100
TIMES = st.integers(-300, 900)
IDS = st.sampled_from(["r1", "r2", "r3", "r4", "ü5", "r6", "r7", "r8", "r9"])
VERSIONS = ["v1", "v2", "v3", "v4", "n1", "n2"]
"""Of the model ``m`` those with a v, of the model ``n`` the others."""
SCORES = st.sampled_from([0.0, 1.0, 0.5, 0.123456]) | st.floats(0, 1)
POLICIES = st.sampled_from(["first", "latest"])
RANDOMS = st.randoms(use_true_random=False)


@st.composite
def scored(draw):
    """The predictions of some versions, up to four of a model, for one request; mostly of one event time."""
    request, event_time, arrival_time = draw(IDS), draw(TIMES), draw(TIMES)
    return [
        {
            "request_id": request,
            "model": "m" if version.startswith("v") else "n",
            "model_version": version,
            "event_time": event_time + draw(st.sampled_from([0, 0, 0, 60])),
            "score": draw(SCORES),
            "label_pred": draw(st.integers(0, 1)),
            "segment": draw(st.sampled_from(["eu", "us", "", None])),
            "arrival_time": arrival_time + draw(st.sampled_from([0, 0, 70])),
        }
        for version in draw(st.lists(st.sampled_from(VERSIONS), min_size=1, max_size=4, unique=True))
    ]


PREDICTIONS = st.lists(scored(), max_size=12).map(
    lambda requests: [prediction for own in requests for prediction in own]
)


def outcome_logs(values):
    return st.lists(
        st.fixed_dictionaries(
            {
                "request_id": IDS | st.just("r99"),
                "outcome": st.sampled_from(values),
                "outcome_time": TIMES,
                "arrival_time": TIMES,
            }
        ),
        max_size=15,
    )


OUTCOMES = outcome_logs([0.0, 1.0, 1.0, None])
ODD_OUTCOMES = outcome_logs([0.0, 1.0, 2.0, 0.7, None, "yes", "no", "maybe"])
