"""Logs for join tests: as lists of dicts, as batches, and run through the join."""

import csv
import gzip
from dataclasses import asdict
from datetime import datetime

import numpy as np
import pyarrow as pa

from leadline.core.join.join import Join
from leadline.core.processor import Batch, drain
from leadline.records import JoinCounts, PairPartial, WindowPartial
from leadline.state.memory import MemoryStore
from leadline.testing import oracle
from leadline.wire.rules import broken_record


class Models:
    """Models without versions."""

    def __init__(self, *settings):
        self._settings = {each.name: each for each in settings}

    def names(self):
        return list(self._settings)

    def settings(self, model):
        return self._settings.get(model)

    def why_unusable(self, model, version=None):
        return None

    def version(self, model, version):
        return None

    def loaded(self, model, version, rolled_out_ms):
        return None

    def fetched(self):
        return 0


def ms(text):
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def read_log(path):
    """A CSV log as `oracle.join` wants it."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as rows:
        return [
            {name: ms(value) if name.endswith("_time") else _value(name, value) for name, value in row.items()}
            for row in csv.DictReader(rows)
        ]


def _value(name, value):
    if name in ("score", "outcome"):
        return float(value) if value else None
    return int(value) if name == "label_pred" else value


def body(request_id, version):
    """The body of a prediction in `batch`; bodies differ in length."""
    return f"{version} of {request_id}".encode()


def batch(topic, records):
    """Records (dicts with an ``offset``) as one run's batch."""
    keys = [r["request_id"].encode() for r in records]
    arrival = np.array([r["arrival_time"] for r in records], np.int64)
    columns = _outcomes(records) if topic == "outcomes" else _predictions(records)
    offsets = np.array([r["offset"] for r in records], np.int64)
    bodies = [body(r["request_id"], r.get("model_version", "")) for r in records]
    return Batch(topic, 0, offsets, arrival, keys, int(offsets[-1]), int(arrival.max()), columns, bodies)


def _predictions(records):
    segments = [r.get("segments") or ([] if r["segment"] is None else [r["segment"]]) for r in records]
    return pa.record_batch(
        {
            "model": [r.get("model", "m") for r in records],
            "model_version": [r["model_version"] for r in records],
            "event_time": pa.array([r["event_time"] for r in records], pa.int64()),
            "score": pa.array([r["score"] for r in records], pa.float64()),
            "predicted_label": pa.array([r["label_pred"] for r in records], pa.int64()),
            "segments": pa.array(segments, pa.list_(pa.string())),
            "features": pa.array([[]] * len(records), pa.list_(pa.float64())),
            "signature": ["s"] * len(records),
            "sample": [r.get("sample", 1.0) for r in records],
        }
    )


def _outcomes(records):
    return pa.record_batch(
        {
            "outcome": pa.array(
                [None if isinstance(r["outcome"], str) else r["outcome"] for r in records], pa.float64()
            ),
            "class_name": pa.array(
                [r["outcome"] if isinstance(r["outcome"], str) else None for r in records], pa.string()
            ),
            "outcome_time": pa.array([r["outcome_time"] for r in records], pa.int64()),
        }
    )


