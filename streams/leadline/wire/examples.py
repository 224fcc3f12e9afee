"""An example of each record, as plain JSON: what an AsyncAPI document shows beside a schema.

The examples tell one story: a request of the model ``fraud``, its prediction, its outcome, and the window that both fall into.
"""

from typing import Any

from leadline.wire.schemas import plain

_HOUR = 3_600_000
_DAY = 24 * _HOUR
_MORNING = 1_769_817_600_000
"""2026-01-31T00:00:00Z."""

_VALUES: dict[str, Any] = {
    "request_id": "r-1001",
    "model": "fraud",
    "model_version": "v2",
    "champion": "v2",
    "role": "champion",
    "user_id": "u-17",
    "event_time": _MORNING + 9 * _HOUR,
    "scored_at": _MORNING + 9 * _HOUR + 12,
    "outcome_time": _MORNING + 33 * _HOUR,
    "label_delay_ms": _DAY,
    "window_start": _MORNING,
    "window_end": _MORNING + _DAY,
    "as_of": _MORNING + 34 * _HOUR,
    "revision": 7,
    "score": 0.91,
    "predicted_label": 1,
    "outcome": 1.0,
    "signature": "5c1d8e20",
    "segment": "country=de",
    "segments": ["country=de"],
    "task": "binary",
    "predictions": 1200,
    "matched": 900,
    "pending": 300,
    "tp": 310,
    "fp": 25,
    "fn": 20,
    "tn": 545,
    "coverage": 0.75,
    "accuracy": {"value": 0.95, "low": 0.934, "high": 0.962},
    "outcome_rate": {"value": 0.367, "low": 0.336, "high": 0.399},
    "precision": {"value": 0.925, "low": 0.892, "high": 0.949},
    "recall": {"value": 0.939, "low": 0.908, "high": 0.96},
    "feature": "amount",
    "method": "psi",
    "statistic": 0.31,
    "threshold": 0.1,
    "p_value": 0.00002,
    "drifted": True,
    "n": 1200,
    "reference_n": 40_000,
    "alert_id": "9f1c5a7e",
    "retrain_id": "4b0d2c61",
    "severity": "warning",
    "evidence": {"accuracy": "0.81", "limit": "0.90"},
    "cause": "worse than its limit",
    "reason": "better on the reference",
    "actor": "ada",
    "runbook": "notes/fraud.md",
    "worker_id": "worker-1-3f9a",
    "release": "0.1.0",
    "started_at": _MORNING,
    "told_at": _MORNING + 9 * _HOUR,
    "since": _MORNING,
    "stage": "scoring",
    "partitions": [0, 1],
    "free_bytes": {"state": 64_000_000_000},
}
_OF: dict[str, dict[str, Any]] = {
    "PredictionRequest": {"features": {"amount": 250.0}, "categories": {"country": "de"}},
    "Prediction": {"features": [250.0, 0.0], "categories": ["de"]},
    "WindowMetrics": {"state": "provisional"},
    "WindowPartial": {
        "state": "provisional",
        "score_sum": 402.5,
        "outcome_sum": 330,
        "logloss_sum": 148.2,
        "brier_sum": 44.6,
        "score_bins": [310, 1863],
        "positives": [20, 310],
        "negatives": [545, 25],
        "prediction_bins": [310, 3911],
        "prediction_counts": [745, 455],
    },
    "WindowProfile": {"features": [{"name": "amount", "counts": [80, 310, 420, 270, 120]}]},
    "DriftReport": {"kind": "numeric"},
    "Alert": {"kind": "performance", "state": "opened"},
    "Rollout": {"before": "v1", "effective_at": _MORNING + 9 * _HOUR},
    "PairPartial": {"first": "v1", "second": "v2", "sample": 1.0},
    "Comparison": {"champion": "v1", "challenger": "v2", "sample": 1.0},
    "PairCounts": {
        "both": 840,
        "first": 20,
        "second": 45,
        "neither": 15,
        "alike": 270,
        "unlike": 10,
        "first_score_sum": 401.5,
        "second_score_sum": 402.5,
    },
    "StageHealth": {"state": "running", "reason": ""},
    "WorkerHealth": {"state": "running", "versions": ["fraud v2"]},
}
"""What a field of this name holds in these records alone."""
_EMPTY: dict[str, Any] = {"null": None, "string": "", "bytes": 0, "boolean": False, "array": [], "map": {}}


def example(name: str) -> dict[str, Any]:
    """An example of a record: decimals and times as numbers, and no name of a branch of a union.

    >>> example("Outcome")
    {'request_id': 'r-1001', 'outcome': 1.0, 'outcome_time': 1769936400000, 'class_name': None}
    """
    return _record(plain(name))


def _record(written: dict[str, Any]) -> dict[str, Any]:
    own = _OF.get(written["name"], {})
    return {field["name"]: _value(field, own) for field in written["fields"]}


def _value(field: dict[str, Any], own: dict[str, Any]) -> Any:
    name, kind = field["name"], field["type"]
    if name in own:
        return own[name]
    if isinstance(kind, dict) and kind["type"] == "record":
        return _record(kind)
    if name == "stages":
        return [_record(kind["items"])]
    if name in _VALUES:
        return _VALUES[name]
    return field["default"] if "default" in field else _empty(kind)


def _empty(kind: Any) -> Any:
    """The value of a field that no example needs: null where it may be, else zero or empty."""
    if isinstance(kind, list):
        return None if "null" in kind else _empty(kind[0])
    return _EMPTY.get(kind["type"] if isinstance(kind, dict) else kind, 0)
