"""The page: one HTML file that asks for nothing else, in light and dark, and readable printed."""

from collections.abc import Iterator, Sequence
from typing import Any

from leadline.report.content import KINDS
from leadline.report.over_time import drift_map, three_numbers
from leadline.report.squares import calibration, delays
from leadline.report.style import STYLE
from leadline.report.svg import Markup, safe, tag
from leadline.report.times import age_words

_NEWEST = 8
_CAUSE = 400
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(content: dict[str, Any]) -> str:
    """The page of a content."""
    title = f"{content['model']}: how true it is"
    head = [
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", {}, title),
        Markup(f"<style>{STYLE}</style>"),
    ]
    body = [tag("h1", {}, safe(content["model"], 80)), *_intro(content), *_incidents(content["incidents"])]
    body += [part for version in content["versions"] for part in _version(content, version)]
    return "<!doctype html>\n" + tag("html", {"lang": "en"}, tag("head", {}, *head), tag("body", {}, *body)) + "\n"


def _intro(content: dict[str, Any]) -> Iterator[Markup]:
    where = "all requests" if content["segment"] == "*" else f"segment {content['segment']}"
    window, horizon = age_words(content["window_ms"]), age_words(content["horizon_ms"])
    as_of = content["as_of"][:16].replace("T", " ") if content["as_of"] else None
    at = f"as of {as_of} UTC" if as_of else "no window yet"
    yield tag("p", {"class": "about"}, f"{where}, {at}; windows of {window}, outcomes within {horizon}")
    if content["left_out"]:
        yield tag("p", {"class": "about"}, f"Left out: {', '.join(content['left_out'])}.")


# -- incidents --------------------------------------------------------------------------------------------------------


def _incidents(incidents: Sequence[dict[str, Any]]) -> Iterator[Markup]:
    yield tag("h2", {}, "Incidents")
    if not incidents:
        yield tag("p", {}, "None.")
        return
    names = ("opened by window", "kind", "state", "version", "segment", "cause")
    rows = [tag("tr", {}, *(tag("th", {}, name) for name in names)), *map(_incident, incidents)]
    yield tag("div", {"class": "wide incidents"}, tag("table", {}, *rows))


def _incident(each: dict[str, Any]) -> Markup:
    is_over = each["state"] in ("resolved", "withdrawn")
    state = [
        safe(each["state"], 60),
        *([Markup("<br>"), tag("span", {"class": "nowrap"}, each["told"][:10])] if is_over else []),
    ]
    kind = f"{each['kind']} (early)" if each["early"] else each["kind"]
    cells = [tag("td", {"class": "nowrap"}, each["opened"][:16].replace("T", " ")), tag("td", {}, safe(kind, 60))]
    cells += [tag("td", {}, *state), *(tag("td", {}, safe(each[name], 60)) for name in ("version", "segment"))]
    return tag("tr", {"class": "over" if is_over else "open"}, *cells, tag("td", {}, safe(each["cause"], _CAUSE)))


# -- a version --------------------------------------------------------------------------------------------------------


def _version(content: dict[str, Any], version: dict[str, Any]) -> Iterator[Markup]:
    own = [each for each in content["incidents"] if each["version"] == version["version"]]
    yield tag("h2", {}, safe(f"Version {version['version']}", 80))
    for metric in version["marks"]:
        yield _figure(
            f"{metric}, three ways",
            three_numbers(metric, version, own),
            "Each step is a window, the band its 95 % interval: of the final value while labels are still to come. A gap is not known. "
            "Dashed: what it was on the reference; dotted: the limit below which evidence counts.",
        )
    yield _newest(content["watched"], version)
    yield from _drift(version)
    yield tag("div", {"class": "pair"}, _calibration(version["calibration"]), _delays(version["labels"]))


def _figure(title: str, picture: Markup, words: str) -> Markup:
    return tag("figure", {}, tag("h3", {}, title), picture, tag("figcaption", {}, words))


def _newest(metric: str, version: dict[str, Any]) -> Markup:
    """The newest windows in numbers."""
    names = ("window", "state", "predictions", "labels", *(f"{metric} {kind}" for kind in KINDS))
    rows = [tag("tr", {}, *(tag("th", {}, name) for name in names))]
    for window in version["windows"][: -_NEWEST - 1 : -1]:
        labelled = "" if window["labelled"] is None else f"{window['labelled']:.0%}"
        cells = [window["start"][:16].replace("T", " "), window["state"], f"{window['predictions']:,}", labelled]
        cells += [_interval(window["numbers"][metric][kind]) for kind in KINDS]
        rows.append(tag("tr", {}, *(tag("td", {"class": "nowrap"}, safe(cell, 60)) for cell in cells)))
    return tag("div", {"class": "wide"}, tag("h3", {}, "The newest windows"), tag("table", {}, *rows))


def _interval(sides: Sequence[float | None] | None) -> str:
    """A number with its interval.

    >>> _interval([0.5, 0.25, 0.75]), _interval([0.5, None, None]), _interval(None)
    ('0.500 (0.250 to 0.750)', '0.500', '')
    """
    if sides is None:
        return ""
    value, low, high = sides
    return f"{value:.3f}" + ("" if low is None or high is None else f" ({low:.3f} to {high:.3f})")


def _drift(version: dict[str, Any]) -> Iterator[Markup]:
    if not version["drift"]:
        yield tag("h3", {}, "Drift")
        yield tag("p", {}, "No report of drift: the version has no reference, or no window has ended yet.")
        return
    yield _figure(
        "Drift",
        drift_map(version),
        "A row for each feature, a column for each window. Grey: as in the reference, darker where it is further from it. Red: drifted, "
        "which is further than chance takes independent rows, and than the reference's own windows lie apart; darker where it is further.",
    )


def _calibration(found: dict[str, Any]) -> Markup:
    if not found["groups"]:
        return tag("figure", {}, tag("h3", {}, "Calibration"), tag("p", {}, f"None: {found['why']}."))
    between = f"{found['from'][:10]} to {found['to'][:10]}"
    return _figure(
        "Calibration",
        calibration(found["groups"]),
        f"How many outcomes are positive where the score is so high: live with 95 % intervals ({between}), the reference in grey, and the "
        "dashed line where score and share are equal.",
    )


def _delays(labels: dict[str, Any]) -> Markup:
    if labels["ages"][0]["share"] is None:
        return tag(
            "figure", {}, tag("h3", {}, "How late labels come"), tag("p", {}, "None: no window with labels is mature.")
        )
    return _figure(
        "How late labels come",
        delays(labels),
        f"The share of predictions whose outcome happened within so long after the event, by the newest {labels['labels']:,} labels; "
        "dashed: the share that has one in the end.",
    )
