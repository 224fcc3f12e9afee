"""Stages without a broker: models, batches of records, and a host that can start afresh before every run."""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from leadline.core.models import LoadedVersion, Signature
from leadline.core.performance.metrics import METRICS
from leadline.core.processor import Batch, drain
from leadline.core.tables import Table
from leadline.core.windows.aggregates.by_score import SCORE_BINS, score_bin
from leadline.core.windows.aggregates.sums import UNIT
from leadline.records import MatureCounts, Metric, Rollout, WindowMetrics, WindowPartial
from leadline.state.memory import MemoryStore
from leadline.wire.codec import keys_of, routes_of
from leadline.wire.rules import broken_record

METRIC_VALUES = dict.fromkeys(METRICS) | {"accuracy": Metric(0.5, 0.4, 0.6), "auc_error": 0.01}
WINDOW = WindowMetrics(
    model="m",
    model_version="v1",
    segment="*",
    window_start=0,
    window_end=100,
    revision=1,
    as_of=100,
    state="mature",
    task="binary",
    **dict.fromkeys("predictions matched pending expired tp fp fn tn".split(), 9),
    coverage=1.0,
    **METRIC_VALUES,
    mature=MatureCounts(200, 200, 100, 5, 95, 95, 5, 0, 0),
    nowcast_accuracy=Metric(0.5, 0.4, 0.6),
    estimated_accuracy=Metric(0.9, 0.89, 0.91),
)


@dataclass
class Models:
    """Settings by model, and versions by (model, version)."""

    known: dict = field(default_factory=dict)
    versions: dict = field(default_factory=dict)

    def names(self):
        return list(self.known)

    def settings(self, model):
        return self.known.get(model)

    def why_unusable(self, model, version=None):
        return None

    def version(self, model, version):
        return self.versions.get((model, version))

    def loaded(self, model, version, rolled_out_ms):
        return self.versions.get((model, version))

    def fetched(self):
        return 0


def roll_out(table, model, version, arrival_ms=0):
    rollout = Rollout(model, version, arrival_ms, "test", "to see")
    table.apply(replace(records_batch("rollouts", [rollout], arrival_ms), keys=[model.encode()]))


def rolled_out(**versions):
    """A table of rollouts in which each of these models has this version."""
    table = Table()
    for model, version in versions.items():
        roll_out(table, model, version)
    return table


def version(settings, profile=None, name="v1", signature=None):
    return LoadedVersion(settings, name, signature or Signature("s", [], [], {}), profile, None)


def records_batch(topic, records, arrival_ms=0):
    count = len(records)
    return Batch(
        topic,
        0,
        np.arange(count),
        np.full(count, arrival_ms),
        [b""] * count,
        count - 1,
        arrival_ms,
        records=list(records),
    )


def predictions_batch(rows, arrival_ms, partition=0, segments=None):
    """Predictions of the model m, as (request id, version, event time, score, features); one arrival time for all, or a list.

    ``segments`` are those of each row, where it has any.
    """
    count = len(rows)
    ids, versions, times, scores, features = zip(*rows, strict=True)
    columns = pa.record_batch(
        {
            "model": ["m"] * count,
            "model_version": list(versions),
            "event_time": pa.array(times, pa.int64()),
            "score": pa.array(scores, pa.float64()),
            "predicted_label": pa.nulls(count, pa.int64()),
            "sample": [1.0] * count,
            "features": pa.array(features, pa.list_(pa.float64())),
            "segments": pa.array(segments or [[]] * count, pa.list_(pa.string())),
        }
    )
    arrival = np.broadcast_to(np.array(arrival_ms, np.int64), count)
    keys = [str(each).encode() for each in ids]
    return Batch(
        "predictions",
        partition,
        np.arange(count),
        arrival,
        keys,
        count - 1,
        int(arrival.max()),
        columns,
        bodies=[b""] * count,
    )


