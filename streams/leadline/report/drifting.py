"""The drift reports of a version as a map: a row for each feature, a column for each window."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from leadline.records import DriftReport
from leadline.report.collect import Question

MOST_ROWS = 40
"""Those that drift in most windows are shown."""
_NAME = 1000


def heat_map(
    reports: Mapping[Question, DriftReport], version: str, starts: Sequence[int]
) -> tuple[list[dict[str, Any]], int]:
    """The rows that are shown, and how many are not. Missing values and new categories have a row where they were found."""
    found: dict[tuple[str, str], dict[int, DriftReport]] = {}
    shown = set(starts)
    for question, report in reports.items():
        if question.version == version and question.start in shown:
            found.setdefault((question.feature, question.finding), {})[question.start] = report
    told = {key: row for key, row in found.items() if key[1] == "distribution" or _drifted(row)}
    order = sorted(told, key=lambda key: (-_drifted(told[key]), key))
    return [_row(key, told[key], starts) for key in order[:MOST_ROWS]], max(0, len(order) - MOST_ROWS)


def _drifted(row: Mapping[int, DriftReport]) -> int:
    return sum(report.drifted for report in row.values())


def _row(key: tuple[str, str], row: Mapping[int, DriftReport], starts: Sequence[int]) -> dict[str, Any]:
    reports = [row.get(start) for start in starts]
    effects = [report.effect for report in reports if report is not None and report.drifted and report.effect]
    return {
        "feature": key[0][:_NAME],
        "finding": key[1][:_NAME],
        "windows": sum(report is not None for report in reports),
        "drifted_windows": _drifted(row),
        "effect": effects[-1][:_NAME] if effects else "",
        "statistic": [None if report is None else _finite(report.statistic) for report in reports],
        "of_threshold": [None if report is None else _ratio(report) for report in reports],
        "drifted": [None if report is None else report.drifted for report in reports],
    }


def _ratio(report: DriftReport) -> float | None:
    """The distance as a multiple of what it has to pass; None where that is nothing."""
    known = math.isfinite(report.threshold) and report.threshold > 0
    return _finite(report.statistic / report.threshold) if known else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
