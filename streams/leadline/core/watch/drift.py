"""Whether a live window is distributed as the reference: size of the difference and its significance, both needed.

For each feature, and the score, of a closed window: the population stability index of its bins (PSI, smoothed), and the chi-square
test of two samples. Without drift, PSI is about ``chi2(cells - 1) * (1/n + 1/m)`` for n live and m reference values (Yurdakul and
Naranjo 2020, Statistical properties of the population stability index), so a fixed limit is passed by chance in a small window: the
limit rises to that law's quantile at ``p_value``.

Bonferroni: the p values are multiplied by the number of features, so that ``p_value`` of the settings bounds the chance that a window
without drift has any feature called drifted.
"""

import json
from typing import NamedTuple

import numpy as np
from scipy.special import bdtr, bdtrc, chdtrc, chdtri

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.models import Models
from leadline.core.processor import Batch, Effects, EventDriven, Output, Store
from leadline.core.reference import FeatureProfile
from leadline.core.store_keys import DriftKeys
from leadline.core.windows.latest import keep
from leadline.records import DriftReport, WindowProfile, identity
from leadline.settings import DriftLimits

METHOD = "psi+chi2"
MIN_EXPECTED = 2.0
"""Cells that expect fewer live or reference values than this are counted together: too few for the chi-square law."""


class Comparison(NamedTuple):
    """PSI with its limit, and the chi-square p value, both of ``tests`` features together."""

    psi: float
    limit: float
    p_value: float
    drifted: bool


def compare(live: Ints, reference: Ints, limits: DriftLimits, tests: int = 1) -> Comparison:
    """Compare two counts of the same bins; ``tests`` is how many features are looked at together.

    Where either is empty, or all is in one cell, there is no evidence: PSI 0, p 1.

    >>> even = np.array([100, 100, 100, 100, 100])
    >>> compare(even, 10 * even, DriftLimits()).drifted
    False
    >>> compare(np.array([20, 60, 100, 140, 180]), 10 * even, DriftLimits()).drifted
    True
    """
    n, m = int(live.sum()), int(reference.sum())
    cells = pool(np.stack([live, reference])) if n and m else np.zeros((2, 0), np.int64)
    freedom = cells.shape[1] - 1
    if freedom < 1:
        return Comparison(0.0, limits.psi, 1.0, False)
    psi, p = _psi(cells), min(1.0, tests * p_value(cells))
    limit = max(limits.psi, float(chdtri(freedom, limits.p_value / tests)) * (1 / n + 1 / m))
    return Comparison(psi, limit, p, psi > limit and p < limits.p_value)


def pool(cells: Ints) -> Ints:
    """Join the columns in which the smaller sample (row) expects too few into one, the last; empty columns vanish.

    >>> pool(np.array([[9, 1, 0, 0, 10], [80, 3, 3, 0, 90]])).tolist()
    [[9, 10, 1], [80, 90, 6]]
    """
    small = _expected(cells) < MIN_EXPECTED
    pooled = np.column_stack([cells[:, ~small], cells[:, small].sum(axis=1)])
    return pooled[:, pooled.any(axis=0)]


def p_value(cells: Ints) -> float:
    """Chance that two samples (rows) of one distribution differ as much as these, or more; columns as `pool` left them.

    The chi-square law holds for columns that expect enough. A last one that expects too few joins the smallest of the others, and is
    tested by itself too, by the exact binomial law of its counts; the answer is twice the lesser p.
    """
    if _expected(cells)[-1] >= MIN_EXPECTED:
        return _chi_square(cells)
    smallest = int(np.argmin(cells[:, :-1].sum(axis=0)))
    others = cells[:, :-1].copy()
    others[:, smallest] += cells[:, -1]
    return min(1.0, 2 * min(_chi_square(others), _binomial(cells)))


def _expected(cells: Ints) -> Floats:
    expected: Floats = cells.sum(axis=0) * (cells.sum(axis=1).min() / cells.sum())
    return expected


def _psi(cells: Ints) -> float:
    """Half a count is added to each cell, so that an empty one is not infinite."""
    p, q = (cells + 0.5) / (cells.sum(axis=1, keepdims=True) + cells.shape[1] / 2)
    return float(((p - q) * np.log(p / q)).sum())


