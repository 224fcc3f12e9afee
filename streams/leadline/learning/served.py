"""How a version is served: what its model takes, and what its answer means. It is found out once, and goes with the version."""

from dataclasses import dataclass
from typing import Literal

Form = Literal["matrix", "frame", "rows"]
"""A matrix of numbers; a data frame; rows of numbers and texts."""


@dataclass(frozen=True, slots=True)
class Served:
    """``columns``: the features in the order of the model. ``codes``: those categories that reach it as their number in the signature.

    ``classes``: as text, none for regression; ``positive`` is one of them. ``label``: whether the model says yes where the score is above a
    half (a tie goes to the first class), or has to be asked.
    """

    form: Form
    columns: list[str]
    codes: list[str]
    classes: list[str]
    positive: str
    label: Literal["half", "asked"]
