"""What was understood of a model that was added, as lines to read."""

from collections.abc import Iterator
from typing import Any

from leadline.cli.checkup.findings import for_long
from leadline.core.reference import ReferenceProfile
from leadline.foreign_text import shown
from leadline.learning.add import Added
from leadline.settings import ModelSettings

_FORMS = {"matrix": "a matrix of numbers", "frame": "a data frame", "rows": "rows of numbers and text"}
_MOST = 300
"""Characters of a list of names."""


def understood(added: Added, compared: bool) -> Iterator[str]:
    """Lines; ``compared``: the user's own scores were the same."""
    version, served = added.version, added.examined.served
    typed = [f"{name} {dtype}" for name, dtype in zip(served.columns, added.examined.dtypes, strict=True)]
    yield f"  it takes {_FORMS[served.form]}, in this order: {_list(typed)}"
    for name in version.signature.categorical:
        yield f"  {_category(name, version.signature.categories[name], name in served.codes)}"
    yield f"  {_missing(added)}"
    if served.classes:
        threshold = version.settings.threshold
        yield f"  its classes are {_list(served.classes)}; the score is {_score(version.settings.score)} {shown(served.positive, _MOST)}"
        yield from _outcomes(version.profile)
        yield "  it says yes " + ("as it does itself" if threshold is None else f"from a score of {threshold:g} on")
    yield f"  on the reference: {_metrics(version.profile.metrics if version.profile else {})}"
    if version.profile:
        yield from _reference(version.profile, version.settings)
    if compared:
        yield f"  its {len(added.examined.scores):,} scores are yours, to 1e-9"
    elif served.classes:
        yield from _majority(added)


def understood_fields(added: Added, compared: bool) -> dict[str, Any]:
    """The same, for `as_json`; ``majority``: the accuracy of naming the commoner class each time."""
    version, served = added.version, added.examined.served
    has_classes = bool(served.classes)
    return {
        "model": version.settings.name, "version": version.version, "form": served.form, "columns": list(served.columns),
        "categories": dict(version.signature.categories), "codes": list(served.codes), "classes": list(served.classes),
        "positive": served.positive if has_classes else None, "score": version.settings.score if has_classes else None,
        "threshold": version.settings.threshold, "metrics": dict(version.profile.metrics) if version.profile else {},
        "majority": added.majority if has_classes else None, "scores_compared": len(added.examined.scores) if compared else 0,
    }  # fmt: skip


def _missing(added: Added) -> str:
    """What becomes of a request that lacks a feature."""
    if added.version.settings.missing == "refuse":
        return 'a request that lacks a feature is refused (missing = "refuse" in model.toml)'
    names, may = added.version.signature.names, added.examined.takes_missing
    needed = [name for name, takes in zip(names, may, strict=True) if not takes]
    return f"a request may lack features{f', but is refused without {_list(needed)}' if needed else ''}"


def _outcomes(profile: ReferenceProfile | None) -> Iterator[str]:
    """Which class of words is which number among the outcomes."""
    if profile is not None and profile.class_names:
        said = [
            f"{shown(name, _MOST)} is {number:g}"
            for name, number in zip(profile.class_names, profile.classes, strict=True)
        ]
        yield f"  an outcome may be the name of a class or its number: {', '.join(said)}"


def _score(kind: str) -> str:
    return "the probability of" if kind == "probability" else "its decision function, no probability, for"


def _category(name: str, categories: list[str], coded: bool) -> str:
    if coded:
        numbered = [f"{text} = {code}" for code, text in enumerate(categories)]
        return f"{shown(name, _MOST)} as whole numbers: {_list(numbered)}"
    return f"{shown(name, _MOST)} as text: {_list(categories)}"


def _majority(added: Added) -> Iterator[str]:
    accuracy = added.version.profile.metrics.get("accuracy", 0.0) if added.version.profile else 0.0
    yield f"  (naming the commoner class each time: accuracy {added.majority:.4g})"
    if accuracy < added.majority:
        yield "  WARNING: worse than naming the commoner class each time. Compare with your own scores: --scores COLUMN"


def _reference(profile: ReferenceProfile, settings: ModelSettings) -> Iterator[str]:
    """How windows are told from chance, and which segments have a yardstick of their own."""
    if profile.windows:
        rows = f"{len(profile.windows):,} windows of {for_long(profile.window)} by its event times"
        yield f"  the reference has {rows}: drift is judged by how much these differ"
    else:
        yield "  the reference has no event times (--time COLUMN): drift is judged as if its rows were independent"
    own = [each.segment for each in profile.segments[1:]]
    if own:
        yield f"  {len(own):,} segments of the reference are a yardstick of their own: {_list(own)}"
    without = [name for name in settings.segments if not any(each.startswith(f"{name}=") for each in own)]
    if without:
        yield f"  the reference has no column for these segments, so they have no yardstick: {_list(without)}"


def _metrics(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def _list(names: list[str]) -> str:
    return shown(", ".join(names), _MOST)
