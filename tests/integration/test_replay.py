"""Replays through a real Kafka equal the batch join, whatever the partitions, the workers and what happens to them."""

import csv
import gzip
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

import replays

pytestmark = pytest.mark.integration

START = datetime(1969, 12, 30, tzinfo=UTC)  # so that some windows lie before 1970
ASK = ("--horizon", "12h", "--window", "1d")


def write(path, header, rows):
    rows.sort(key=lambda row: row[-1])
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(header.split(","))
        table.writerows([[cell.isoformat() if isinstance(cell, datetime) else cell for cell in row] for row in rows])
    return path


def write_logs(folder, count, seed):
    """Both logs with everything that goes wrong in them: repeats, two versions, corrections, late, early, unknown and missing outcomes."""
    rng = random.Random(seed)
    predictions, outcomes = [], []
    for number in range(count):
        name = f"möwe-{number}-🦆" if number % 50 == 0 else f"r{number}"
        event = START + timedelta(milliseconds=rng.randrange(6 * 86_400_000))
        segment = rng.choice(["", "north", "süd", "a,b"])
        arrival = event + timedelta(seconds=rng.choice([1, 5, 40_000]))
        for version in rng.choice([["v1"], ["v1", "v2"], ["v1", "v1"]]):
            score = rng.choice([0.0, 1.0, rng.random()])
            predictions.append([name, event, version, score, int(score >= 0.5), segment, arrival])
        for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
            known = event + timedelta(minutes=rng.choice([-5, 10, 300, 719, 721, 3000]))
            label = rng.choice(["0", "1"])
            outcomes.append([name, label, known, known + timedelta(seconds=rng.choice([0, 60, 90_000]))])
    outcomes += [[f"nobody-{n}", "1", START, START + timedelta(hours=n)] for n in range(20)]
    header = "request_id,event_time,model_version,score,label_pred,segment,arrival_time"
    return (
        write(folder / "predictions.csv.gz", header, predictions),
        write(folder / "outcomes.csv.gz", "request_id,outcome,outcome_time,arrival_time", outcomes),
    )


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write_logs(tmp_path_factory.mktemp("logs"), 40_000, seed=1)


def finish(process, folder, within_s=180):
    assert process.wait(within_s) == 0, (folder / "said.txt").read_text("utf-8")
    return (folder / "metrics.csv").read_bytes(), (folder / "summary.json").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(kafka, logs, tmp_path_factory):
    """Folder and answer of a replay to which nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, finish(replays.start(folder, kafka, *logs, *ASK, "--partitions", "2"), folder)


def test_equals_the_batch_join(undisturbed, logs):
    assert replays.differences(undisturbed[0], replays.expected(*logs, "12h", "1d", "first"), "1d") == []


def test_the_latest_outcome_on_four_partitions_and_two_workers(kafka, logs, tmp_path):
    options = ("--policy", "latest", "--partitions", "4", "--workers", "2")
    finish(replays.start(tmp_path, kafka, *logs, *ASK, *options), tmp_path)
    assert replays.differences(tmp_path, replays.expected(*logs, "12h", "1d", "latest"), "1d") == []


def small(folder, outcomes_of="r"):
    """Six requests with labels of words, and their outcomes."""
    times = [START + timedelta(hours=n) for n in range(6)]
    predictions = [[f"r{n}", t, "v1", 0.9 - n % 2 * 0.8, ("yes", "no")[n % 2], "", t] for n, t in enumerate(times)]
    outcomes = [[f"{outcomes_of}{n}", ("yes", "no")[n % 2], t, t] for n, t in enumerate(times)]
    return (
        write(
            folder / "p.csv.gz",
            "request_id,event_time,model_version,score,label_pred,segment,arrival_time",
            predictions,
        ),
        write(folder / "o.csv.gz", "request_id,outcome,outcome_time,arrival_time", outcomes),
    )


def test_labels_of_words(kafka, tmp_path):
    asked = ("--positive", "yes", "--report", tmp_path / "report.html")
    finish(replays.start(tmp_path, kafka, *small(tmp_path), *ASK, *asked), tmp_path)
    with (tmp_path / "metrics.csv").open(encoding="utf-8", newline="") as rows:
        [window] = [row for row in csv.DictReader(rows) if row["segment"] == "*"]
    assert (window["tp"], window["tn"], window["accuracy"]) == ("3", "3", "1.0")
    assert '<td class="nowrap">1.000</td>' in (tmp_path / "report.html").read_text("utf-8")


def test_a_replay_in_which_nothing_counts_fails_and_says_why(kafka, tmp_path):
    process = replays.start(tmp_path, kafka, *small(tmp_path, "s"), *ASK, "--positive", "yes")
    assert process.wait(180) == 1
    said = (tmp_path / "said.txt").read_text("utf-8")
    assert "nothing counted: 6 predictions, none with an outcome; 6 outcomes of no prediction" in said


def test_as_of_a_moment_in_between(kafka, logs, tmp_path):
    moment = START + timedelta(days=3)
    finish(replays.start(tmp_path, kafka, *logs, *ASK, "--as-of", moment.isoformat()), tmp_path)
    as_of = int(moment.timestamp() * 1000)
    assert replays.differences(tmp_path, replays.expected(*logs, "12h", "1d", "first", as_of), "1d") == []


def test_partitions_and_workers_change_no_byte(kafka, logs, undisturbed, tmp_path):
    again = finish(replays.start(tmp_path, kafka, *logs, *ASK, "--partitions", "3", "--workers", "2"), tmp_path)
    assert again[0] == undisturbed[1][0]


def workers(process, folder):
    """Pids of the replay's workers that live, when there are any."""
    while process.poll() is None:
        alive = [pid for pid in replays.children(folder) if os.path.exists(f"/proc/{pid}")]  # noqa: PTH110
        if alive:
            return alive
        time.sleep(0.05)
    return []


