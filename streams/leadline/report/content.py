"""All that the page shows, as plain values: what is drawn is what the JSON has. What is not known is None, never 0."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from leadline.core.reference import ReferenceProfile
from leadline.core.watch.yardstick import yardstick
from leadline.records import Metric, WindowMetrics, iso
from leadline.report.collect import Collected, Incident
from leadline.report.drifting import heat_map
from leadline.report.reliability import reliability
from leadline.settings import ModelSettings

MOST_VERSIONS, MOST_WINDOWS, MOST_INCIDENTS = 4, 400, 200
"""The newest ones are shown."""
AGES = 48
TEXT = 1000
"""Characters of a text that somebody else chose."""
KINDS = ("realised", "estimated", "nowcast")
_MOST_VALUE = 1e12
_OTHERS = {"binary": ("accuracy", "auc"), "decision": ("accuracy", "auc"), "regression": ("mae", "rmse")}

Profiles = Mapping[str, ReferenceProfile | None]


def content(found: Collected, profiles: Profiles) -> dict[str, Any]:
    """The content of a page; ``profiles``: the reference of each version that has one."""
    versions = _versions(found)
    shown, left_out = versions[:MOST_VERSIONS], []
    if len(versions) > len(shown):
        left_out.append(f"{len(versions) - len(shown)} older versions")
    if found.unusable:
        left_out.append(f"{found.unusable} records with times that cannot be")
    told = [_version(found, version, profiles.get(version), left_out) for version in shown]
    return {
        "model": cut(found.settings.name),
        "segment": cut(found.segment),
        "as_of": iso(found.clock) if found.windows else None,
        "window_ms": found.settings.window,
        "horizon_ms": found.settings.horizon,
        "task": found.settings.counted_as,
        "watched": found.settings.alerts.metric,
        "versions": told,
        "incidents": _incidents(found, left_out),
        "left_out": left_out,
    }


def cut(text: str) -> str:
    """A text, cut where it is very long."""
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"


def _versions(found: Collected) -> list[str]:
    """The versions that have windows, the one with the newest window first."""
    newest: dict[str, int] = {}
    for key in found.windows:
        newest[key.version] = max(key.start, newest.get(key.version, key.start))
    return sorted(newest, key=lambda version: (-newest[version], version))


def _version(found: Collected, version: str, profile: ReferenceProfile | None, left_out: list[str]) -> dict[str, Any]:
    keys = sorted((key for key in found.windows if key.version == version), key=lambda key: key.start)
    if len(keys) > MOST_WINDOWS:
        left_out.append(f"{len(keys) - MOST_WINDOWS} older windows of {cut(version)}")
    keys = keys[-MOST_WINDOWS:]
    windows, names = [found.windows[key] for key in keys], _names(found.settings)
    map_, further = heat_map(found.drift, version, [key.start for key in keys])
    if further:
        left_out.append(f"{further} features of {cut(version)} that drift least")
    return {
        "version": cut(version),
        "windows": [_window(each, names) for each in windows],
        "marks": _marks(found, profile, names),
        "drift": map_,
        "calibration": reliability(found, keys, profile),
        "labels": _labels(found, version, windows),
    }


# -- numbers ----------------------------------------------------------------------------------------------------------


def _names(settings: ModelSettings) -> list[str]:
    """The metrics that are shown: the one that is watched first."""
    return list(dict.fromkeys([settings.alerts.metric, *_OTHERS[settings.counted_as]]))


def _window(record: WindowMetrics, names: Sequence[str]) -> dict[str, Any]:
    return {
        "start": iso(record.window_start),
        "start_ms": record.window_start,
        "end_ms": record.window_end,
        "state": cut(record.state),
        "predictions": record.predictions,
        "labelled": number(record.coverage),
        "numbers": {name: {kind: _sides(record, kind, name) for kind in KINDS} for name in names},
    }


def _sides(record: WindowMetrics, kind: str, name: str) -> list[float | None] | None:
    """Value, low and high of a number; before maturity the interval is that of its final value."""
    metric: Metric | None = getattr(record, name if kind == "realised" else f"{kind}_{name}", None)
    value = None if metric is None else number(metric.value)
    if metric is None or value is None:
        return None
    low, high = metric.low, metric.high
    if kind == "realised" and record.state == "provisional":
        final = next((each for each in record.finals if each.metric == name), None)
        low, high = (None, None) if final is None else (final.low, final.high)
    return [value, number(low), number(high)]


def number(value: float | None) -> float | None:
    """A number that can be drawn; None for all others."""
    known = value is not None and math.isfinite(value) and abs(value) <= _MOST_VALUE
    return value if known else None


def _marks(found: Collected, profile: ReferenceProfile | None, names: Sequence[str]) -> dict[str, Any]:
    """The reference value of each metric, and the limit of the one that is watched."""
    own = next((each.metrics for each in profile.segments if each.segment == found.segment), {}) if profile else {}
    known = own or (profile.metrics if profile is not None and found.segment == "*" else {})
    marks: dict[str, Any] = {name: {"reference": number(known.get(name)), "limit": None} for name in names}
    yard = yardstick(profile, found.settings)
    if yard is not None and found.segment in yard.segments:
        limit = float(yard.limits[yard.segments.index(found.segment)])
        marks[yard.metric]["limit"] = number(math.sqrt(limit) if yard.metric == "rmse" else limit)
    return marks


# -- labels -----------------------------------------------------------------------------------------------------------


def _labels(found: Collected, version: str, windows: Sequence[WindowMetrics]) -> dict[str, Any]:
    """The share of predictions whose outcome was there so long after the event.

    Delays are those of the newest labels; how many never get one is that of the windows that are mature.
    """
    delays = np.array([each for (_, of), each in found.delays.items() if of == version and each is not None])
    mature = [each for each in windows if each.state != "provisional"]
    predictions = sum(each.predictions for each in mature)
    labelled = sum(each.matched - each.assumed for each in mature)
    in_the_end = min(1.0, labelled / predictions) if predictions > 0 and labelled >= 0 else None
    known = len(delays) > 0 and in_the_end is not None
    ages = [i * found.settings.horizon // AGES for i in range(AGES + 1)]
    shares = [float((delays <= age).mean()) * in_the_end if known and in_the_end is not None else None for age in ages]
    rows = [{"age_ms": age, "share": share} for age, share in zip(ages, shares, strict=True)]
    return {"labels": len(delays), "in_the_end": in_the_end, "ages": rows}


# -- incidents --------------------------------------------------------------------------------------------------------


def _incidents(found: Collected, left_out: list[str]) -> list[dict[str, Any]]:
    """The newest first."""
    rows = sorted(found.incidents.values(), key=lambda each: (each.first.at, each.first.alert_id), reverse=True)
    if len(rows) > MOST_INCIDENTS:
        left_out.append(f"{len(rows) - MOST_INCIDENTS} older incidents")
    return [_incident(each) for each in rows[:MOST_INCIDENTS]]


def _incident(each: Incident) -> dict[str, Any]:
    first, newest = each.first, each.newest
    return {
        "id": cut(newest.alert_id),
        "kind": cut(newest.kind),
        "state": cut(newest.state),
        "severity": cut(newest.severity),
        "version": cut(newest.model_version),
        "segment": cut(newest.segment),
        "opened": iso(first.window_start),
        "opened_ms": first.window_start,
        "told": iso(newest.at),
        "told_ms": newest.at,
        "cause": cut(first.cause),
        "now": cut(newest.cause) if newest is not first else "",
        "early": newest.early,
    }
