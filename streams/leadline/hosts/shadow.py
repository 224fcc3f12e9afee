"""The lane of the shadow stage: as that of scoring, but nobody waits for it, and nothing of it may harm anybody.

While no version scores in shadow it fetches nothing. What it comes to late it passes over, whole runs by their time alone: which requests
are compared depends on nothing that came of them. A version that takes too much is stopped (`hosts.guard`).
"""

import time

import structlog

from leadline.core.processor import Effects
from leadline.core.scoring.routing import Deployments
from leadline.hosts.contract import Installation
from leadline.hosts.footing import Standing
from leadline.hosts.guard import Guard
from leadline.hosts.scoring import Member, ScoringLane
from leadline.lookups.features import FeatureView
from leadline.topology import Step
from leadline.wire.run import DeadLetter, Run

log = structlog.get_logger("leadline.shadow")

LATE_MS = 300_000
"""A run whose newest request came so long ago is passed over."""
REST_S = 5.0
"""So often a lane that rests looks where the end of the log is."""
_LATE = "lag"


class ShadowLane(ScoringLane):
    """Hosts the shadow stage. ``alone``: its process hosts nothing else, so that it may end when a version takes too much."""

    def __init__(self, step: Step, installation: Installation, view: FeatureView, alone: bool = False) -> None:
        super().__init__(step, installation, view)
        self._alone = alone
        self._guard: Guard | None = None

    @property
    def guard(self) -> Guard:
        """What watches the versions; it is there when the tables are read."""
        if self._guard is None:
            settings, deployments = self.installation.settings, self.deployments
            self._guard = Guard(
                settings.state, self.installation.health, lambda model: _rollout_id(deployments, model),
                settings.shadow_memory, self._alone,
            )  # fmt: skip
            self._guard.end_what_hangs()
        return self._guard

    @property
    def deployments(self) -> Deployments:
        """What the table of rollouts says."""
        return Deployments(self.installation.tables.of(self.step)["rollouts"])

    def _work(self) -> None:
        try:
            super()._work()
        except MemoryError:
            self.guard.ran_out()
            raise

    def _member(self, standing: Standing) -> Member:
        return ShadowMember(self, standing)


def _rollout_id(deployments: Deployments, model: str) -> str:
    newest = deployments.newest(model)
    return newest.rollout_id if newest is not None else ""


class ShadowMember(Member):
    """One membership in the group."""

    def __init__(self, lane: ShadowLane, standing: Standing) -> None:
        self._deployments = lane.deployments
        self._is_wall = lane.installation.settings.clock == "wall"
        self._looked_at = 0.0
        self._rests = False
        self._passed_over = 0
        super().__init__(lane, standing, lane.guard)

    def round(self) -> None:
        """As `Member.round`; where nothing is to be scored it only follows the end of the log."""
        if self._is_assigned and self._is_wall:
            self._rest_or_wake()
        super().round()

    def on_assigned(self, partitions: list[int]) -> None:
        super().on_assigned(partitions)
        self._rests, self._looked_at = False, 0.0

    def _rest_or_wake(self) -> None:
        wanted = self._deployments.has_shadows(_now_ms() - LATE_MS)
        if wanted and self._rests:
            self._rests = False
            self._consumer.wake(self._processed)
        elif not wanted and time.monotonic() - self._looked_at > REST_S:
            self._rests, self._looked_at = True, time.monotonic()
            self._processed.update(self._consumer.rest())

    def _decide(self, run: Run) -> tuple[Effects, list[DeadLetter]]:
        """What the versions say; nothing where no version has to, and where it is too late for it."""
        if not self._is_wanted(run):
            return Effects(), []
        return super()._decide(run)[0], []

    def _is_wanted(self, run: Run) -> bool:
        if not self._is_wall:
            return self._deployments.has_shadows(-(2**63))
        if not self._deployments.has_shadows(min(run.timestamps)):
            return False
        is_late = max(run.timestamps) < _now_ms() - LATE_MS
        if is_late:
            self._pass_over(len(run))
        elif self._passed_over:
            log.warning("the shadow stage keeps up again", passed_over=self._passed_over)
            self._passed_over = 0
            self._installation.health.freed(self._step.name, _LATE)
        return not is_late

    def _pass_over(self, requests: int) -> None:
        if not self._passed_over:
            log.warning("the shadow stage does not keep up: it passes requests over", later_than_s=LATE_MS // 1000)
        self._passed_over += requests
        message = (
            f"it came to {self._passed_over:,} requests later than {LATE_MS // 60_000} minutes and passed them over: "
            "a version in shadow is too slow, or too few processes run this stage"
        )
        self._installation.health.stuck(self._step.name, _LATE, message)


def _now_ms() -> int:
    return int(time.time() * 1000)
