"""Alerts from windows: opened after several bad ones in a row, resolved after several good ones, one alert for one cause.

A window is judged when enough is known of it (labels of enough predictions; a drift report of every feature). Windows that are not, or
not yet, are passed over. A judgement may change while labels come; only the verdicts of the newest judged windows, in the order of
time, open and resolve.
"""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from leadline.core.batch import Batch, Effects, Output, Store
from leadline.core.catalog import Catalog
from leadline.records import Alert, DriftReport, WindowMetrics
from leadline.settings import AlertLimits

WINDOWS = 64
"""So many of the newest windows of a subject are remembered; what comes for an older one is ignored."""

LESS_IS_BETTER = frozenset({"mae", "rmse"})


class Subject(NamedTuple):
    """What an alert is about: ``kind`` performance or drift."""

    kind: str
    model: str
    version: str
    segment: str

    @property
    def key(self) -> bytes:
        return b"a" + json.dumps(self).encode()

    def alert_id(self, opened_at: int) -> str:
        """Stable while the alert is open, and the same whenever the same log is read.

        >>> Subject("drift", "m", "v1", "*").alert_id(0)
        'cbd0b8c8f1d0a1e4'
        """
        return sha256(json.dumps([*self, opened_at]).encode()).hexdigest()[:16]


@dataclass(slots=True)
class Verdict:
    """What is known of one window. ``bad`` None: not judged; ``evidence`` says why; ``reports`` wait until they are complete."""

    end: int
    revision: int
    bad: bool | None
    evidence: dict[str, str]
    reports: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Case:
    """The windows of one subject by start, and its alert. ``told`` holds the windows that the open alert has been told of."""

    windows: dict[int, Verdict] = field(default_factory=dict)
    opened_at: int | None = None
    revision: int = 0
    told: list[int] = field(default_factory=list)

    def pack(self) -> bytes:
        """The case as bytes; `unpack` reads them."""
        windows = [[start, v.end, v.revision, v.bad, v.evidence, v.reports] for start, v in self.windows.items()]
        return json.dumps([windows, self.opened_at, self.revision, self.told]).encode()

    @classmethod
    def unpack(cls, value: bytes) -> "Case":
        """Read what `pack` wrote.

        >>> case = Case({0: Verdict(10, 1, True, {"value": "0.5"})}, opened_at=0, revision=3)
        >>> Case.unpack(case.pack()) == case
        True
        """
        windows, *rest = json.loads(value)
        return cls({start: Verdict(*verdict) for start, *verdict in windows}, *rest)

    def window(self, start: int, end: int, revision: int) -> Verdict | None:
        """The verdict to set, made where there is none; None where ``revision`` is older, or the window is too old."""
        held = self.windows.get(start)
        if held is not None:
            return held if revision >= held.revision else None
        if len(self.windows) >= WINDOWS:
            oldest = min(self.windows)
            if start < oldest:
                return None
            del self.windows[oldest]
        held = self.windows[start] = Verdict(end, revision, None, {})
        return held

    def newest_judged(self, count: int) -> list[int]:
        """Starts of the newest judged windows, the newest first."""
        return sorted((start for start, v in self.windows.items() if v.bad is not None), reverse=True)[:count]
