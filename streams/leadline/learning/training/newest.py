"""The rows that hold: of each prediction the newest revision, and of each request one prediction, of more rows than memory has.

Rows go to files by the number of `leadline.learning.training.rows.sampled_by`: a file has all of a request, and the first
files are the sample.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.learning.training.outcomes import Outcomes
from leadline.learning.training.rows import NO_CLASS, WHY

_PARTS = 64
_TOGETHER = 65_536
"""Rows that are sorted into files at once."""
_NEWEST = [("request_id", "ascending"), ("model_version", "ascending")] + [
    (name, "descending") for name in ("revision", "outcome", "scored_at", "score")
]
_BEST = [("request_id", "ascending"), ("why", "ascending"), ("of_champion", "descending")] + [
    (name, "descending") for name in ("scored_at", "model_version")
]


class Spill:
    """Rows on the disk, in files below ``folder``; `add` them all, then ask for `parts` once."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._paths = [folder / f"{at}.arrow" for at in range(_PARTS)]
        self._stack = ExitStack()
        self._files = [self._stack.enter_context(pa.ipc.new_file(str(path), schema)) for path in self._paths]
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, rows: pa.Table) -> None:
        """Take some rows."""
        self._waiting.append(rows)
        self._rows += len(rows)
        if self._rows >= _TOGETHER:
            self._write()

    def parts(self) -> Iterator[pa.Table]:
        """All rows, the lowest numbers of the sample first."""
        self._write()
        self._stack.close()
        for path in self._paths:
            with pa.ipc.open_file(str(path)) as file:
                yield file.read_all()
            path.unlink()

    def close(self) -> None:
        """Close the files; what is in them is lost where it was not asked for."""
        self._stack.close()

    def _write(self) -> None:
        rows = pa.concat_tables([self._schema.empty_table(), *self._waiting]).combine_chunks()
        self._waiting, self._rows = [], 0
        part = rows["sample"].to_numpy() // np.uint64(2**64 // _PARTS)
        rows = rows.take(np.argsort(part, kind="stable"))
        ends = np.cumsum(np.bincount(part.astype(np.int64), minlength=_PARTS))
        for file, start, end in zip(self._files, [0, *ends[:-1]], ends, strict=True):
            if end > start:
                file.write_table(rows.slice(start, end - start))


@dataclass
class Kept:
    """The rows of a sample of at most ``most``, of how many ``usable`` ones, and how many were left out, and why."""

    most: int
    champion: str | None
    outcomes: Outcomes
    tables: list[pa.Table] = field(default_factory=list)
    rows: int = 0
    usable: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def take(self, rows: pa.Table) -> None:
        """Take a part of the rows, with all of each request in it."""
        found = self._usable(one_a_request(rows, self.champion))
        self.usable += len(found)
        room = self.most - self.rows
        if len(found) > room:
            found = found.sort_by([("sample", "ascending"), ("request_id", "ascending")]).slice(0, room)
        self.rows += len(found)
        self.tables.append(found)

    def _usable(self, rows: pa.Table) -> pa.Table:
        why = rows["why"].to_numpy()
        why = np.where((why == 0) & ~self.outcomes.usable(rows["outcome"]).to_numpy(), NO_CLASS, why)
        counts = enumerate(np.bincount(why).tolist())
        self.left_out.update({WHY[number]: count for number, count in counts if number and count})
        return rows.filter(pa.array(why == 0))


def one_a_request(rows: pa.Table, champion: str | None) -> pa.Table:
    """Of each prediction the newest revision, where that has an outcome; of these one a request, the champion's rather than another.

    A row that cannot be used is taken only where no other is.
    """
    rows = _first(rows.sort_by(_NEWEST), "request_id", "model_version")
    rows = rows.filter(pc.is_valid(rows["outcome"]))
    of_champion = pc.fill_null(pc.equal(rows["model_version"], pa.scalar(champion, pa.string())), False)
    rows = rows.append_column("of_champion", pc.cast(of_champion, pa.int8()))
    return _first(rows.sort_by(_BEST), "request_id")


def _first(rows: pa.Table, *names: str) -> pa.Table:
    """The first row of each run of equal values."""
    if len(rows) < 2:
        return rows
    new = np.zeros(len(rows), bool)
    new[0] = True
    for name in names:
        column = rows[name].combine_chunks()
        new[1:] |= pc.not_equal(column.slice(1), column.slice(0, len(rows) - 1)).to_numpy(zero_copy_only=False)
    return rows.filter(pa.array(new))
