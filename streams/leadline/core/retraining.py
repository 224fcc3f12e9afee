"""When a model is to be trained again: its performance is bad over all, nothing is under way, and the last time is long enough ago.

Drift alone is no reason: inputs may change without harm, and a broken pipeline is not cured by training.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256

from leadline.core.catalog import Catalog
from leadline.core.processor import Batch, Effects, Output, Store
from leadline.core.store_keys import RetrainingKeys
from leadline.records import Alert, RetrainRequest


@dataclass(slots=True)
class _Model:
    """The last request of a model: its alert, the version that got worse, when, and whether it is still outstanding."""

    alert_id: str
    version: str
    event_time: int
    outstanding: bool = True


class Retraining:
    """The requests of the models that are routed to this task."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog

    @property
    def wake_at_ms(self) -> int | None:
        """Never by itself: an alert that does not open again asks for nothing."""
        return None

    def on_time(self, now_ms: int, idle: frozenset[str]) -> Effects:  # noqa: ARG002
        """Nothing."""
        return Effects()

    def on_batch(self, batch: Batch) -> Effects:
        """A request for each alert that deserves one."""
        steps = [self._step(record) for record in batch.records if isinstance(record, Alert)]
        requests = [request for request in steps if request is not None]
        keys = [request.model.encode() for request in requests]
        return Effects([Output("retrain-requests", keys, records=requests)] if requests else [])

    def _step(self, alert: Alert) -> RetrainRequest | None:
        value = self._store.get(_key(alert.model))
        last = _Model(**json.loads(value)) if value else None
        if alert.state == "resolved" and last is not None and last.alert_id == alert.alert_id:
            last.outstanding = False
            self._put(alert.model, last)
        if alert.state != "opened" or not self._deserves(alert, last):
            return None
        self._put(alert.model, _Model(alert.alert_id, alert.model_version, alert.window_end))
        return _request(alert)

    def _deserves(self, alert: Alert, last: _Model | None) -> bool:
        settings = self._catalog.settings(alert.model)
        if settings is None or alert.kind != "performance" or alert.segment != "*":
            return False
        if last is None:
            return True
        cool = alert.window_end - last.event_time >= settings.retrain_cooldown
        return cool and alert.alert_id != last.alert_id and not self._outstanding(alert.model, last)

    def _outstanding(self, model: str, last: _Model) -> bool:
        """A request is done when its alert is resolved, or another version answers in place of the one that got worse."""
        champion = self._catalog.champion(model)
        return last.outstanding and (champion is None or champion.version == last.version)

    def _put(self, model: str, last: _Model) -> None:
        self._store.put(_key(model), json.dumps(asdict(last)).encode())


def _request(alert: Alert) -> RetrainRequest:
    metric, value, interval, limit, reference, windows = (
        alert.evidence.get(name, "unknown") for name in "metric value interval limit reference windows".split()
    )
    cause = f"{metric} {value} ({interval}) is worse than its limit {limit} (reference {reference}) in the windows of {windows}"
    retrain_id = sha256(alert.alert_id.encode()).hexdigest()[:16]
    return RetrainRequest(
        retrain_id, alert.model, alert.model_version, alert.window_end, cause, alert.alert_id, alert.evidence
    )


def _key(model: str) -> bytes:
    return RetrainingKeys.REQUEST + model.encode()
