"""When a model is to be trained again: the version that answers is confirmed to be bad over all, nothing is under way, and the last time is
long enough ago.

Drift alone is no reason: inputs may change without harm, and a broken pipeline is not cured by training. Nor is an early incident: labels
have not confirmed it. A decision depends on the alert,
those before it, and the rollouts that arrived before it: whoever reads these logs again decides the same.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256

import numpy as np

from leadline.core.models import Models
from leadline.core.processor import Batch, Effects, EventDriven, Output, Store
from leadline.core.scoring.routing import Deployments
from leadline.core.store_keys import RetrainingKeys
from leadline.records import Alert, RetrainRequest


@dataclass(slots=True)
class _Model:
    """The last request of a model: its alert, the version that got worse, when, and whether it is still outstanding."""

    alert_id: str
    version: str
    event_time: int
    outstanding: bool = True


class Retraining(EventDriven):
    """The requests of the models that are routed to this task."""

    def __init__(self, store: Store, models: Models, deployments: Deployments) -> None:
        self._store = store
        self._models = models
        self._deployments = deployments

    def on_batch(self, batch: Batch) -> Effects:
        """A request for each alert that deserves one."""
        rows = zip(batch.records, batch.arrival_ms.tolist(), strict=True)
        steps = [
            (self._step(record, arrival_ms), arrival_ms) for record, arrival_ms in rows if isinstance(record, Alert)
        ]
        requests = [request for request, _ in steps if request is not None]
        arrival_ms = np.array([arrival_ms for request, arrival_ms in steps if request is not None], np.int64)
        return Effects([Output("retrain-requests", records=requests, arrival_ms=arrival_ms)] if requests else [])

    def _step(self, alert: Alert, arrival_ms: int) -> RetrainRequest | None:
        value = self._store.get(_key(alert.model))
        last = _Model(**json.loads(value)) if value else None
        if alert.state in ("resolved", "withdrawn") and last is not None and last.alert_id == alert.alert_id:
            last.outstanding = False
            self._put(alert.model, last)
        if alert.state not in ("opened", "updated") or not self._deserves(alert, arrival_ms, last):
            return None
        self._put(alert.model, _Model(alert.alert_id, alert.model_version, alert.window_end))
        return _request(alert)

    def _deserves(self, alert: Alert, arrival_ms: int, last: _Model | None) -> bool:
        settings = self._models.settings(alert.model)
        worse = alert.kind in ("performance", "concept-drift") and alert.segment == "*" and not alert.early
        champion = self._deployments.champion(alert.model, before_ms=arrival_ms)
        if settings is None or not worse or champion not in (None, alert.model_version):
            return False
        if last is None:
            return True
        cool = alert.window_end - last.event_time >= settings.retrain_cooldown
        return cool and alert.alert_id != last.alert_id and not self._outstanding(alert.model, arrival_ms, last)

    def _outstanding(self, model: str, arrival_ms: int, last: _Model) -> bool:
        """A request is done when its alert is resolved, or when this alert found another version answering than the one that got worse."""
        champion = self._deployments.champion(model, before_ms=arrival_ms)
        return last.outstanding and champion in (None, last.version)

    def _put(self, model: str, last: _Model) -> None:
        self._store.put(_key(model), json.dumps(asdict(last)).encode())


def _request(alert: Alert) -> RetrainRequest:
    metric, value, interval, limit, reference, windows = (
        alert.evidence.get(name, "unknown") for name in "metric value interval limit reference windows".split()
    )
    cause = (
        alert.cause
        or f"{metric} {value} ({interval}) is worse than its limit {limit} (reference {reference}) in the windows of {windows}"
    )
    retrain_id = sha256(alert.alert_id.encode()).hexdigest()[:16]
    return RetrainRequest(
        retrain_id=retrain_id,
        model=alert.model,
        model_version=alert.model_version,
        event_time=alert.window_end,
        cause=cause,
        alert_id=alert.alert_id,
        evidence=alert.evidence,
    )


def _key(model: str) -> bytes:
    return RetrainingKeys.REQUEST + model.encode()
