"""The counts of a window as they were when it became mature: what it is judged by, once."""

import struct
from dataclasses import astuple, fields
from typing import Self

import numpy as np

from leadline.core.windows.aggregates.changes import Changes
from leadline.core.windows.aggregates.confusion import cells
from leadline.core.windows.aggregates.limits import beyond, first, negative, outside
from leadline.core.windows.aggregates.sums import BYTES, LIMIT, errors, scores
from leadline.core.windows.aggregates.whole_numbers import WholeNumbers
from leadline.records import MatureCounts, WindowPartial

_COUNTS = struct.Struct("<8q")


class Mature(WholeNumbers):
    """`MatureCounts`, and before them of how many partitions they are known; a window of one partition knows them from its maturity on.

    They are counted all the time, of the records that the log holds up to the instant of maturity, whenever these are read.
    """

    __slots__ = ()
    names = ("known", *(f.name for f in fields(MatureCounts)))

    @classmethod
    def fold(cls, changes: Changes) -> list["Mature"]:
        counts = np.zeros((7, changes.size), np.int64)
        predicted, matched = changes.predicted, changes.matched
        yes = np.flatnonzero(predicted.label == 1)
        np.add.at(counts[0], predicted.window, predicted.mature)
        np.add.at(counts[1], matched.window, matched.mature)
        np.add.at(counts[2], predicted.window[yes], predicted.mature[yes])
        counts[3:] = cells(matched, matched.mature, changes.size)
        both = errors(matched, matched.mature, changes.size)
        score = scores(matched, matched.mature, changes.size)
        return [cls([0, *row, *error, own]) for row, error, own in zip(counts.T.tolist(), both, score, strict=True)]

    def at_maturity(self) -> "Mature":
        """These counts, known from now on."""
        return Mature((1, *self[1:]))

    def pack(self) -> bytes:
        return _COUNTS.pack(*self[:8]) + b"".join([each.to_bytes(BYTES, "little", signed=True) for each in self[8:]])

    @classmethod
    def unpack(cls, value: bytes, start: int) -> tuple[Self, int]:
        sums = start + _COUNTS.size
        end = sums + 3 * BYTES
        read = [int.from_bytes(value[i : i + BYTES], "little", signed=True) for i in range(sums, end, BYTES)]
        return cls([*_COUNTS.unpack_from(value, start), *read]), end

    def counts(self, partitions: int = 1) -> MatureCounts | None:
        """The counts, where they are known of so many partitions.

        >>> Mature([1, 9, 7, 5, 3, 1, 1, 2, 0, 0, 0]).counts().matched, Mature.zero().counts()
        (7, None)
        """
        return MatureCounts(*self[1:]) if self[0] == partitions else None

    def fields(self) -> dict[str, MatureCounts | None]:  # type: ignore[override]
        return {"mature": self.counts()}

    @classmethod
    def of(cls, record: WindowPartial) -> Self:
        return cls.zero() if record.mature is None else cls([1, *astuple(record.mature)])

    @classmethod
    def out_of_range(cls, record: WindowPartial) -> str | None:
        if record.mature is None:
            return None
        *counts, absolute, squared, score = astuple(record.mature)
        named = zip(cls.names[1:], counts, strict=False)
        wide = f"a sum at maturity has more than {BYTES} bytes" if max(absolute, squared, abs(score)) >= LIMIT else None
        low = negative("sums of errors at maturity", (absolute, squared))
        return first([*(outside(f"{name} at maturity", count) for name, count in named), low, wide])

    @classmethod
    def disagreement(cls, record: WindowPartial) -> str | None:
        own = record.mature
        if own is None:
            return None
        if record.state == "provisional":
            return "a provisional window has counts at maturity"
        cells_of = own.tp + own.fp + own.fn + own.tn
        return first(
            [
                beyond("predictions at maturity", own.predictions, record.predictions),
                beyond("matched at maturity", own.matched, own.predictions),
                beyond("predicted_positive at maturity", own.predicted_positive, own.predictions),
                beyond("tp, fp, fn and tn at maturity", cells_of, own.matched),
                beyond("tp and fp at maturity", own.tp + own.fp, own.predicted_positive),
            ]
        )