def _chi_square(cells: Ints) -> float:
    n, m = cells.sum(axis=1)
    difference = cells[0] * np.sqrt(m / n) - cells[1] * np.sqrt(n / m)
    freedom = cells.shape[1] - 1
    return float(chdtrc(freedom, (difference**2 / cells.sum(axis=0)).sum())) if freedom else 1.0


def _binomial(cells: Ints) -> float:
    """Both tails of the last column's live count, given its total."""
    live, total = int(cells[0, -1]), int(cells[:, -1].sum())
    share = float(cells[0].sum() / cells.sum())
    more = float(bdtrc(live - 1, total, share)) if live else 1.0
    return min(1.0, 2 * min(more, float(bdtr(live, total, share))))


class _Partial(NamedTuple):
    """The profile of one source partition that holds, as the store keeps it."""

    revision: int
    as_of: int
    closed: bool
    window_end: int
    counts: dict[str, list[int]]

    @classmethod
    def of(cls, record: WindowProfile) -> "_Partial":
        counts = {feature.name: feature.counts for feature in record.features}
        return cls(record.revision, record.as_of, record.closed, record.window_end, counts)


class Drift(EventDriven):
    """Sums the window profiles that are routed to this task, and compares each closed window with its reference."""

    def __init__(self, store: Store, models: Models) -> None:
        self._store = store
        self._models = models

    def on_batch(self, batch: Batch) -> Effects:
        """One report for each feature of each closed window that the run changes; the score's is the last.

        A report arrives when the newest profile that it counts was made (its ``as_of``): that depends on the profiles alone.
        """
        changed: dict[tuple[str, str, int], list[WindowProfile]] = {}
        for record in batch.records:
            if isinstance(record, WindowProfile):
                changed.setdefault((record.model, record.model_version, record.window_start), []).append(record)
        found = [report for window in sorted(changed) for report in self._window(*window, changed[window])]
        reports, arrival_ms = [report for report, _ in found], np.array([time for _, time in found], np.int64)
        return Effects([Output("drift", records=reports, arrival_ms=arrival_ms)] if reports else [])

    def _window(
        self, model: str, version: str, start: int, profiles: list[WindowProfile]
    ) -> list[tuple[DriftReport, int]]:
        key = DriftKeys.WINDOW + identity(model, version, start)
        held = _unpack(self._store.get(key))
        fresh = [keep(held, str(record.source_partition), _Partial.of(record)) for record in profiles]
        if not any(fresh):
            return []
        self._store.put(key, json.dumps(held).encode())
        known = self._models.version(model, version)
        if known is None or known.profile is None or not all(partial.closed for partial in held.values()):
            return []
        summary = _Summary(model, version, start, list(held.values()))
        features, limits = sorted(known.profile.features, key=_is_score), known.settings.drift
        reports = [summary.report(feature, limits, len(features)) for feature in features]
        arrival_ms = max(partial.as_of for partial in held.values())
        return [(report, arrival_ms) for report in reports if report.n]


def _unpack(value: bytes | None) -> dict[str, _Partial]:
    """Partials by source partition."""
    return {source: _Partial(*row) for source, row in json.loads(value).items()} if value else {}


class _Summary(NamedTuple):
    """A window with its partials."""

    model: str
    version: str
    start: int
    partials: list[_Partial]

    def report(self, feature: FeatureProfile, limits: DriftLimits, tests: int) -> DriftReport:
        reference = np.array(feature.counts, np.int64)
        live = self._live(feature.name, len(reference))
        found = compare(live, reference, limits, tests)
        return DriftReport(
            model=self.model,
            model_version=self.version,
            window_start=self.start,
            window_end=max(part.window_end for part in self.partials),
            feature=feature.name,
            kind=feature.kind,
            method=METHOD,
            statistic=found.psi,
            threshold=found.limit,
            p_value=found.p_value,
            drifted=found.drifted,
            n=int(live.sum()),
            reference_n=int(reference.sum()),
            revision=sum(part.revision for part in self.partials),
            as_of=min(part.as_of for part in self.partials),
        )

    def _live(self, name: str, size: int) -> Ints:
        """The counts of all partitions; counts in another number of bins than the reference's are left out."""
        found = [part.counts.get(name, []) for part in self.partials]
        live: Ints = np.array([np.zeros(size), *(counts for counts in found if len(counts) == size)], np.int64).sum(
            axis=0
        )
        return live


def _is_score(feature: FeatureProfile) -> bool:
    return feature.kind == "score"
