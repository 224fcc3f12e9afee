"""Checks of the user's own: ``module:function`` of importable modules."""

import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from leadline.core.columnar.columns import Floats
from leadline.core.release.lead import FAILED, NO_EVIDENCE, PASSED
from leadline.records import Check

_MOST = 100
_LONG = 1000


def plugged_in(named: str, rows: pa.Table, champion: Floats | None, challenger: Floats) -> Iterator[Check]:
    """What a function says of the rows and the scores of both versions; where it fails there is no evidence.

    It is called with the rows as a `pyarrow.Table` and the scores as numpy arrays, NaN where a version gives none; those of the champion
    are None where no version answers. It returns a `leadline.records.Check`, or a list of them.
    """
    try:
        found = _function(named)(rows, champion, challenger)
        checks = list(found) if isinstance(found, list | tuple) else [found]
        sound = [_sound(each) for each in checks[:_MOST]]
    except Exception as error:  # noqa: BLE001 - it is somebody else's
        yield _without(named, f"it ended with {type(error).__name__}: {error}")
        return
    if not checks:
        yield _without(named, "it returned no check")
    if len(checks) > _MOST:
        yield _without(named, f"it returned {len(checks)} checks, and at most {_MOST} are taken")
    yield from sound


def _function(named: str) -> Callable[..., Any]:
    module, _, function = named.partition(":")
    if not module or not function:
        raise ValueError("write module:function")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def _sound(check: Any) -> Check:
    """A check that can be written down; raises TypeError or ValueError."""
    if not isinstance(check, Check):
        raise TypeError(f"a {type(check).__name__} is no leadline.records.Check")
    if check.outcome not in (PASSED, FAILED, NO_EVIDENCE):
        raise ValueError(f"its outcome {check.outcome!r} is neither {PASSED}, {FAILED} nor {NO_EVIDENCE}")
    value, limit = _finite(check.value), _finite(check.limit)
    lost = check.value is not None and value is None and check.outcome == PASSED
    return replace(
        check,
        name=str(check.name)[:_LONG],
        segment=str(check.segment or "*")[:_LONG],
        value=value,
        limit=limit,
        outcome=NO_EVIDENCE if lost else check.outcome,
        reason=f"{check.reason}; its value is no number"[:_LONG] if lost else str(check.reason)[:_LONG],
    )


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _without(named: str, why: str) -> Check:
    return Check(named[:_LONG], "*", None, None, NO_EVIDENCE, why[:_LONG])
