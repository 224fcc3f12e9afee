"""What the process of a training does where the recipe learns label by label: it goes on from the snapshot before, row by row.

Each row is also scored as it would have been when it was asked for: by what had been learned from the labels that came until then. That is
river's ``progressive_val_score`` with delays, over the rows that are learned here.
"""

import random
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from leadline.core.columnar.columns import Floats
from leadline.learning.classes import number, same
from leadline.learning.online import BEFORE, LABELED_AT
from leadline.learning.online.estimator import Classifier, Values, chance, named
from leadline.learning.online.stored import read_estimator, stored
from leadline.learning.quality import errors, quality
from leadline.learning.training.errors import TrainingError
from leadline.learning.training.recipe import called
from leadline.settings import ModelSettings

_TELL = 10_000


def learned(
    folder: Path, table: pa.Table, settings: ModelSettings, tell: Callable[[str], None]
) -> tuple[bytes, dict[str, float]]:
    """The bytes of the next snapshot, and the metrics of the scores that the rows had. Raises TrainingError."""
    _steady(settings.training.seed)
    before = folder / BEFORE
    begun = _begun(settings)
    known = read_estimator(before.read_bytes(), BEFORE) if before.is_file() else None
    model = begun if known is None else known.model
    names, classes = [*settings.numeric, *settings.categorical], []
    if settings.task != "regression":
        classes = known.classes_ if isinstance(known, Classifier) else _classes(table, settings)
    truth = _truth(table, settings)
    scores = scores_while_learning(model, table, names, truth, tell)
    return stored(model, names, classes), prequential(settings, scores, truth)


def _steady(seed: int) -> None:
    """From now on a generator that nobody seeded gets a seed: river has some in its trees, and a snapshot has to be repeatable."""
    made, plain = count(), random.Random.seed

    def seeded(self: random.Random, a: Any = None, version: int = 2) -> None:
        plain(self, f"{seed} {next(made)}" if a is None else a, version)

    random.Random.seed = seeded  # type: ignore[method-assign]


def prequential(settings: ModelSettings, scores: Floats, truth: list[Any]) -> dict[str, float]:
    """Metrics of scores that rows had before they were learned, by the names that metrics have, after ``prequential_``.

    Rows for which the model had no answer yet are left out.
    """
    outcomes, there = np.array(truth, np.float64), np.isfinite(scores)
    scores, outcomes = scores[there], outcomes[there]
    if not len(scores):
        return {}
    of_classes = settings.task != "regression"
    found = quality(scores, scores > 0.5, outcomes == 1) if of_classes else errors(scores, outcomes)
    return {f"prequential_{name}": value for name, value in found.items()}


def _begun(settings: ModelSettings) -> Any:
    """The model of the recipe, which has learned nothing."""
    training = settings.training
    base, model = import_module("river.base"), called(training.recipe, training.params, training.seed)
    if not isinstance(model, base.Estimator):
        raise TrainingError(
            f"recipe {settings.training.recipe} returns a {type(model).__name__}, and online = true wants a model of river"
        )
    return model


def _classes(table: pa.Table, settings: ModelSettings) -> list[str]:
    """The negative and the positive class, as text."""
    found = sorted(map(_text, table["outcome"].unique().to_pylist()))
    positive = [each for each in found if same(each, _positive(settings))]
    if len(found) != 2 or not positive:
        raise TrainingError(
            f"the {len(table):,} rows to begin with have the outcomes {found[:5]}: wait for labels of both classes"
        )
    return sorted(found, key=positive[0].__eq__)


def _positive(settings: ModelSettings) -> Any:
    return 1.0 if settings.positive is None else settings.positive


def _text(value: Any) -> str:
    known = number(value)
    return str(value) if known is None else f"{known:g}"


def _truth(table: pa.Table, settings: ModelSettings) -> list[Any]:
    """What is learned of each row: its value, or whether it is of the positive class."""
    outcomes: list[Any] = table["outcome"].to_pylist()
    if settings.task == "regression":
        return outcomes
    known = {each: same(each, _positive(settings)) for each in set(outcomes)}
    return [known[each] for each in outcomes]


def scores_while_learning(
    model: Any, table: pa.Table, names: list[str], truth: list[Any], tell: Callable[[str], None]
) -> Floats:
    """Learn the rows in their order; each is scored before the first label that came after it was asked for."""
    rows = list(zip(*(table[name].to_pylist() for name in names), strict=True))
    score = chance if isinstance(truth[0], bool) else _value
    scores = np.full(len(rows), np.nan)
    for at, asks in enumerate(_asked_before(table["event_time"].to_numpy(), table[LABELED_AT].to_numpy())):
        for each in asks:
            scores[each] = score(model, named(names, rows[each]))
        model.learn_one(named(names, rows[at]), truth[at])
        if (at + 1) % _TELL == 0:
            tell(f"learned {at + 1:,} of {len(rows):,} rows")
    return scores


def _value(model: Any, values: Values) -> float:
    return float(model.predict_one(values))


def _asked_before(asked_at: Any, labeled_at: Any) -> Iterator[list[int]]:
    """For each label in turn, the rows that are asked for after the label before it came, and before this one did.

    >>> list(_asked_before(np.array([0, 1, 2, 9]), np.array([5, 5, 7, 8])))
    [[0, 1, 2], [], [], [3]]
    """
    asked, waiting = [False] * len(asked_at), np.argsort(asked_at, kind="stable").tolist()
    first = 0
    for at, came in enumerate(labeled_at.tolist()):
        some = []
        while first < len(waiting) and asked_at[waiting[first]] < came:
            some.append(waiting[first])
            first += 1
        some = [each for each in some if not asked[each]]
        if not asked[at] and at not in some:  # its label came no later than it was asked for
            some.append(at)
        for each in some:
            asked[each] = True
        yield some
