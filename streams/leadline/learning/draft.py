"""A model.toml for a model that nobody has described yet: what the model and its reference say, and the rest as a comment."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from leadline.foreign_text import shown
from leadline.learning.classes import number, same
from leadline.learning.errors import RegistryError
from leadline.learning.look import Look
from leadline.learning.toml import toml_line
from leadline.settings import ModelSettings
from leadline.settings.parts import KEYS, Part

_COLUMN = 44
_JOIN = {
    "horizon": ("7d", "how long after the event an outcome may happen"),
    "grace": ("1d", "how much longer its record may take to arrive; never: it is waited for without end"),
    "window": ("1d", "live metrics are of windows of this length"),
    "policy": ("first", "which of several outcomes counts: first, or latest"),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """What a model.toml is made of. ``positive`` is empty where nobody has said it; ``trusted`` are types of the user's own."""

    name: str
    look: Look
    numeric: list[str]
    categorical: list[str]
    categories: dict[str, list[str]]
    positive: str = ""
    trusted: tuple[str, ...] = ()

    @property
    def lacks_positive(self) -> bool:
        """Whether somebody has to say which class is the positive one."""
        said = sorted(str(number(each)) for each in self.look.classes)
        return bool(self.look.classes) and not self.positive and said != ["0.0", "1.0"]


def features_of(look: Look, table: pa.Table, outcome: str, named: list[str]) -> list[str]:
    """The columns that a model takes: its own, those that were named, or all but the outcome. Raises RegistryError."""
    if outcome not in table.column_names:
        raise RegistryError(
            f"the reference has no column {outcome!r} of the outcome: it has {_list(table.column_names)}"
        )
    found = look.columns or named or [name for name in table.column_names if name != outcome]
    missing = [name for name in found if name not in table.column_names]
    if missing:
        raise RegistryError(
            f"the reference lacks {_list(missing)}, to which the model was fitted; it has {_list(table.column_names)}"
        )
    if look.columns is None and look.inputs not in (None, len(found)):
        raise RegistryError(
            f"the model takes {look.inputs} columns and knows no names, and the reference has {_list(found)}: name those that it takes, "
            "in its order: --features a,b,c"
        )
    return found


def draft(
    name: str, look: Look, table: pa.Table, features: list[str], positive: str = "", trusted: tuple[str, ...] = ()
) -> Draft:
    """What the model and the reference say. Raises RegistryError where a column is neither numbers nor categories, or a class unknown."""
    if positive and not any(same(positive, each) for each in look.classes):
        raise RegistryError(f"--positive {shown(positive)}: the classes of the model are {_list(look.classes)}")
    kinds = {each: "categorical" if each in look.categories else _kind(table, each) for each in features}
    numeric, categorical = ([each for each in features if kinds[each] == kind] for kind in ("numeric", "categorical"))
    if look.columns is None and [*numeric, *categorical] != features:
        raise RegistryError(
            f"the model knows no names, and takes {_list(features)}: numbers have to come before categories; fit it to a data frame"
        )
    coded = [each for each in categorical if look.columns is None and each not in look.categories]
    categories = {each: _texts(table, each) for each in coded}
    return Draft(name, look, numeric, categorical, categories, positive, trusted)


def _kind(table: pa.Table, name: str) -> str:
    kind = table.column(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "categorical"
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        return "numeric"
    raise RegistryError(
        f"column {name!r} of the reference is {kind}: neither numbers nor texts; give it as one of them"
    )


def _texts(table: pa.Table, name: str) -> list[str]:
    """The categories of a column, sorted."""
    return sorted(str(each) for each in table.column(name).unique().to_pylist() if each is not None)


def toml(made: Draft) -> str:
    """The text of the model.toml."""
    parts = [_version(made), _join(made), _watch(), _categories(made)]
    return "\n".join(line for part in parts for line in part) + "\n"


def _version(made: Draft) -> Iterator[str]:
    look = made.look
    yield _line("name", made.name, "as requests name it")
    yield ""
    yield "# Of the version: how it answers. It never changes once a version is added."
    yield _line("task", "binary" if look.classes else "regression")
    if look.classes:
        yield _positive(made)
        if not look.probability:
            yield _line("score", "decision", "it has no probabilities: logloss, brier and mean_score are null")
        yield _line(
            "threshold",
            0.5 if look.probability else 0.0,
            "a score from which on it says yes; without it: as it does itself",
            False,
        )
    if look.columns is None:
        yield "# The model knows no names: it takes the numbers and then the categories, in this order."
    yield _line("numeric", made.numeric)
    yield _line("categorical", made.categorical)
    if made.trusted:
        yield _line("trusted", list(made.trusted), "types of your own that its file has")
    yield _line("missing", "refuse", "a request that lacks a feature is a dead letter", False)


def _positive(made: Draft) -> str:
    said = f"the class that the score is of; the classes are {_list(made.look.classes)}"
    if made.lacks_positive:
        return _line("positive", made.look.classes[-1], f"SAY IT: {said}", False)
    return _line("positive", made.positive or "1", said, bool(made.positive))


def _join(made: Draft) -> Iterator[str]:
    yield ""
    yield "# Of the join: what is counted, into which windows. It never changes once something was counted."
    yield from (_line(key, value, comment) for key, (value, comment) in _JOIN.items())
    yield _line(
        "segments", made.categorical[:1] or ["country"], "categories by which live metrics are told apart too", False
    )


def _watch() -> Iterator[str]:
    """What changes live: each key with its default."""
    yield ""
    yield "# Of the watch: when somebody is told. `leadline model configure` changes it while workers run."
    defaults = ModelSettings(name="m")
    tables = {}
    for key in KEYS[Part.WATCH]:
        value = getattr(defaults, key)
        if isinstance(value, BaseModel):
            tables[key] = value
        else:
            yield _line(key, "7d" if key == "retrain_cooldown" else value, said=False)
    for key, value in tables.items():
        yield f"\n[{key}]"
        yield from (
            _line(inner, default, said=False) for inner, default in value.model_dump().items() if default is not None
        )


def _categories(made: Draft) -> Iterator[str]:
    """How a model that takes numbers for categories is told which is which: a draft that somebody has to check."""
    if not made.categories:
        return
    yield ""
    yield "[categories] # CHECK IT: the model takes whole numbers; the category of 0 first, then that of 1, as it was trained"
    for name, texts in made.categories.items():
        yield _line(name, texts, said=False)


def _line(key: str, value: Any, comment: str = "", said: bool = True) -> str:
    """A line of TOML, or (not ``said``) the same as a comment.

    >>> _line("window", "1d", "of metrics", said=False)
    '# window = "1d"                              # of metrics'
    """
    text = f"{'' if said else '# '}{toml_line(key, value)}"
    return f"{text:<{_COLUMN}} # {shown(comment, 1000)}" if comment else text


def _list(names: list[str]) -> str:
    return shown(", ".join(names), 500)
