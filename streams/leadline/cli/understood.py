"""What was understood of a model that was added, as lines to read."""

from collections.abc import Iterator

from leadline.core.reference import ReferenceProfile
from leadline.foreign_text import shown
from leadline.learning.add import Added

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
    if compared:
        yield f"  its {len(added.examined.scores):,} scores are yours, to 1e-9"
    elif served.classes:
        yield from _majority(added)


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


def _metrics(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def _list(names: list[str]) -> str:
    return shown(", ".join(names), _MOST)
