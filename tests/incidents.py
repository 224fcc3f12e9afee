"""Windows, reports and references that incidents are made of."""

from dataclasses import replace

from leadline.core.performance.metrics import METRICS
from leadline.core.reference import FeatureWindow, ReferenceProfile, SegmentReference
from leadline.records import DriftReport, JoinCounts, MatureCounts, WindowMetrics
from leadline.settings import AlertLimits, ModelSettings
from stages import Models, version

SIZE, HORIZON, GRACE = 100, 1000, 300


def reference(**shares):
    """1,000 rows in ten windows for each segment, right in these shares of them."""
    segments = [
        SegmentReference(
            name.replace("all", "*"), 1000, {"accuracy": share, "precision": share, "recall": share},
            [[100.0 * i, 100.0, share * 100] for i in range(10)],
        )
        for name, share in ({"all": 0.9} | shares).items()
    ]  # fmt: skip
    windows = [FeatureWindow(100 * i, 100, []) for i in range(10)]
    return ReferenceProfile(1000, [], segments[0].metrics, [], SIZE, windows, segments)


def models(profile=None, **limits):
    limits = {"false_alarms": f"1 per {30 * SIZE}ms", "early_false_alarms": f"1 per {30 * SIZE}ms", **limits}
    settings = ModelSettings(
        name="m", window=SIZE, horizon=HORIZON, grace=GRACE, alerts=AlertLimits(**limits), runbook="wiki"
    )
    return Models({"m": settings}, {("m", "v1"): version(settings, profile or reference())})


def counts(right, n=200, missing=0, positive=0):
    return MatureCounts(n, n - missing, positive, right // 2, 0, n - missing - right, right - right // 2, 0, 0)


def window(number, right=None, segment="*", revision=2, made="v1", state="mature", **changed):
    """A window of 200 predictions; mature with so many right answers, or not yet over."""
    end, known = (number + 1) * SIZE, right if isinstance(right, MatureCounts) else counts(right or 0)
    record = WindowMetrics(
        model="m", model_version=made, segment=segment, window_start=number * SIZE, window_end=end, revision=revision,
        as_of=end + HORIZON + 1, state=state, task="binary", predictions=known.predictions, matched=known.matched, pending=0,
        expired=0, tp=known.tp, fp=known.fp, fn=known.fn, tn=known.tn, coverage=known.matched / known.predictions,
        **dict.fromkeys(METRICS), mature=None if right is None else known,
    )  # fmt: skip
    if right is None:
        record = replace(record, state="provisional", as_of=end, revision=1)
    return replace(record, **changed)


def time(number, **changed):
    """All partitions have come to where this window is due."""
    due = (number + 1) * SIZE + HORIZON + 1
    return replace(JoinCounts("m", -1, number + 1, due, *[number + 1] * 17), **changed)


def report(number, feature, drifted, revision=1, p=1e-9):
    kind = "score" if feature == "score" else "numeric"
    return DriftReport(
        model="m", model_version="v1", window_start=number * SIZE, window_end=number * SIZE + SIZE, feature=feature, kind=kind,
        method="psi+chi2", statistic=0.3, threshold=0.1, p_value=p, drifted=drifted, n=500, reference_n=1000,
        revision=revision, as_of=0,
    )  # fmt: skip