class Host:
    """Runs a stage; ``fresh`` makes a new object on the same store before every run. ``emitted`` is all that it wrote
    to ``topic`` (None: to any), in order.
    """

    def __init__(self, make, fresh=False, topic=None):
        self.make, self.fresh, self.topic, self.store = make, fresh, topic, MemoryStore()
        self.stage = make(self.store)
        self.emitted, self.keys, self.routes = [], [], []

    def feed(self, batch):
        return self._take(self._stage().on_batch(batch)) + self._drain()

    def pass_time(self, now_ms, *idle):
        return self._take(self._stage().on_time(now_ms, frozenset(idle))) + self._drain()

    def _drain(self):
        return [record for effects in drain(self.stage) for record in self._take(effects)]

    def _stage(self):
        if self.fresh:
            self.stage = self.make(self.store)
        return self.stage

    def _take(self, effects):
        self.store.commit()
        outputs = [output for output in effects.outputs if self.topic in (None, output.topic)]
        emitted = [record for output in outputs for record in output.records]
        for output in outputs:
            keys, arrivals = keys_of(output), [0] * len(emitted) if output.arrival_ms is None else output.arrival_ms
            for record, key, arrival_ms in zip(output.records, keys, arrivals, strict=False):
                assert broken_record(output.topic, record, key, int(arrival_ms)) is None
            self.keys += keys
            self.routes += routes_of(output)
        self.emitted += emitted
        return emitted


def partial(
    pairs, source=0, revision=1, extra=0, expired=0, state="provisional", as_of=0, segment="*", task="binary", start=0
):
    """The partial of (score, outcome, predicted label) pairs; ``extra`` predictions have no outcome."""
    scores = np.array([score for score, _, _ in pairs])
    sums = dict.fromkeys(
        (
            "score_sum",
            "outcome_sum",
            "logloss_sum",
            "brier_sum",
            "error_sum",
            "absolute_error_sum",
            "squared_error_sum",
        ),
        0,
    )
    cells, positives, negatives = dict.fromkeys(("tp", "fp", "fn", "tn"), 0), {}, {}
    for (score, outcome, label), bin_ in zip(pairs, score_bin(scores).tolist(), strict=True):
        sums["score_sum"] += round(score * UNIT)
        sums["outcome_sum"] += round(outcome * UNIT)
        if task == "regression":
            error = score - outcome
            for name, value in (
                ("error_sum", error),
                ("absolute_error_sum", abs(error)),
                ("squared_error_sum", error * error),
            ):
                sums[name] += round(value * UNIT)
            continue
        clipped = min(max(score, 1e-15), 1 - 1e-15)
        sums["logloss_sum"] += round(-np.log(clipped if outcome else 1 - clipped) * UNIT)
        sums["brier_sum"] += round((score - outcome) ** 2 * UNIT)
        cells[{(1, 1): "tp", (0, 1): "fp", (1, 0): "fn", (0, 0): "tn"}[int(outcome), label]] += 1
        counted = positives if outcome else negatives
        counted[bin_] = counted.get(bin_, 0) + 1
    used = sorted({*positives, *negatives})
    return WindowPartial(
        model="m",
        model_version="v1",
        segment=segment,
        window_start=start,
        window_end=start + 100,
        source_partition=source,
        revision=revision,
        as_of=as_of,
        state=state,
        task=task,
        predictions=len(pairs) + extra + expired,
        matched=len(pairs),
        expired=expired,
        **cells,
        **sums,
        score_bins=used,
        positives=[positives.get(b, 0) for b in used],
        negatives=[negatives.get(b, 0) for b in used],
    )


def scored_partial(scores, labels, outcomes, known, **changes):
    """The partial of rows of which some have an outcome."""
    found = partial([(scores[i], outcomes[i], labels[i]) for i in np.flatnonzero(known).tolist()], **changes)
    bins = score_bin(np.array(scores)) + SCORE_BINS * np.array(labels)
    used, counts = np.unique(bins, return_counts=True)
    return replace(found, predictions=len(scores), prediction_bins=used.tolist(), prediction_counts=counts.tolist())