class JoinRun:
    """The join of one partition, fed in runs; holds the newest of each thing that it emitted, and the labels of each prediction."""

    def __init__(self, *settings, models=None):
        self.store = MemoryStore()
        self.models = models or Models(*settings)
        self.join = Join(0, self.store, self.models)
        self.windows, self.totals, self.labels, self.rejects = {}, {}, {}, []
        self.pairs = {}
        self.matured = {}
        self.dies_between_steps = False

    def reopen(self):
        self.join = Join(0, self.store, self.models)

    def feed(self, topic, records):
        self.take(self.join.on_batch(batch(topic, records)), records)
        self.drain()

    def pass_time(self, now_ms):
        self.take(self.join.on_time(now_ms, frozenset({"predictions", "shadow-predictions", "outcomes"})), [])
        self.drain()

    def drain(self):
        while self.join.has_due:
            if self.dies_between_steps:
                self.reopen()
            self.take(next(drain(self.join)), [])

    def take(self, effects, records):
        self.store.commit()
        self.rejects += [(records[r.index]["request_id"], r.reason) for r in effects.rejects]
        for output in effects.outputs:
            if output.topic == "window-profiles":
                continue
            for record in output.records:
                assert broken_record(output.topic, record, None) is None
                if isinstance(record, PairPartial):
                    self.take_pairs(record)
                elif isinstance(record, WindowPartial):
                    window = record.model_version, record.window_start, record.segment
                    held = self.windows.get(window)
                    assert held is None or record.revision > held.revision
                    assert held is None or held.mature is None or record.mature == held.mature
                    self.windows[window] = record
                else:
                    assert isinstance(record, JoinCounts)
                    self.totals[record.model] = record
                    self.tell_of_matured(record)
            if output.topic == "labeled-predictions":
                for key, value, row in zip(output.keys, output.bodies, output.columns.to_pylist(), strict=True):
                    version, _, request = value.decode().partition(" of ")
                    assert request == key.decode()
                    self.labels.setdefault((request, version), []).append(row)

    def take_pairs(self, record):
        key = record.first, record.second, record.window_start, record.segment, record.sample
        held = self.pairs.get(key)
        assert held is None or record.revision > held.revision
        assert held is None or held.mature is None or record.mature == held.mature
        self.pairs[key] = record

    def tell_of_matured(self, counts):
        """Each window is told of once, and all that were due by the time that the counts are of."""
        for each in counts.matured:
            window = each.model_version, each.window_start, "*"
            assert window not in self.matured
            self.matured[window] = each.predictions
        for window, record in self.windows.items():
            settings = self.models.settings(record.model)
            if settings is None or record.model != counts.model or window[2] != "*":
                continue
            if record.window_end + settings.mature_after < counts.as_of:
                assert record.mature is not None
                assert self.matured.get(window, 0) == record.mature.predictions

    def counts(self):
        names = [
            n
            for n in JoinCounts.__dataclass_fields__
            if n not in ("model", "source_partition", "revision", "as_of") and not n.startswith(("last_", "matured"))
        ]
        counts = {name: sum(getattr(total, name) for total in self.totals.values()) for name in names}
        return counts | {"pending": counts["predictions"] - counts["matched"] - counts["expired"]}


def feed_all(run, predictions, outcomes, draw, most, reopen=False, shadows=None):
    """The logs, each in its order, in runs of up to ``most`` records, interleaved as ``draw`` (low, high) says."""
    logs = {"predictions": list(predictions), "outcomes": list(outcomes)}
    if shadows is not None:
        logs["shadow-predictions"] = list(shadows)
    for log in logs.values():
        for offset, record in enumerate(log):
            record["offset"] = offset
    at = dict.fromkeys(logs, 0)
    while any(at[topic] < len(log) for topic, log in logs.items()):
        topic = list(logs)[draw(0, len(logs) - 1)]
        size = draw(1, most)
        part = logs[topic][at[topic] : at[topic] + size]
        at[topic] += size
        if part:
            if reopen:
                run.reopen()
            run.feed(topic, part)


def differences(run, expected):
    """Where a run's counts and windows differ from the oracle's (counts, windows, labels)."""
    counts, windows, _ = expected
    got = run.counts()
    wrong = [(name, got[name], value) for name, value in counts.items() if got[name] != value]
    if set(run.windows) != set(windows):
        wrong.append(("windows", set(run.windows) ^ set(windows)))
    for window, row in windows.items():
        partial = run.windows.get(window)
        if partial is None:
            continue
        exact = ("predictions", "matched", "expired", "assumed", "tp", "fp", "fn", "tn")
        close = [name for name in ("logloss", "brier", "mean_score", "outcome_rate") if row[name] is not None]
        wrong += [
            (window, name, getattr(partial, name), row[name]) for name in exact if getattr(partial, name) != row[name]
        ]
        wrong += [
            (window, name, _mean(partial, name), row[name])
            for name in close
            if abs(_mean(partial, name) - row[name]) > 1e-9
        ]
    return wrong


def pair_differences(run, expected, judged):
    """Where a run's pairs differ from the oracle's, now and at maturity."""
    wrong = []
    for key in set(run.pairs) | set(expected) | set(judged):
        found, wanted = run.pairs.get(key), expected.get(key, oracle.NO_PAIRS)
        if found is None or asdict(found.counts) != wanted:
            wrong.append((key, found and asdict(found.counts), wanted))
        mature = found and found.mature and asdict(found.mature)
        if mature != judged.get(key) and not (key not in judged and mature == oracle.NO_PAIRS):
            wrong.append((key, "at maturity", mature, judged.get(key)))
    return wrong


def _mean(partial, name):
    total = {"mean_score": "score_sum", "outcome_rate": "outcome_sum"}.get(name, f"{name}_sum")
    return getattr(partial, total) / 1e12 / partial.matched
