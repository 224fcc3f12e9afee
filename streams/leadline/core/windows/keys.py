"""Which window something belongs to, and how far that window is."""

import json
from typing import NamedTuple

from leadline.core.columnar.columns import Ints
from leadline.records import WindowMetrics, WindowPartial

STATES = ("provisional", "mature", "sealed")


class WindowKey(NamedTuple):
    """One window of one segment of one version."""

    model: str
    version: str
    segment: str
    start: int

    @classmethod
    def of(cls, record: WindowPartial | WindowMetrics) -> "WindowKey":
        """The window that a record is about."""
        return cls(record.model, record.model_version, record.segment, record.window_start)

    def pack(self) -> bytes:
        """The key as bytes; ``WindowKey(*json.loads(...))`` reads them."""
        return json.dumps(self).encode()


class VersionWindow(NamedTuple):
    """One window of one version, whatever the segment."""

    model: str
    version: str
    start: int

    def pack(self) -> bytes:
        """The key as bytes; ``VersionWindow(*json.loads(...))`` reads them."""
        return json.dumps(self).encode()


def window_start(event_ms: Ints, size_ms: Ints | int) -> Ints:
    """Start of the window of each event time; floor division, so times before 1970 are in the window that holds them.

    >>> import numpy as np
    >>> window_start(np.array([0, 3_599_999, 3_600_000, -1]), 3_600_000).tolist()
    [0, 0, 3600000, -3600000]
    """
    return event_ms // size_ms * size_ms


def window_state(mature_ms: int, sealed_ms: int | None, stage_ms: int) -> str:
    """provisional up to the time when the window is mature, mature up to the time when it is sealed (None: never), then sealed.

    A window for which both are one time goes from provisional to sealed.

    >>> window_state(150, 160, 150), window_state(150, 160, 151), window_state(150, 160, 161)
    ('provisional', 'mature', 'sealed')
    """
    if stage_ms <= mature_ms:
        return STATES[0]
    return STATES[1] if sealed_ms is None or stage_ms <= sealed_ms else STATES[2]
