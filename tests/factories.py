"""Records with all that a test does not care about filled in."""

from leadline.records import Prediction

_PREDICTION = {
    "request_id": "r1",
    "model": "m",
    "model_version": "v1",
    "role": "champion",
    "user_id": "",
    "event_time": 0,
    "scored_at": 0,
    "score": 0.5,
    "predicted_label": 1,
    "features": [],
    "signature": "",
    "segments": [],
    "feature_age_ms": None,
}


def prediction(request_id, at=0, **changes):
    """A prediction that was asked for and made at one time."""
    return Prediction(**(_PREDICTION | {"request_id": request_id, "event_time": at, "scored_at": at} | changes))