def test_kills_change_no_byte(kafka, logs, undisturbed, tmp_path):
    process, rng, kills = replays.start(tmp_path, kafka, *logs, *ASK, "--partitions", "2"), random.Random(2), 0
    for wait_s in (3.0, 2.5 + rng.random(), 3 + rng.random()):
        pids = workers(process, tmp_path)
        time.sleep(wait_s)
        with suppress(ProcessLookupError, IndexError):
            os.kill(pids[-1], signal.SIGKILL)
            kills += 1
    assert finish(process, tmp_path)[0] == undisturbed[1][0]
    assert kills


def test_a_second_worker_that_comes_and_goes_changes_no_byte(kafka, logs, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setenv("LEADLINE_RUN_RECORDS", "100")  # so that there is still work when it comes
    process = replays.start(tmp_path, kafka, *logs, *ASK, "--partitions", "4")
    [pid] = workers(process, tmp_path)
    with open(f"/proc/{pid}/environ", encoding="utf-8") as pairs:  # noqa: PTH123
        environment = dict(pair.split("=", 1) for pair in pairs.read().split("\0") if "=" in pair)
    environment["LEADLINE_STATE"] = str(tmp_path / "second")
    command = [sys.executable, "-m", "leadline", "worker", "--step=join", "--step=performance"]
    with (tmp_path / "second.log").open("w") as log:
        second = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        while '"assigned"' not in (tmp_path / "second.log").read_text("utf-8") and process.poll() is None:
            time.sleep(0.1)
        time.sleep(1)
        second.terminate()
        assert second.wait(60) == 0, (tmp_path / "second.log").read_text("utf-8")
    assert finish(process, tmp_path)[0] == undisturbed[1][0]
    assert '"assigned"' in (tmp_path / "second.log").read_text("utf-8")


def test_a_real_stream(kafka, tmp_path):
    folder = replays.shared_data("elec2")
    if folder is None:
        pytest.skip("the real streams are not beside this project")
    files = folder / "predictions.csv.gz", folder / "outcomes.csv.gz"
    options = ("--horizon", "2h", "--window", "7d")
    finish(replays.start(tmp_path, kafka, *files, *options), tmp_path)
    assert replays.differences(tmp_path, replays.expected(*files, "2h", "7d", "first"), "7d") == []
