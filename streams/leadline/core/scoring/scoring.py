"""Scoring: a run of requests becomes one matrix or data frame a version, one call of its model, and a run of predictions."""

from collections import defaultdict

import numpy as np

from leadline.core.columnar.columns import Ints
from leadline.core.models import Models, no_settings
from leadline.core.processor import Batch, Effects, EventDriven
from leadline.core.scoring.request_forms import Requests, requests_of
from leadline.core.scoring.routing import Deployed, Deployments, Route, in_turn
from leadline.core.scoring.serving import Known, refuse, serve
from leadline.records import brief
from leadline.settings import ModelSettings


class Scoring(EventDriven):
    """Scores requests with the versions that answer for their model. Keeps nothing."""

    def __init__(self, models: Models, deployments: Deployments) -> None:
        self._models = models
        self._known = Known(models, deployments)

    def on_batch(self, batch: Batch) -> Effects:
        """One prediction for each request that can be scored, on the request's own partition number."""
        effects, requests = Effects(), requests_of(batch)
        for model, rows in requests.by_model():
            settings = self._models.settings(model)
            if settings is None:
                refuse(effects, rows, *no_settings(model, self._models.why_unusable(model)))
                continue
            before = len(effects.rejects)
            self._answer(settings, batch, rows, requests.take(rows), effects)
            effects.asked[model] += len(rows)
            effects.refused.update((model, reject.reason) for reject in effects.rejects[before:])
        return effects

    def _answer(self, settings: ModelSettings, batch: Batch, rows: Ints, requests: Requests, effects: Effects) -> None:
        """Score the requests of a model, each with the version that answers it."""
        deployed, arrival_ms = self._known.deployed(settings.name), batch.arrival_ms[rows]
        unanswered = np.ones(len(rows), bool)
        routed = list[tuple[Route, Ints]]()
        for assignment, held in deployed.at(arrival_ms):
            for route, own in deployed.acting(assignment, requests.take(held)):
                unanswered[held[own]] = False
                routed.append((route, held[own]))
        for route, own in in_turn(routed, arrival_ms, settings.horizon):
            serve(batch, rows[own], requests.take(own), self._known.serving(route.version), route, effects)
        if unanswered.any():
            refuse(effects, rows[unanswered], *self._no_answer(settings.name, deployed))

    def _no_answer(self, model: str, deployed: Deployed) -> tuple[str, str]:
        newest = deployed.newest
        why = newest and self._models.why_unusable(model, newest.champion)
        if why:
            return "model-unusable", why
        return "no-champion", f"no version of {brief(model)} answers: name one with `leadline model promote`"


def lookup_keys(batch: Batch, models: Models) -> dict[tuple[str, str], tuple[Ints, list[str]]]:
    """What has to be looked up for a batch: for each (model, view) the rows that want it, and the key of each."""
    wanted: dict[tuple[str, str], tuple[Ints, list[str]]] = defaultdict(lambda: (np.zeros(0, np.int64), []))
    requests = requests_of(batch)
    for model, rows in requests.by_model():
        settings = models.settings(model)
        for view, lookup in (settings.lookups if settings else {}).items():
            wanted[model, view] = rows, requests.take(rows).category(lookup.key)
    return dict(wanted)
