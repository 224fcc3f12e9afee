"""Scoring: a run of requests becomes one matrix or data frame, one call of the model, and a run of predictions."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from leadline.core.columnar.columns import Bools, Floats, Ints, pick
from leadline.core.models import LoadedVersion, Models, no_settings
from leadline.core.processor import Batch, Effects, EventDriven, Lookups, Reject
from leadline.core.scoring.features import Features, Inputs
from leadline.core.scoring.request_forms import Requests, Scored, requests_of, to_inputs
from leadline.core.scoring.routing import Deployments, loaded_routes
from leadline.records import Rollout, brief
from leadline.wire.limits import SEGMENT_BYTES

_SHOWN, _LONG = 10, 60
"""So many names are told, and of so many characters."""


class Scoring(EventDriven):
    """Scores requests with the version that answers for their model. Keeps nothing.

    Who answers is looked up again only when the newest rollout is another one than before.
    """

    def __init__(self, models: Models, deployments: Deployments) -> None:
        self._models = models
        self._deployments = deployments
        self._serving: dict[str, tuple[Rollout | None, list[_Serving]]] = {}

    def on_batch(self, batch: Batch) -> Effects:
        """One prediction for each request that can be scored, on the request's own partition number."""
        effects, requests = Effects(), requests_of(batch)
        for model, rows in requests.by_model():
            before = len(effects.rejects)
            if self._models.settings(model) is None:
                _refuse(effects, rows, *no_settings(model, self._models.why_unusable(model)))
                continue
            if not (answering := self._answering(model)):
                _refuse(effects, rows, *self._no_answer(model))
            else:
                for serving in answering:
                    self._score(batch, rows, requests.take(rows), serving, effects)
            effects.asked[model] += len(rows)
            effects.refused.update((model, reject.reason) for reject in effects.rejects[before:])
        return effects

    def _no_answer(self, model: str) -> tuple[str, str]:
        newest = self._deployments.newest(model)
        why = newest and self._models.why_unusable(model, newest.champion)
        if why:
            return "model-unusable", why
        return "no-champion", f"no version of {brief(model)} answers: name one with `leadline model promote`"

    def _answering(self, model: str) -> "list[_Serving]":
        newest = self._deployments.newest(model)
        known = self._serving.get(model)
        if known is None or known[0] is not newest:
            routes = loaded_routes(self._models, self._deployments, model)
            serving = [_Serving.of(version, role) for version, role in routes]
            known = self._serving[model] = newest, serving
        return known[1]

    def _score(self, batch: Batch, rows: Ints, requests: Requests, serving: "_Serving", effects: Effects) -> None:
        version, role, features = serving.version, serving.role, serving.features
        rows, requests = _with_short_segments(rows, requests, version.settings.segments, effects)
        lookups = _lookups(batch.lookups, rows)
        inputs = to_inputs(requests, features, lookups)
        for name, times in requests.others(serving.known, None if lookups else inputs).items():
            effects.unknown[version.settings.name, name] += times
        gone = _nothing_given(inputs.matrix, serving.own)
        if gone.any():
            _refuse_without_features(effects, rows, requests, gone, features)
            rows, requests, inputs, lookups = _kept(np.flatnonzero(~gone), rows, requests, inputs, lookups)
        if serving.needed.any():
            rows, requests, inputs, lookups = _complete(rows, requests, inputs, lookups, serving, effects)
        if not len(rows):
            return
        scores = np.asarray(version.predictor.predict(*inputs), np.float64)
        finite = np.isfinite(scores)
        if not finite.all():
            detail = f"{version.settings.name} {version.version} gave NaN or infinity"
            _refuse(effects, rows[~finite], "score-not-finite", detail)
            kept = np.flatnonzero(finite)
            rows, requests, inputs, lookups = _kept(kept, rows, requests, inputs, lookups)
            scores = scores[kept]
        if not len(rows):
            return
        arrival_ms = batch.arrival_ms[rows]
        labels = predicted_labels(version, inputs, scores)
        scored = Scored(
            inputs, scores, labels, arrival_ms, None if lookups is None else arrival_ms - lookups.updated_ms
        )
        effects.outputs.append(requests.predictions(pick(batch.keys, rows), batch.partition, scored, version, role))


def predicted_labels(version: LoadedVersion, inputs: Inputs, scores: Floats) -> Ints | None:
    """1 where a version says yes: by the threshold of its settings, or else by its own judgement; None for regression."""
    settings = version.settings
    if settings.task != "binary":
        return None
    if settings.threshold is None and version.own_labels is not None:
        return version.own_labels(*inputs, scores)
    return (scores >= settings.known_threshold).astype(np.int64)


def needed_features(version: LoadedVersion) -> Bools:
    """For each feature whether the version cannot go without it: a request that lacks it is refused."""
    takes_missing = version.settings.missing != "refuse" and version.takes_missing
    return ~np.broadcast_to(takes_missing, len(version.signature.names))


