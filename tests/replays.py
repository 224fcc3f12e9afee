"""Replay logs through the real pipeline, and hold the answer against the oracle."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from leadline.core.windows.aggregates.by_score import score_bin
from leadline.settings import duration_ms
from leadline.testing import oracle
from logs import ms, read_log


def start(folder, bootstrap, predictions, outcomes, *options):
    """Start ``leadline replay``; its answer goes to metrics.csv and summary.json of the folder, what it says to said.txt."""
    command = [
        sys.executable, "-m", "leadline", "replay", "--predictions", predictions, "--outcomes", outcomes,
        "--out", folder / "metrics.csv", "--summary", folder / "summary.json", *options,
    ]  # fmt: skip
    environment = {**os.environ, "KAFKA_BOOTSTRAP": bootstrap}
    with (folder / "said.txt").open("w") as said:
        return subprocess.Popen([str(word) for word in command], env=environment, stdout=said, stderr=said)


def expected(predictions, outcomes, horizon, window, policy, as_of=None):
    """What the oracle says, with logs that have NaN scores or such left out as the product leaves them out."""
    logs = read_log(predictions), read_log(outcomes)
    times = [
        r[name] for log in logs for r in log for name in ("arrival_time", "event_time", "outcome_time") if name in r
    ]
    as_of = max(times) if as_of is None else as_of
    usable = [p for p in logs[0] if p["score"] is not None and 0 <= p["score"] <= 1]
    answer = oracle.join(
        usable, logs[1], horizon=duration_ms(horizon), window=duration_ms(window), policy=policy, as_of=as_of
    )
    return (*answer, usable)


def differences(folder, answer, window):
    """Where the files that a replay wrote differ from the oracle's answer."""
    counts, windows, labels, predictions = answer
    got = json.loads((folder / "summary.json").read_text("utf-8"))["counts"]
    wrong = [(name, got[name], value) for name, value in counts.items() if got[name] != value]
    bounds = auc_bounds(predictions, labels, duration_ms(window))
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as rows:
        table = {(r["model_version"], ms(r["window_start"]), r["segment"]): r for r in csv.DictReader(rows)}
    if set(table) != set(windows):
        wrong.append(("windows", set(table) ^ set(windows)))
    for key, row in windows.items():
        for name, value in row.items():
            text = table.get(key, {}).get(name, "")
            limit = bounds[key] if name == "auc" else 1e-9
            if (text == "") != (value is None) or (value is not None and abs(float(text) - value) > limit + 1e-12):
                wrong.append((key, name, text, value))
    return wrong


def auc_bounds(predictions, labels, window):
    """Half the share of (positive, negative) pairs that fall into one score bin, for each window."""
    bins = defaultdict(lambda: (Counter(), Counter()))
    seen = set()
    scores = score_bin(np.array([p["score"] for p in predictions])).tolist()
    for p, bin_ in zip(predictions, scores, strict=True):
        key = p["request_id"], p["model_version"]
        if key in seen or labels.get(key) is None:
            continue
        seen.add(key)
        for segment in {"*", p["segment"]}:
            bins[p["model_version"], p["event_time"] // window * window, segment][labels[key] == 1][bin_] += 1
    bounds = defaultdict(float)
    for window_key, (negative, positive) in bins.items():
        pairs = negative.total() * positive.total()
        shared = sum(count * negative[bin_] for bin_, count in positive.items())
        bounds[window_key] = shared / pairs / 2 if pairs else 0.0
    return bounds


def children(folder):
    """Pids of the workers that a replay has named so far, newest last."""
    lines = (folder / "said.txt").read_text("utf-8").splitlines()
    return [int(line.rsplit(" ", 1)[1]) for line in lines if "runs as pid" in line]


def shared_data(name):
    """A real stream where it stands beside the project; None where it does not."""
    folder = Path(__file__).parents[2] / "shared" / "data" / name
    return folder if folder.exists() else None
