"""Whether the windows of a version are distributed as its reference: one report for each question of each closed window.

How a window is compared with its reference is in `two_nulls`, what is asked in `questions`.
"""

import json
from typing import NamedTuple

import numpy as np

from leadline.core.columnar.columns import Ints
from leadline.core.models import Models
from leadline.core.processor import Batch, Effects, EventDriven, Output, Store
from leadline.core.reference import ReferenceProfile
from leadline.core.store_keys import DriftKeys
from leadline.core.watch.effects import effect
from leadline.core.watch.two_nulls import Verdict, VersionNulls
from leadline.core.windows.latest import keep
from leadline.records import DriftReport, WindowProfile, identity


class Partial(NamedTuple):
    """The profile of one source partition that holds, as the store keeps it."""

    revision: int
    as_of: int
    closed: bool
    window_end: int
    counts: dict[str, list[int]]

    @classmethod
    def of(cls, record: WindowProfile) -> "Partial":
        counts = {feature.name: feature.counts for feature in record.features}
        return cls(record.revision, record.as_of, record.closed, record.window_end, counts)


class Drift(EventDriven):
    """Sums the window profiles that are routed to this task, and compares each closed window with its reference."""

    def __init__(self, store: Store, models: Models) -> None:
        self._store = store
        self._models = models
        self._nulls: dict[tuple[str, str], VersionNulls] = {}

    def on_batch(self, batch: Batch) -> Effects:
        """One report for each question of each closed window that the run changes; the score's is the last.

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
        fresh = [keep(held, str(record.source_partition), Partial.of(record)) for record in profiles]
        if not any(fresh):
            return []
        self._store.put(key, json.dumps(held).encode())
        known = self._models.version(model, version)
        if known is None or known.profile is None or not all(partial.closed for partial in held.values()):
            return []
        summary = Summary(model, version, start, list(held.values()))
        limits = known.settings.drift
        nulls = self._of_version(model, version, known.profile, limits.method)
        found = nulls.judge(summary.counts(known.profile), limits)
        arrival_ms = max(partial.as_of for partial in held.values())
        return [(summary.report(verdict), arrival_ms) for verdict in found if verdict.found.live.any()]

    def _of_version(self, model: str, version: str, profile: ReferenceProfile, method: str) -> VersionNulls:
        """What the version is judged by; made when it is first needed, and when it has changed."""
        held = self._nulls.get((model, version))
        if held is None or held.made_of[0] is not profile or held.made_of[1] != method:
            held = self._nulls[model, version] = VersionNulls.of(profile, method)
        return held


def _unpack(value: bytes | None) -> dict[str, Partial]:
    """Partials by source partition."""
    return {source: Partial(*row) for source, row in json.loads(value).items()} if value else {}


class Summary(NamedTuple):
    """A window with its partials."""

    model: str
    version: str
    start: int
    partials: list[Partial]

    def report(self, verdict: Verdict) -> DriftReport:
        (question, own), found = verdict.nulls, verdict.found
        return DriftReport(
            model=self.model,
            model_version=self.version,
            window_start=self.start,
            window_end=max(part.window_end for part in self.partials),
            feature=question.feature.name,
            kind=question.feature.kind,
            method=f"{question.distance.name}+chi2",
            statistic=found.statistic,
            threshold=found.threshold,
            p_value=verdict.p_value,
            drifted=verdict.drifted,
            n=int(found.live.sum()),
            reference_n=int(question.counted.sum()),
            revision=sum(part.revision for part in self.partials),
            as_of=min(part.as_of for part in self.partials),
            finding=question.finding,
            own_windows=own.total,
            own_p_value=verdict.own_p_value,
            effect=effect(question, found.live, found.statistic),
        )

    def counts(self, profile: ReferenceProfile) -> dict[str, Ints]:
        """The counts of each feature in its reference bins."""
        return {feature.name: self._live(feature.name, len(feature.counts)) for feature in profile.features}

    def _live(self, name: str, size: int) -> Ints:
        """The counts of all partitions; counts in another number of bins than the reference's are left out."""
        found = [part.counts.get(name, []) for part in self.partials]
        live: Ints = np.array([np.zeros(size), *(counts for counts in found if len(counts) == size)], np.int64).sum(
            axis=0
        )
        return live
