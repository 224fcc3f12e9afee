"""``leadline worker``: the stages, in this process."""

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from leadline.cli.common import keep_private
from leadline.settings import SettingsError, load_settings


class StageName(StrEnum):
    """The stages of `leadline.topology.STEPS`, which takes long to import."""

    SCORING = "scoring"
    SHADOW = "shadow"
    JOIN = "join"
    PERFORMANCE = "performance"
    DRIFT = "drift"
    ALERTING = "alerting"
    RETRAINING = "retraining"
    ROLLOUT = "rollout"
    CONFIGURATION = "configuration"
    AUDIT = "audit"


def worker(
    step: Annotated[
        list[StageName] | None,
        typer.Option(
            metavar="STAGE",
            help=f"Stage to run; repeat for more ({', '.join(StageName)}). Default: all but shadow, "
            "which has a process of its own.",
        ),
    ] = None,
) -> None:
    """Run the stages until stopped (SIGTERM or Ctrl-C). Workers of the same prefix share the partitions."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before scikit-learn is imported: a batch is too small for more
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # before Arrow is: its own takes more
    from leadline.hosts.worker import worker as work
    from leadline.logs import configure_logs
    from leadline.topology import STEPS

    settings = load_settings()
    if settings.kafka_bootstrap is None:
        raise SettingsError("KAFKA_BOOTSTRAP is not set: name your broker's host:port, or start one with `leadline up`")
    configure_logs()
    keep_private()
    steps = [each for each in STEPS if (each.name in step if step else not each.alone)]
    sys.exit(work(steps, settings, settings.kafka_bootstrap))
