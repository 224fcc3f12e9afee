"""The loop as a table: each stage, what it reads and writes, and the object that decides.

A stage is its own consumer group. Its instance on one partition number is a task: one processor, one store. The stages that need
SciPy are imported with their first task: a worker without them takes 17 MB less.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from leadline.core.join.join import Join
from leadline.core.models import HeldModels, Models
from leadline.core.processor import Processor, Store
from leadline.core.release.audit import DECISIONS, Audit
from leadline.core.scoring.routing import Deployments
from leadline.core.scoring.scoring import Scoring
from leadline.core.scoring.shadow import Shadow
from leadline.core.store_keys import AlertingKeys, ConfigurationKeys, RolloutKeys
from leadline.core.tables import Table
from leadline.core.watch.configuration import Configuration
from leadline.core.watch.live_settings import LiveModels
from leadline.core.watch.retraining.retraining import Retraining
from leadline.records import JoinCounts, Record, WindowMetrics


@dataclass(frozen=True, slots=True)
class Task:
    """What a processor is made with; ``tables`` are those that its step names, by topic.

    ``partitions``: how many there are of the topics that it reads (1 where nobody says). ``installation``: the name of its cluster and
    prefix, for which commands are signed.
    """

    partition: int
    store: Store
    models: Models
    tables: Mapping[str, Table] = field(default_factory=dict)
    partitions: int = 1
    installation: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One stage. ``stateful`` stages keep a store with a changelog; ``lookups`` stages want features from Redis with each batch.

    ``tables``: compacted topics that it needs whole, on every partition. ``gathers``: one task works on all partitions of what it reads.
    ``raw``: it gets records as they are in the log, with those that nobody can read; none of them is its dead letter.
    ``glances``: classes of records of which it wants no more than model and ``as_of``; who reads them whole makes dead letters of them.
    ``but_overall``: it reads those of them whole that are of all segments.
    ``alone``: a worker hosts it only where it is asked to: it has a process of its own.
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    processor: Callable[[Task], Processor]
    stateful: bool = True
    lookups: bool = False
    tables: tuple[str, ...] = ()
    gathers: bool = False
    raw: bool = False
    glances: tuple[type[Record], ...] = ()
    but_overall: bool = False
    alone: bool = False


def _performance(task: Task) -> Processor:
    from leadline.core.performance.performance import Performance

    return Performance(task.store, task.models, task.partitions)


def _drift(task: Task) -> Processor:
    from leadline.core.watch.drift import Drift

    return Drift(task.store, _live(task, task.models))


def _live(task: Task, models: Models) -> Models:
    """Models with their settings as they are in force."""
    return LiveModels(models, task.tables["model-settings"])


def _alerting(task: Task) -> Processor:
    from leadline.core.watch.alerting import Alerting

    models = _live(task, HeldModels(task.models, task.store, AlertingKeys.SETTINGS))
    return Alerting(task.store, models, Deployments(task.tables["rollouts"]), task.tables["workers"])


def _rollout(task: Task) -> Processor:
    from leadline.core.release.rollout import Rollouts

    models = _live(task, HeldModels(task.models, task.store, RolloutKeys.SETTINGS))
    deployments = Deployments(task.tables["rollouts"])
    return Rollouts(task.store, models, deployments, task.installation, task.tables["workers"])


STEPS = (
    Step(
        "scoring",
        reads=("prediction-requests",),
        writes=("predictions",),
        processor=lambda task: Scoring(task.models, Deployments(task.tables["rollouts"])),
        stateful=False,
        lookups=True,
        tables=("rollouts",),
    ),
    Step(
        "shadow",
        reads=("prediction-requests",),
        writes=("shadow-predictions",),
        processor=lambda task: Shadow(task.models, Deployments(task.tables["rollouts"])),
        stateful=False,
        lookups=True,
        tables=("rollouts",),
        alone=True,
    ),
    Step(
        "join",
        reads=("predictions", "shadow-predictions", "outcomes"),
        writes=("labeled-predictions", "window-partials", "pair-partials", "window-profiles"),
        processor=lambda task: Join(task.partition, task.store, task.models),
    ),
    Step(
        "performance",
        reads=("window-partials",),
        writes=("metrics",),
        processor=_performance,
    ),
    Step(
        "drift",
        reads=("window-profiles",),
        writes=("drift",),
        processor=_drift,
        tables=("model-settings",),
    ),
    Step(
        "alerting",
        reads=("metrics", "drift", "commands", "verdicts"),
        writes=("alerts", "command-answers"),
        processor=_alerting,
        tables=("rollouts", "model-settings", "workers"),
    ),
    Step(
        "retraining",
        reads=("alerts", "metrics", "commands", "trainings"),
        writes=("retrain-requests", "verdicts", "command-answers"),
        processor=lambda task: Retraining(task.store, _live(task, task.models), Deployments(task.tables["rollouts"])),
        tables=("rollouts", "model-settings"),
        glances=(WindowMetrics,),
    ),
    Step(
        "rollout",
        reads=("retrain-requests", "candidates", "verdicts", "commands", "pair-partials", "metrics"),
        writes=("rollouts", "comparisons", "verdicts", "command-answers"),
        processor=_rollout,
        tables=("rollouts", "model-settings", "workers"),
        glances=(WindowMetrics, JoinCounts),
        but_overall=True,
    ),
    Step(
        "configuration",
        reads=("commands",),
        writes=("model-settings", "command-answers"),
        processor=lambda task: Configuration(
            task.store, HeldModels(task.models, task.store, ConfigurationKeys.SETTINGS)
        ),
    ),
    Step(
        "audit",
        reads=DECISIONS,
        writes=("audit",),
        processor=lambda task: Audit(task.store),
        gathers=True,
        raw=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Process:
    """A part of the loop that is a process of its own, and no stage: what it reads, writes, and needs whole."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    tables: tuple[str, ...] = ()
    stateful: bool = False


TRAINER = Process(
    "trainer",
    reads=("retrain-requests", "commands", "trainings", "candidates", "labeled-predictions"),
    writes=("trainings", "candidates", "verdicts", "command-answers"),
    tables=("rollouts",),
)


def step(name: str) -> Step:
    """The stage of that name; raises KeyError."""
    return {each.name: each for each in STEPS}[name]
