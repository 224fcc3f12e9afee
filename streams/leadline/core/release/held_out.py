"""What a gate looks at: the held-out rows, and what each version says of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from leadline.core.columnar.columns import Bools, Floats, Ints
from leadline.core.texts import Texts

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Rows with their truth: 1 for yes and 0 for no, or the value. ``days``: the day of each, in UTC. ``segments``: by name."""

    truth: Floats
    days: Ints
    segments: Mapping[str, Texts]

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, rows: Ints) -> "HeldOut":
        """Some rows."""
        return HeldOut(
            self.truth[rows], self.days[rows], {name: column.take(rows) for name, column in self.segments.items()}
        )

    def by_segment(self, name: str) -> Iterator[tuple[str, Ints]]:
        """Each segment of a name, as the live windows call it, with its rows; the largest first."""
        column = self.segments[name]
        different = list(dict.fromkeys(["", *column.texts]))  # a missing one is called as an empty one
        at = {text: code for code, text in enumerate(different)}
        codes = np.array([*map(at.__getitem__, column.texts), 0])[column.codes]
        order = np.argsort(codes, kind="stable")
        present, starts = np.unique(codes[order], return_index=True)
        parts = np.split(order, starts[1:]) if len(order) else []
        named = [f"{name}={different[code]}" for code in present.tolist()]
        yield from sorted(zip(named, parts, strict=True), key=lambda each: (-len(each[1]), each[0]))


@dataclass(frozen=True, slots=True)
class Answers:
    """What a version says of each row: its score, NaN where it gives none, and whether it says yes (None for a regression)."""

    scores: Floats
    labels: Ints | None

    @property
    def given(self) -> Bools:
        """Which rows have a score."""
        found: Bools = np.isfinite(self.scores)
        return found

    def take(self, rows: Ints) -> "Answers":
        """Some rows."""
        return Answers(self.scores[rows], None if self.labels is None else self.labels[rows])
