"""The numbers of a window that are there before its outcomes: the estimate and the nowcast beside what is realised."""

from typing import Any

from leadline.core.models import Models
from leadline.core.performance.estimation import estimated, nowcast
from leadline.core.performance.expectation import Expectation
from leadline.core.windows.aggregates.by_score import SCORE_BINS
from leadline.core.windows.counts import WindowCounts
from leadline.records import Metric


class Expectations:
    """What each version's outcomes are expected to be by score; a version never changes."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._known: dict[tuple[str, str], Expectation] = {}

    def of(self, model: str, version: str) -> Expectation | None:
        """None where the version is not on this worker, or its reference does not say."""
        if (model, version) not in self._known:
            described = self._models.version(model, version)
            calibration = described and described.profile and described.profile.calibration
            found = Expectation.of(calibration, SCORE_BINS) if calibration else None
            if found is None:
                return None
            self._known[model, version] = found
        return self._known[model, version]


def early(counts: WindowCounts, expectation: Expectation | None) -> dict[str, Any]:
    """Estimate and nowcast by their names in `leadline.records.WindowMetrics`, and how many are predicted to be positive."""
    said = {"predicted_positive": int(counts.scores.counts[1].sum())}
    if expectation is None:
        return said
    numbers = {"estimated": estimated(counts, expectation), "nowcast": nowcast(counts, expectation)}
    named = {f"{kind}_{name}": Metric(each.value) for kind, found in numbers.items() for name, each in found.items()}
    return said | named
