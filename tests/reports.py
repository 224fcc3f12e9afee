"""Records of which a page about a model is made."""

from dataclasses import fields

import numpy as np

from leadline.core.windows.aggregates.by_score import score_bin
from leadline.records import Alert, DriftReport, Metric, WindowMetrics, WindowPartial

DAY = 86_400_000


def window(day=0, version="v1", segment="*", **more):
    none = {each.name: 0 if each.type is int else None for each in fields(WindowMetrics) if each.name != "finals"}
    said = {
        "model": "m", "model_version": version, "segment": segment, "window_start": day * DAY, "window_end": (day + 1) * DAY,
        "revision": 1, "as_of": (day + 2) * DAY, "state": "mature", "task": "binary", "predictions": 100, "matched": 80,
        "coverage": 0.8, "accuracy": Metric(0.9, 0.85, 0.95), "estimated_accuracy": Metric(0.88, 0.8, 0.93),
        "nowcast_accuracy": Metric(0.89, 0.88, 0.9), "auc": Metric(0.7, 0.6, 0.8),
    }  # fmt: skip
    return WindowMetrics(**(none | said | more))


def report(day=0, feature="x", ratio=0.5, version="v1", **more):
    said = {
        "model": "m", "model_version": version, "window_start": day * DAY, "window_end": (day + 1) * DAY, "feature": feature,
        "kind": "numeric", "method": "psi+chi2", "statistic": 0.1 * ratio, "threshold": 0.1, "p_value": 0.0, "drifted": ratio > 1,
        "n": 9, "reference_n": 9, "revision": 1, "as_of": 0,
    }  # fmt: skip
    return DriftReport(**(said | more))


def alert(id_="a", state="opened", revision=1, day=0, **more):
    said = {
        "alert_id": id_, "kind": "performance", "severity": "critical", "state": state, "model": "m", "model_version": "v1",
        "segment": "*", "window_start": day * DAY, "window_end": (day + 1) * DAY, "revision": revision, "evidence": {}, "runbook": "",
        "cause": "accuracy fell", "at": (day + 2) * DAY,
    }  # fmt: skip
    return Alert(**(said | more))


def partial(day=0, partition=0, positives=(), negatives=(), version="v1", **more):
    none = {each.name: 0 for each in fields(WindowPartial) if each.type is int}
    scores = np.array([*positives, *negatives])
    bins = sorted(set(score_bin(scores).tolist()))
    counts = [
        [score_bin(np.array(each)).tolist().count(b) if len(each) else 0 for b in bins]
        for each in (positives, negatives)
    ]
    said = {
        "model": "m", "model_version": version, "segment": "*", "window_start": day * DAY, "window_end": (day + 1) * DAY,
        "source_partition": partition, "revision": 1, "state": "mature", "task": "binary", "score_bins": bins,
        "predictions": len(scores), "matched": len(scores), "tp": len(positives), "tn": len(negatives), "positives": counts[0],
        "negatives": counts[1],
    }  # fmt: skip
    return WindowPartial(**(none | said | more))