class _Serving(NamedTuple):
    """A version that answers, in its role, and how its features become numbers.

    ``own``: those that a request has to give, since they are not looked up. ``needed``: for each whether the version cannot go without it.
    ``known``: what a request may name.
    """

    version: LoadedVersion
    role: str
    features: Features
    own: Ints
    needed: Bools
    known: frozenset[str]

    @classmethod
    def of(cls, version: LoadedVersion, role: str) -> Self:
        """A version in its role."""
        features = Features(version.signature)
        looked_up = {name for lookup in version.settings.lookups.values() for name in lookup.features}
        own = [at for at, name in enumerate(features.names) if name not in looked_up]
        keys = {lookup.key for lookup in version.settings.lookups.values()}
        known = frozenset({*features.names, *version.settings.segments, *keys})
        return cls(version, role, features, np.array(own, np.int64), needed_features(version), known)


def _refuse(effects: Effects, rows: Ints, reason: str, detail: str) -> None:
    effects.rejects.extend(Reject(i, reason, detail) for i in rows.tolist())


def _nothing_given(matrix: Floats, own: Ints) -> Bools:
    """The rows in which no feature is there of those that a request has to give: the columns ``own``."""
    if not len(own):
        return np.zeros(len(matrix), bool)
    gone: Bools = np.isnan(matrix[:, own[0]])
    rows = np.flatnonzero(gone)
    if len(rows):
        gone[rows] = np.isnan(matrix[rows][:, own]).all(axis=1)
    return gone


def _refuse_without_features(effects: Effects, rows: Ints, requests: Requests, gone: Bools, features: Features) -> None:
    wanted, at = _listed(features.names), np.flatnonzero(gone)
    for row, names in zip(rows[at].tolist(), requests.take(at).names(), strict=True):
        given = f"it has {_listed(names)}" if names else "it has none"
        effects.rejects.append(Reject(row, "features-missing", f"no feature of the model is there: {wanted}; {given}"))


def _listed(names: Sequence[str]) -> str:
    shown = [name if len(name) < _LONG else brief(name) for name in names[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _with_short_segments(rows: Ints, requests: Requests, names: list[str], effects: Effects) -> tuple[Ints, Requests]:
    """The rows whose segments are not too long; the others are refused."""
    room = SEGMENT_BYTES - max((len(name.encode()) + 1 for name in names), default=SEGMENT_BYTES)
    if not names or requests.longest_category() <= room:
        return rows, requests
    long = np.zeros(len(rows), bool)
    for name in names:
        said = np.array([len(f"{name}={value}".encode()) > SEGMENT_BYTES for value in requests.category(name)], bool)
        detail = f"category {brief(name)} is a segment: with its name and = it has at most {SEGMENT_BYTES} bytes"
        _refuse(effects, rows[said & ~long], "too-long", detail)
        long |= said
    kept = np.flatnonzero(~long)
    return rows[kept], requests.take(kept)


def _lookups(lookups: Lookups | None, rows: Ints) -> Lookups | None:
    return lookups and Lookups(
        {name: column[rows] for name, column in lookups.values.items()}, lookups.updated_ms[rows]
    )


def _complete(
    rows: Ints, requests: Requests, inputs: Inputs, lookups: Lookups | None, serving: "_Serving", effects: Effects
) -> tuple[Ints, Requests, Inputs, Lookups | None]:
    """The rows in which nothing is missing that is needed; the others are refused, naming what is."""
    missing = np.isnan(inputs.matrix) & serving.needed
    whole = ~missing.any(axis=1)
    for i in np.flatnonzero(~whole).tolist():
        names = ", ".join(name for name, gone in zip(serving.features.names, missing[i], strict=True) if gone)
        effects.rejects.append(Reject(int(rows[i]), "feature-missing", f"missing: {names}"))
    return _kept(np.flatnonzero(whole), rows, requests, inputs, lookups)


def _kept(
    kept: Ints, rows: Ints, requests: Requests, inputs: Inputs, lookups: Lookups | None
) -> tuple[Ints, Requests, Inputs, Lookups | None]:
    return rows[kept], requests.take(kept), inputs.take(kept), _lookups(lookups, kept)


def lookup_keys(batch: Batch, models: Models) -> dict[tuple[str, str], tuple[Ints, list[str]]]:
    """What has to be looked up for a batch: for each (model, view) the rows that want it, and the key of each."""
    wanted: dict[tuple[str, str], tuple[Ints, list[str]]] = defaultdict(lambda: (np.zeros(0, np.int64), []))
    requests = requests_of(batch)
    for model, rows in requests.by_model():
        settings = models.settings(model)
        for view, lookup in (settings.lookups if settings else {}).items():
            wanted[model, view] = rows, requests.take(rows).category(lookup.key)
    return dict(wanted)
