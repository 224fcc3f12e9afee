"""Shadow: what the versions would have answered that do not, on the same requests and by the same code as scoring.

Nobody waits for it and nobody acts on it. What it cannot score is counted, and no dead letter: that is scoring's to say.
"""

from collections.abc import Iterator

import numpy as np

from leadline.core.columnar.columns import Ints
from leadline.core.models import Models
from leadline.core.processor import Batch, Effects, EventDriven
from leadline.core.scoring.request_forms import Requests, requests_of
from leadline.core.scoring.routing import Deployments, Route, in_turn
from leadline.core.scoring.serving import Known, serve
from leadline.settings import ModelSettings

CALL_ROWS = 1024
"""A slow model is called with so many requests at most: it can be stopped between two calls."""


class Shadow(EventDriven):
    """Scores requests with the versions that do not answer them. Keeps nothing."""

    def __init__(self, models: Models, deployments: Deployments) -> None:
        self._models = models
        self._known = Known(models, deployments)

    def on_batch(self, batch: Batch) -> Effects:
        """A prediction of each such version for each request of the sample that it can score."""
        found, requests = Effects(), requests_of(batch)
        for model, rows in requests.by_model():
            settings = self._models.settings(model)
            if settings is not None:
                self._shadow(settings, batch, rows, requests.take(rows), found)
        return Effects(outputs=found.outputs, calls=found.calls)

    def _shadow(self, settings: ModelSettings, batch: Batch, rows: Ints, requests: Requests, effects: Effects) -> None:
        deployed, arrival_ms = self._known.deployed(settings.name), batch.arrival_ms[rows]
        routed = [
            (route, held[own])
            for assignment, held in deployed.at(arrival_ms)
            for route, own in deployed.shadowing(assignment, requests.take(held))
        ]
        for route, own in in_turn(routed, arrival_ms, settings.horizon):
            for at in _pieces(own):
                self._serve(batch, rows[at], requests.take(at), route, effects)

    def _serve(self, batch: Batch, rows: Ints, requests: Requests, route: Route, effects: Effects) -> None:
        serve(batch, rows, requests, self._known.serving(route.version), route, effects)


def _pieces(rows: Ints) -> Iterator[Ints]:
    yield from np.split(rows, range(CALL_ROWS, len(rows), CALL_ROWS))
