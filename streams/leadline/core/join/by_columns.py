"""Simple requests, a whole run at once: some versions predict a request, each once, and it has one outcome at most.

Shadows are filed as other predictions are, and count in pairs alone.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from leadline.core.columnar.columns import Bools, Ints, pick
from leadline.core.join.changes import Changes
from leadline.core.join.cohorts import Cohorts
from leadline.core.join.label_rules import LabelColumns
from leadline.core.join.pairs import MOST_VERSIONS, Said
from leadline.core.join.requests import Requests
from leadline.core.join.state_columns import PredictionColumns, States
from leadline.core.processor import Store
from leadline.wire.limits import REQUEST_BYTES, REQUEST_WINDOWS


def simple_for_predictions(
    requests: Requests, new: PredictionColumns, bodies: Sequence[bytes], cohorts: Cohorts
) -> Bools:
    """The requests that stay simple with these new predictions, and surely within their limits; ``bodies`` are those of the new ones."""
    states = requests.states
    predictions = states.predictions + requests.times()
    few = (predictions <= MOST_VERSIONS) & (predictions * cohorts.most_windows <= REQUEST_WINDOWS)
    simple: Bools = (states.outcomes <= 1) & few & _small(requests, bodies)
    if len(requests.keys) < len(requests.request) or states.predictions.any():
        stored = states.prediction_columns()
        request, cohort = (np.concatenate([stored[i], new[i]]) for i in (0, 2))
        simple[_predicted_twice(request, cohort, cohorts)] = False
    return simple


def _small(requests: Requests, bodies: Sequence[bytes]) -> Bools:
    """The requests that have room for these bodies."""
    held, times = requests.states.sizes(), requests.times()
    if int(held.max(initial=0)) + int(times.max(initial=0)) * max(map(len, bodies), default=0) <= REQUEST_BYTES:
        return np.ones(len(held), bool)
    added = np.bincount(requests.request, list(map(len, bodies)), len(held))
    small: Bools = held + added <= REQUEST_BYTES
    return small


def simple_for_outcomes(requests: Requests, cohorts: Cohorts) -> Bools:
    """The requests that stay simple with their new outcomes."""
    simple: Bools = (requests.states.outcomes == 0) & (requests.times() == 1)
    simple &= are_simple(requests.states, cohorts)
    return simple


def are_simple(states: States, cohorts: Cohorts) -> Bools:
    """The states that are simple: in others a version answered the request and was its shadow too, or there are several outcomes."""
    simple: Bools = states.outcomes <= 1
    if int(states.predictions.max(initial=0)) > 1:
        predictions = states.prediction_columns()
        simple[_predicted_twice(predictions.request, predictions.cohort, cohorts)] = False
        simple &= states.predictions <= MOST_VERSIONS
    return simple


def _predicted_twice(request: Ints, cohort: Ints, cohorts: Cohorts) -> Ints:
    """Requests that have more than one prediction of a version."""
    version = cohorts.version(cohort)
    width = int(version.max(initial=0)) + 1
    ordered = np.sort(request * width + version)
    twice: Ints = ordered[1:][ordered[1:] == ordered[:-1]] // width
    return twice


def add_predictions(
    requests: Requests, simple: Bools, new: PredictionColumns, bodies: list[bytes], store: Store, changes: Changes
) -> None:
    """Each of the simple requests gets its predictions, one or more."""
    predicted, labeled = requests.states.predictions > 0, requests.states.outcomes > 0
    for chosen in (simple & ~predicted & ~labeled, simple & predicted & ~labeled, simple & labeled):
        if chosen.any():
            part, rows = requests.part(chosen)
            own, own_bodies = new.take(rows, part.request), pick(bodies, rows)
            if (np.diff(part.request) < 0).any():
                order = np.argsort(part.request, kind="stable")
                own, own_bodies = own.take(order), list(map(own_bodies.__getitem__, order.tolist()))
                part = part._replace(request=own.request)
            _add_predictions(part, own, own_bodies, store, changes)


def _add_predictions(
    requests: Requests, new: PredictionColumns, bodies: list[bytes], store: Store, changes: Changes
) -> None:
    """All of these requests have an outcome, or none has; ``new`` stands request by request, and is of one topic."""
    store.put_many(requests.store_keys, requests.states.with_predictions(new, bodies))
    keys = _of_each(requests.keys, new.request)
    changes.scheduled.append((keys, new, _first_of_time(requests, new, changes.cohorts.deadline)))
    if changes.cohorts.any_assumed:
        _file_assumed(requests, new, keys, changes)
    if requests.states.predictions.any() or len(requests.keys) < len(keys):
        _add_pairs(requests, new, changes)
    if not new.shadow.any():
        _count_new(requests, new, keys, bodies, changes)


def _count_new(
    requests: Requests, new: PredictionColumns, keys: list[bytes], bodies: list[bytes], changes: Changes
) -> None:
    """Count new predictions that are no shadows."""
    changes.predict(new)
    used = late = np.zeros(len(keys), bool)
    if requests.states.outcomes.any():
        used, late = _meet_stored_outcomes(requests, new, keys, bodies, changes)
    assumes = changes.assumes(new)
    expired = (changes.deadlines(new) < changes.stage_ms) & ~used & ~assumes
    changes.expire(new.take(expired), late[expired])
    rows = np.flatnonzero(assumes & ~used)
    if len(rows):
        newest = _newest(requests.states)[new.request[rows]]
        changes.assume(pick(keys, rows), new.take(rows), pick(bodies, rows), newest)


def _file_assumed(requests: Requests, new: PredictionColumns, keys: list[bytes], changes: Changes) -> None:
    """New predictions are filed where no outcome will mean no."""
    times = changes.cohorts.assumed(new.cohort, new.event_time)
    filed = np.flatnonzero(_first_of_time(requests, new, changes.cohorts.assumed) & (times >= changes.stage_ms))
    changes.assuming.append((pick(keys, filed), new.take(filed)))


def _add_pairs(requests: Requests, new: PredictionColumns, changes: Changes) -> None:
    """New predictions make pairs with those that their requests have."""
    stored = requests.states.prediction_columns()
    both = PredictionColumns._make(map(np.concatenate, zip(stored, new, strict=True)))
    is_new = np.arange(len(both.request)) >= len(stored.request)
    order = np.argsort(both.request, kind="stable")
    predictions, outcomes, used = both.take(order), None, None
    if requests.states.outcomes.any():
        outcomes = changes.beside(predictions, requests.states.outcome_entries())
        used = changes.labels(predictions, outcomes).used
    said = Said.of(changes.cohorts, predictions, changes.stage_ms, outcomes, used)
    changes.pairs.add(changes.cohorts, predictions, said, is_new[order])


def _newest(states: States) -> Ints:
    """The offset of the outcome of each request, which has one at most; -1 where it has none."""
    newest = np.full(len(states.values), -1)
    labeled = np.flatnonzero(states.outcomes)
    if len(labeled):
        newest[labeled] = states.take(labeled).outcome_entries()["offset"]
    return newest


def _first_of_time(requests: Requests, new: PredictionColumns, time_of: Callable[[Ints, Ints], Ints]) -> Bools:
    """Whether each new prediction is the first of its request that has its time: under that the request is filed once.

    ``time_of``: cohort and event time to time.
    """
    if not requests.states.predictions.any() and len(requests.keys) == len(new.request):
        return np.ones(len(new.request), bool)
    stored = requests.states.prediction_columns()
    request = np.concatenate([stored.request, new.request])
    time = np.concatenate([time_of(each.cohort, each.event_time) for each in (stored, new)])
    order = np.lexsort((time, request))  # it is stable: what is stored comes first
    again = (np.diff(request[order]) == 0) & (np.diff(time[order]) == 0)
    first = np.ones(len(request), bool)
    first[order[1:][again]] = False
    return first[len(stored.request) :]


def _meet_stored_outcomes(
    requests: Requests, new: PredictionColumns, keys: list[bytes], bodies: list[bytes], changes: Changes
) -> tuple[Bools, Bools]:
    """Which new predictions use the outcome of their request, and for which it is late."""
    stored, outcomes = requests.states.prediction_columns().acting()[0], requests.states.outcome_entries()
    own = changes.beside(new, outcomes)
    before, labels = changes.labels(stored, changes.beside(stored, outcomes)), changes.labels(new, own)
    changes.match(keys, new, bodies, own, labels.used)
    owner = _owners(stored, len(outcomes))
    changes.classify(before.classes(stored.request, outcomes), owner, -1)
    after = LabelColumns(*map(np.concatenate, zip(before, labels, strict=True)))
    classes = after.classes(np.concatenate([stored.request, new.request]), outcomes)
    changes.classify(classes, np.where(owner < 0, _owners(new, len(outcomes)), owner))
    return labels.used, labels.late


def add_outcomes(requests: Requests, simple: Bools, outcomes: NDArray[np.void], store: Store, changes: Changes) -> None:
    """Each of the simple requests gets its first outcome (`OUTCOME`)."""
    predicted = requests.states.predictions > 0
    for chosen, waits in ((simple & predicted, False), (simple & ~predicted, True)):
        if chosen.any():
            part, rows = requests.part(chosen)
            own = outcomes[rows]
            store.put_many(part.store_keys, part.states.with_outcomes(own))
            _meet_stored_predictions(part, own, changes)
            if waits:
                changes.waiting += zip(part.keys, own["arrival_ms"].tolist(), strict=True)


def _meet_stored_predictions(requests: Requests, outcomes: NDArray[np.void], changes: Changes) -> None:
    """Each request has a prediction at least, or none has any."""
    every = requests.states.prediction_columns()
    predictions, acting = every.acting()
    if len(every.request) > len(requests.keys):
        _label_pairs(every, outcomes, changes)
    keys, own = _of_each(requests.keys, predictions.request), changes.beside(predictions, outcomes)
    labels = changes.labels(predictions, own)
    changes.match(keys, predictions, pick(requests.states.bodies(), acting), own, labels.used)
    assumed = changes.assumes(predictions)
    changes.withdraw(predictions.take(assumed & labels.used))
    expired = (changes.deadlines(predictions) < changes.stage_ms) & ~assumed
    if expired.any():
        changes.revive(predictions.take(expired), labels.take(expired))
    changes.classify(labels.classes(predictions.request, outcomes), _owners(predictions, len(outcomes)))


def _label_pairs(predictions: PredictionColumns, outcomes: NDArray[np.void], changes: Changes) -> None:
    """The requests of these predictions have got their outcome."""
    own = changes.beside(predictions, outcomes)
    before = Said.of(changes.cohorts, predictions, changes.stage_ms)
    after = Said.of(changes.cohorts, predictions, changes.stage_ms, own, changes.labels(predictions, own).used)
    changes.pairs.change(changes.cohorts, predictions, before, after)


def expire(states: States, deadline: Ints, changes: Changes) -> None:
    """Predictions without a label expire that have the deadline beside their state; each state has one outcome at most."""
    for outcomes in (0, 1):
        rows = np.flatnonzero(states.outcomes == outcomes)
        part, own = states.take(rows), deadline[rows]
        predictions, _ = part.prediction_columns().acting()
        unlabeled, late = _unlabeled(part, predictions, changes)
        due = unlabeled & (changes.deadlines(predictions) == own[predictions.request])
        changes.expire(predictions.take(due), late[due])


def assume(keys: list[bytes], states: States, when: Ints, changes: Changes) -> None:
    """Expired predictions without a label count as a no at the time beside their state; each state has one outcome at most."""
    for outcomes in (0, 1):
        rows = np.flatnonzero(states.outcomes == outcomes)
        part, own = states.take(rows), when[rows]
        every = part.prediction_columns()
        predictions, acting = every.acting()
        if len(every.request) > len(rows):
            _assume_pairs(part, every, own[every.request], changes)
        unlabeled, late = _unlabeled(part, predictions, changes)
        times = changes.cohorts.assumed(predictions.cohort, predictions.event_time)
        is_due = times == own[predictions.request]
        if outcomes:
            matures = changes.cohorts.matures(predictions.cohort, predictions.event_time)
            untimely = part.outcome_entries()["log_ms"][predictions.request] > matures
            changes.judge_assumed(predictions.take(is_due & ~unlabeled & untimely))
        due = np.flatnonzero(unlabeled & is_due)
        chosen = predictions.take(due)
        changes.expire(chosen, late[due], -1)
        request = chosen.request
        own_keys = list(map(keys.__getitem__, rows[request].tolist()))
        changes.assume(own_keys, chosen, pick(part.bodies(), acting[due]), _newest(part)[request])


def _assume_pairs(states: States, predictions: PredictionColumns, when: Ints, changes: Changes) -> None:
    """No outcome means no from the time on that stands beside each prediction; all of the states have one outcome, or none has."""
    outcomes = used = None
    if states.outcomes.any():
        outcomes = changes.beside(predictions, states.outcome_entries())
        used = changes.labels(predictions, outcomes).used
    before, after = (Said.of(changes.cohorts, predictions, time, outcomes, used) for time in (when, when + 1))
    changes.pairs.change(changes.cohorts, predictions, before, after)


def _unlabeled(states: States, predictions: PredictionColumns, changes: Changes) -> tuple[Bools, Bools]:
    """Which predictions have no label, and which have a late outcome; either all of these states have one outcome, or none has."""
    if not states.outcomes.any():
        return np.ones(len(predictions.request), bool), np.zeros(len(predictions.request), bool)
    labels = changes.labels(predictions, changes.beside(predictions, states.outcome_entries()))
    return ~labels.used, labels.late


def _owners(predictions: PredictionColumns, count: int) -> Ints:
    """The cohort of the first prediction of each of ``count`` requests, -1 where it has none."""
    owners = np.full(count, -1)
    owners[predictions.request[::-1]] = predictions.cohort[::-1]
    return owners


def _of_each(keys: list[bytes], request: Ints) -> list[bytes]:
    """The key of each prediction's request."""
    return keys if np.array_equal(request, np.arange(len(keys))) else list(map(keys.__getitem__, request.tolist()))
