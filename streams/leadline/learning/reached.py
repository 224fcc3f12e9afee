"""The parts of a model that get its own columns: behind searches, calibrations, votes and thresholds, which look at none themselves."""

from collections.abc import Iterator
from typing import Any


def reached(estimator: Any) -> list[Any]:
    """The parts to which the columns of a model go as they are; of a model that hands them on to nobody, itself."""
    inner = list(_inner(estimator))
    return [part for each in inner for part in reached(each)] if inner else [estimator]


def needed_columns(estimator: Any, names: list[str]) -> list[str]:
    """Of the columns to which a model was fitted those that it looks at, in its own order: a ColumnTransformer may drop some."""
    seen = {at for part in reached(estimator) for at in _seen(part, len(names))}
    return [name for at, name in enumerate(names) if at in seen]


def _inner(part: Any) -> Iterator[Any]:
    held, kind = getattr(part, "__dict__", {}), type(part).__name__
    if not type(part).__module__.startswith("sklearn."):
        return
    if kind == "Pipeline":
        steps = _steps(held)
        yield from steps if len(steps) == 1 else []
    elif kind == "CalibratedClassifierCV":
        yield from (each.estimator for each in held.get("calibrated_classifiers_", ()))
    elif kind.startswith("Voting") or (kind.startswith("Stacking") and not held.get("passthrough")):
        yield from held.get("estimators_", ())
    elif kind == "FrozenEstimator":
        yield held["estimator"]
    else:
        names = ("best_estimator_", "regressor_", *(["estimator_"] if "Threshold" in kind else []))
        yield from (held[name] for name in names if name in held)


def _steps(held: dict[str, Any]) -> list[Any]:
    return [step for _, step in held.get("steps", ()) if not (step is None or isinstance(step, str))]


def _seen(part: Any, width: int) -> set[int]:
    """The places of the columns that a part looks at."""
    held = getattr(part, "__dict__", {})
    if type(part).__name__ == "Pipeline" and _steps(held):
        return _seen(_steps(held)[0], width)
    places = held.get("_transformer_to_input_indices")
    if "transformers_" not in held or not isinstance(places, dict):
        return set(range(width))
    kept = [name for name, what, _ in held["transformers_"] if not (isinstance(what, str) and what == "drop")]
    return {int(at) for name in kept for at in places.get(name, ())}
