"""The card of a version: a page of Markdown for who has to judge it. Names and texts that came from outside are shown, not obeyed."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from leadline.core.models import Version
from leadline.core.reference import Calibration, FeatureProfile, ReferenceProfile
from leadline.core.windows.aggregates.by_score import EDGES
from leadline.foreign_text import shown
from leadline.learning.portrait import Portrait
from leadline.records import Verdict, iso

_MARKS = re.compile(r"[\\`*_{}\[\]()#.]")
_STRUCTURE = str.maketrans({mark: f"&#{ord(mark)};" for mark in "<>&|~:@"})
_FEW_ROWS, _GROUPS, _MOST = 100, 10, 200


def escaped(text: object, limit: int = _MOST) -> str:
    r"""A foreign text inside of a line of Markdown, after words of ours: no markup, no HTML, no link, no end of a line or cell.

    >>> print(escaped("a_b|<b>\n[x](http://e)"))
    a\_b&#124;&#60;b&#62;\\n\[x\]\(http&#58;//e\)
    """
    return _MARKS.sub(r"\\\g<0>", shown(text, limit)).translate(_STRUCTURE)


def card(found: Portrait) -> str:
    """The page. It depends on the version and on what was decided, not on the moment."""
    sections = [_head, _features, _data, _metrics, _calibration, _limits, _gate, _receipt, _approval]
    return "\n".join(line for section in sections for line in section(found)) + "\n"


def _head(found: Portrait) -> Iterator[str]:
    settings, of = found.version.settings, found.lineage
    yield f"# {escaped(of.model)} {escaped(of.version)}"
    yield ""
    yield f"State: **{of.state}**{f', {of.alias}' if of.alias else ''}. Origin: {of.origin or 'not known'}."
    yield from ["", "## What it is for", ""]
    if settings.task == "regression":
        yield "It answers each request with a number, the value that it expects."
    else:
        yes = escaped(settings.positive or "the positive class")
        what = "probability" if settings.score == "probability" else "score"
        yield f"It answers each request with the {what} of {yes}, and says yes by its threshold or by its own rule."
    yield f"The truth is awaited for {settings.horizon / 3_600_000:g} hours after the event."
    if settings.runbook:
        yield f"Whoever is called looks here: {escaped(settings.runbook)}"


def _features(found: Portrait) -> Iterator[str]:
    version = found.version
    profiles = {each.name: each for each in version.profile.features} if version.profile else {}
    yield from ["", "## Features", "", "| feature | kind | in the reference | missing |", "| --- | --- | --- | ---: |"]
    for name in version.signature.names:
        kind = "numeric" if name in version.signature.numeric else "categorical"
        yield f"| {escaped(name)} | {kind} | {_values(name, version, profiles)} | {_missing(profiles.get(name))} |"


def _values(name: str, version: Version, profiles: dict[str, FeatureProfile]) -> str:
    if name in version.signature.categories:
        return escaped(", ".join(version.signature.categories[name]))
    edges = profiles[name].edges if name in profiles else []
    return f"bins between {edges[0]:.6g} and {edges[-1]:.6g}" if edges else ""


def _missing(profile: FeatureProfile | None) -> str:
    return f"{profile.counts[-1] / sum(profile.counts):.1%}" if profile and sum(profile.counts) else ""


def _data(found: Portrait) -> Iterator[str]:
    yield from ["", "## Data", ""]
    profile, receipt = found.version.profile, found.receipt
    if profile is not None:
        yield f"- Reference: {profile.predictions:,} rows; the metrics below are of them."
    if receipt is None:
        yield "- What it was trained on is not known here: it was not trained by Leadline."
        return
    data = receipt.data
    since = iso(data.held_out_since)
    yield f"- Training set: {data.rows:,} rows, {data.train_rows:,} to train on and {data.held_out_rows:,} held out since {since}."
    if data.sampled_from > data.rows:
        yield f"- They are a sample of {data.sampled_from:,} rows."
    yield from (f"- Left out: {count:,}, {escaped(why)}." for why, count in data.left_out.items() if count)
    if data.base is not None:
        yield f"- Rows from before: {data.base.rows:,} of {escaped(data.base.file)}, sha256 {escaped(data.base.digest)}."
    yield f"- Digest of the rows: {escaped(data.digest)}."


def _metrics(found: Portrait) -> Iterator[str]:
    yield from ["", "## Metrics by segment", ""]
    segments = found.version.profile.segments if found.version.profile else []
    if not segments:
        yield "None are known."
        return
    names = list(segments[0].metrics)
    yield f"| segment | rows | {' | '.join(map(escaped, names))} |"
    yield "| --- | ---: |" + " ---: |" * len(names)
    for each in segments:
        name = "all" if each.segment == "*" else escaped(each.segment)
        yield f"| {name} | {each.predictions:,} | {' | '.join(_number(each.metrics.get(key)) for key in names)} |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _calibration(found: Portrait) -> Iterator[str]:
    yield from ["", "## Calibration", ""]
    profile, settings = found.version.profile, found.version.settings
    if profile is None or profile.calibration is None or settings.counted_as != "binary":
        yield "Its scores are no probabilities: there is nothing to calibrate."
        return
    groups = calibration_groups(profile.calibration)
    error = sum(rows * abs(score - share) for rows, score, share in groups) / sum(rows for rows, _, _ in groups)
    yield f"Mean distance of score and share of outcomes: {error:.3f}, in groups of about equally many rows."
    yield from ["", "| rows | mean score | share of outcomes |", "| ---: | ---: | ---: |"]
    yield from (f"| {rows:,} | {score:.3f} | {share:.3f} |" for rows, score, share in groups)


def calibration_groups(known: Calibration) -> list[tuple[int, float, float]]:
    """Neighbouring score bins together: rows, mean score (by the middle of each bin) and share of positives of each group.

    >>> calibration_groups(Calibration([0, 1024, 2047], [5, 0, 5], [[0, 0, 5]]))
    [(5, 5.627e-08, 0.0), (5, 1.0, 1.0)]
    """
    fences = np.array([0.0, *EDGES, 1.0])
    rows, positives = np.array(known.rows, np.float64), np.array(known.sums[0])
    scores = ((fences[:-1] + fences[1:]) / 2)[np.array(known.bins, np.int64)]
    at = np.minimum(((rows.cumsum() - rows / 2) / rows.sum() * _GROUPS).astype(np.int64), _GROUPS - 1)
    counts, sums, ones = (np.bincount(at, each, _GROUPS) for each in (rows, rows * scores, positives))
    used = np.flatnonzero(counts)
    return [(int(counts[i]), float(f"{sums[i] / counts[i]:.4g}"), float(ones[i] / counts[i])) for i in used]


def _limits(found: Portrait) -> Iterator[str]:
    yield from ["", "## Limits", ""]
    settings, profile = found.version.settings, found.version.profile
    if settings.missing == "refuse":
        yield "- A request that lacks a feature is refused."
    if found.version.signature.categorical:
        yield "- A category that is not listed above was never seen in training."
    yield from _small_segments(profile)
    if profile is None or not profile.windows:
        yield "- The reference has no event times, so how much days differ without a change is not known."
    yield from (f"- The gate: {escaped(each)}" for each in _not_passed(found.lineage.gate))
    yield "- The metrics are of the reference. What it does now, `leadline metrics` says."


def _small_segments(profile: ReferenceProfile | None) -> Iterator[str]:
    segments = profile.segments[1:] if profile else []
    small = [each.segment for each in segments if each.predictions < _FEW_ROWS]
    if small:
        yield f"- Fewer than {_FEW_ROWS} rows of the reference: {escaped(', '.join(small))}."


def _not_passed(verdict: Verdict | None) -> Sequence[str]:
    checks = verdict.checks if verdict else []
    return [f"{each.name} {each.segment} {each.outcome}, {each.reason}" for each in checks if each.outcome != "passed"]


def _gate(found: Portrait) -> Iterator[str]:
    yield from ["", "## Gate", ""]
    verdict = found.lineage.gate
    if verdict is None:
        yield "No verdict is known."
        return
    beside = escaped(verdict.champion or "no champion")
    yield f"**{escaped(verdict.verdict)}** beside {beside} at {iso(verdict.as_of)}: {escaped(verdict.reason)}"
    yield from ["", "| check | segment | value | limit | outcome |", "| --- | --- | ---: | ---: | --- |"]
    for each in verdict.checks:
        numbers = f"{_number(each.value)} | {_number(each.limit)}"
        yield f"| {escaped(each.name)} | {escaped(each.segment)} | {numbers} | {escaped(each.outcome)} |"


def _receipt(found: Portrait) -> Iterator[str]:
    yield from ["", "## Receipt", ""]
    receipt, of = found.receipt, found.lineage
    if receipt is None:
        yield "It has none: it cannot be trained again here."
        return
    code = receipt.code
    commit = f", commit {escaped(code.commit)}{' with changes' if code.dirty else ''}" if code.commit else ""
    yield f"- Trained {iso(receipt.made_at)} by {escaped(code.recipe)}{commit}, seed {receipt.seed}, {receipt.threads} threads."
    yield f"- Parent: {escaped(receipt.parent or 'none')}; retrain request: {escaped(receipt.retrain_id or 'none')}."
    libraries = ", ".join(f"{name} {release}" for name, release in receipt.libraries.items())
    yield f"- Libraries: {escaped(libraries, len(libraries))}."
    yield f"- Digest of the model: {escaped(receipt.model_digest)}; of the receipt: {escaped(of.receipt)}."
    yield "- `leadline verify` trains it again, and compares."


def _approval(found: Portrait) -> Iterator[str]:
    yield from ["", "## Approval", ""]
    verdict, policy = found.lineage.approval, found.version.settings.approval.policy
    if verdict is None:
        yield f"Policy: {policy}. No answer of a person is known."
        return
    by = f" by {escaped(verdict.actor)}" if verdict.actor else ""
    yield f"Policy: {policy}. **{escaped(verdict.verdict)}**{by} at {iso(verdict.as_of)}: {escaped(verdict.reason)}"
