"""A version at work: requests become what it takes, its scores become predictions, and what it cannot score is refused with the reason."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from leadline.core.columnar.columns import Bools, Floats, Ints, pick
from leadline.core.models import LoadedVersion, Models, StoppedError
from leadline.core.processor import Batch, Call, Effects, Lookups, Reject
from leadline.core.scoring.features import Features, Inputs
from leadline.core.scoring.request_forms import Requests, Scored, to_inputs
from leadline.core.scoring.routing import Deployed, Deployments, Route
from leadline.records import brief
from leadline.wire.limits import SEGMENT_BYTES

_SHOWN, _LONG = 10, 60
"""So many names are told, and of so many characters."""


class Serving(NamedTuple):
    """A version, and how its features become numbers.

    ``own``: those that a request has to give, since they are not looked up. ``needed``: for each whether the version cannot go without it.
    ``known``: what a request may name.
    """

    version: LoadedVersion
    features: Features
    own: Ints
    needed: Bools
    known: frozenset[str]

    @classmethod
    def of(cls, version: LoadedVersion) -> Self:
        """How a version is served."""
        features = Features(version.signature)
        looked_up = {name for lookup in version.settings.lookups.values() for name in lookup.features}
        own = [at for at, name in enumerate(features.names) if name not in looked_up]
        keys = {lookup.key for lookup in version.settings.lookups.values()}
        known = frozenset({*features.names, *version.settings.segments, *keys})
        return cls(version, features, np.array(own, np.int64), needed_features(version), known)


class Known:
    """The versions of each model, ready to score; who they are is looked up again only when a rollout, or what one lacked, has come."""

    def __init__(self, models: Models, deployments: Deployments) -> None:
        self._models, self._deployments = models, deployments
        self._deployed: dict[str, Deployed] = {}
        self._serving: dict[tuple[str, str], Serving] = {}

    def deployed(self, model: str) -> Deployed:
        """The versions of a model under its newest rollout."""
        known = self._deployed.get(model)
        if known is None or not known.is_newest():
            known = self._deployed[model] = Deployed(self._models, self._deployments, model)
        return known

    def serving(self, version: LoadedVersion) -> Serving:
        """How a version is served."""
        key = version.settings.name, version.version
        known = self._serving.get(key)
        if known is None or known.version is not version:
            known = self._serving[key] = Serving.of(version)
        return known


def needed_features(version: LoadedVersion) -> Bools:
    """For each feature whether the version cannot go without it: a request that lacks it is refused."""
    takes_missing = version.settings.missing != "refuse" and version.takes_missing
    return ~np.broadcast_to(takes_missing, len(version.signature.names))


def predicted_labels(version: LoadedVersion, inputs: Inputs, scores: Floats) -> Ints | None:
    """1 where a version says yes: by the threshold of its settings, or else by its own judgement; None for regression."""
    settings = version.settings
    if settings.task != "binary":
        return None
    if settings.threshold is None and version.own_labels is not None:
        return version.own_labels(*inputs, scores)
    return (scores >= settings.known_threshold).astype(np.int64)


def serve(batch: Batch, rows: Ints, requests: Requests, serving: Serving, route: Route, effects: Effects) -> None:
    """Score the requests at these rows of a batch; add what comes of it to the effects."""
    rows, requests = _with_short_segments(rows, requests, serving.version.settings.segments, effects)
    given, before = len(rows), len(effects.rejects)
    rows, requests, inputs, lookups = _usable(batch, rows, requests, serving, effects)
    called = len(rows) > 0
    if called:
        try:
            _predict(batch, rows, requests, inputs, lookups, route, effects)
        except StoppedError:
            return
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            said = f"{type(error).__name__}: {brief(str(error))}"
            refuse(
                effects, rows, "model-failed", f"{route.version.settings.name} {route.version.version} raised {said}"
            )
    version, failed = route.version, len(effects.rejects) - before
    effects.calls.append(Call(version.settings.name, version.version, route.role, int(called), given, failed))


def _usable(
    batch: Batch, rows: Ints, requests: Requests, serving: Serving, effects: Effects
) -> tuple[Ints, Requests, Inputs, Lookups | None]:
    """What the model takes, of the rows that it can take; the others are refused."""
    version, features = serving.version, serving.features
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
    return rows, requests, inputs, lookups


def _predict(
    batch: Batch, rows: Ints, requests: Requests, inputs: Inputs, lookups: Lookups | None, route: Route,
    effects: Effects,
) -> None:  # fmt: skip
    version = route.version
    scores = np.asarray(version.predictor.predict(*inputs), np.float64)
    finite = np.isfinite(scores)
    wrong = rows[~finite]
    if len(wrong):
        kept = np.flatnonzero(finite)
        rows, requests, inputs, lookups = _kept(kept, rows, requests, inputs, lookups)
        scores = scores[kept]
    labels = predicted_labels(version, inputs, scores) if len(rows) else None
    if len(wrong):
        refuse(effects, wrong, "score-not-finite", f"{version.settings.name} {version.version} gave NaN or infinity")
    if not len(rows):
        return
    arrival_ms = batch.arrival_ms[rows]
    ages = None if lookups is None else arrival_ms - lookups.updated_ms
    scored = Scored(inputs, scores, labels, arrival_ms, ages)
    effects.outputs.append(requests.predictions(pick(batch.keys, rows), batch.partition, scored, route))


def refuse(effects: Effects, rows: Ints, reason: str, detail: str) -> None:
    """Rows that cannot be scored."""
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
        refuse(effects, rows[said & ~long], "too-long", detail)
        long |= said
    kept = np.flatnonzero(~long)
    return rows[kept], requests.take(kept)


def _lookups(lookups: Lookups | None, rows: Ints) -> Lookups | None:
    return lookups and Lookups(
        {name: column[rows] for name, column in lookups.values.items()}, lookups.updated_ms[rows]
    )


def _complete(
    rows: Ints, requests: Requests, inputs: Inputs, lookups: Lookups | None, serving: Serving, effects: Effects
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
