"""Logs that people replayed: labels are what they say or nothing is replayed, and a log in which nothing counts says so."""

import pytest

from leadline.replay.errors import LogError
from leadline.replay.logs import read_logs
from leadline.replay.report import problem

DAY = "2026-03-%02dT10:00:00Z"
FIRST, SECOND, THIRD = DAY % 1, DAY % 2, DAY % 3
FIRST_MS = 1_772_359_200_000
PREDICTIONS = "request_id,event_time,model_version,score,label_pred,segment,arrival_time"
OUTCOMES = "request_id,outcome,outcome_time,arrival_time"


def predicted(*labels, time=FIRST):
    return [f"r{i},{time},v1,.9,{label},all,{time}" for i, label in enumerate(labels)]


def known(*outcomes, time=SECOND):
    return [f"r{i},{outcome},{time},{time}" for i, outcome in enumerate(outcomes)]


# log: predictions, outcomes, the positive label, and the labels and outcomes that are read, or what is said of it
LOGS = {
    "one-two": (predicted(1, 2, 1), known(1, 2, 2), "2", ([0, 1, 0], [0.0, 1.0, 1.0])),
    "one-two-unsaid": (predicted(1, 2, 1), known(1, 2, 2), None, "the labels are 1, 2: say which one is positive with --positive"),
    "minus-one": (predicted(-1, 1), known(-1, 1), "1", ([0, 1], [0.0, 1.0])),
    "float-label": (predicted("0.0", "1.0"), known(0, 1), None, ([0, 1], [0.0, 1.0])),
    "text": (predicted(0, 1), known("no", "yes"), "yes", ([0, 1], [0.0, 1.0])),
    "text-unsaid": (predicted(0, 1), known("no", "yes"), None, "the labels are 0, 1, no, yes: say which one"),
    "bool": (predicted(0, 1), known("False", "True"), None, ([0, 1], [0.0, 1.0])),
    "no-outcomes": (predicted(0, 1), [], None, "has no rows: nothing would count"),
    "nothing": ([], [], None, "has no rows: nothing would count"),
    "empty-outcome": (predicted(0, 1), [*known(0, 1), f"r1,,{THIRD},{THIRD}"], None, ([0, 1], [0.0, 1.0, None])),
    "nan-outcome": (predicted(0, 1), known(0, "nan"), None, "outcome, row 2: is NaN: leave it empty"),
    "no-segment": ([f"r0,{FIRST},v1,.9,1,,{FIRST}"], known(1), None, ([1], [1.0])),
    "extra-version": ([f"r0,{FIRST},2024.1,.9,1,all,{FIRST}", f"r1,{FIRST},1.0,.9,1,all,{FIRST}"], known(1, 0), None, ([1, 1], [1.0, 0.0])),
    "dup-ids": ([f"x,{FIRST},v1,.9,1,all,{FIRST}", f"x,{SECOND},v1,.1,0,all,{SECOND}"], known(1), None, ([1, 0], [1.0])),
}  # fmt: skip


def logs_of(folder, predictions, outcomes, positive=None, comma=","):
    files = []
    for name, head, rows in (("p.csv", PREDICTIONS, predictions), ("o.csv", OUTCOMES, outcomes)):
        (folder / name).write_text("".join(f"{row}\n" for row in [head, *rows]).replace(",", comma), "utf-8")
        files.append(folder / name)
    return read_logs(*files, "m", "binary", positive)


@pytest.mark.parametrize("name", LOGS)
def test_replay(tmp_path, name):
    predictions, outcomes, positive, wanted = LOGS[name]
    if isinstance(wanted, str):
        with pytest.raises(LogError) as refused:
            logs_of(tmp_path, predictions, outcomes, positive)
        assert wanted in str(refused.value)
        assert "\n" not in str(refused.value)
    else:
        one, other = logs_of(tmp_path, predictions, outcomes, positive)
        assert (one.columns["predicted_label"].to_pylist(), other.columns["outcome"].to_pylist()) == wanted


TIMES = {
    "ns": ("2026-03-01T10:00:00.123456789Z", FIRST_MS + 123),
    "pandas-time": ("2026-03-01 10:00:00+00:00", FIRST_MS),
    "epoch": (str(FIRST_MS), FIRST_MS),
    "dst": ("2026-10-25T02:30:00+01:00", 1_792_891_800_000),
    "dst-summer": ("2026-10-25T02:30:00+02:00", 1_792_888_200_000),
}


@pytest.mark.parametrize("name", TIMES)
def test_replay_times(tmp_path, name):
    text, wanted = TIMES[name]
    one, _ = logs_of(tmp_path, predicted(1, time=text), known(1))
    assert (one.columns["event_time"].to_pylist(), one.arrival_ms.tolist()) == ([wanted], [wanted])


def test_replay_semicolon(tmp_path):
    with pytest.raises(LogError, match=r'are they separated by ";"\? write commas'):
        logs_of(tmp_path, predicted(0, 1), known(0, 1), comma=";")


def test_replay_odd_ids(tmp_path):
    ids = ['"a ""q"" ;\n😀"', "a", " a"]
    one, other = logs_of(
        tmp_path,
        [f"{each},{FIRST},v1,.9,1,all,{FIRST}" for each in ids],
        [f"{each},1,{SECOND},{SECOND}" for each in ids],
    )
    assert one.columns["request_id"].to_pylist() == ['a "q" ;\n😀', "a", " a"]
    assert one.keys == other.keys


def test_replay_in_which_nothing_counts():
    """It ends with exit code 1 and the reasons with their numbers."""
    counted = {"predictions": 3, "matched": 0, "outcomes_orphan": 2, "outcomes_late": 1}
    assert problem(counted, {"event-time-unit": 2}) == (
        "nothing counted: 3 predictions, none with an outcome; 2 outcomes of no prediction; 1 outcomes after the horizon; "
        "2 records could not be used: event-time-unit 2"
    )
    assert problem(counted | {"matched": 1}, {}) is None
