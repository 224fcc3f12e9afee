"""``leadline up``: everything on this machine, for development and for trying it."""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.common import err, keep_private, reach, say, wait_for
from leadline.settings import Settings, load_model_settings, load_settings

if TYPE_CHECKING:
    from leadline.embedded.workers import Workers

SHADOW_DEATHS = 30
"""Each version that ends its process is stopped after some ends; the champion works on whatever becomes of them."""
TRAINER = (sys.executable, "-P", "-m", "leadline", "trainer")


def up(
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the embedded Kafka; 0: a free one.")] = 9092,
    data: Annotated[Path, typer.Option(help="Where topics and state stay between runs.")] = Path(".leadline"),
) -> None:
    """Start Kafka (and Redis where a model looks features up), make the topics, and run workers, a shadow and a trainer until Ctrl-C.

    KAFKA_BOOTSTRAP and REDIS_URL, where set, are used instead of embedded servers.
    """
    from leadline.embedded import progress_bar, servers
    from leadline.embedded.workers import Workers
    from leadline.topology import STEPS

    settings = load_settings()
    keep_private()
    with ExitStack() as stack:
        with progress_bar(err) as progress:
            reached = stack.enter_context(
                servers(settings, redis=wants_redis(settings), folder=data, port=port, progress=progress)
            )
            wait_for(reach(reached.bootstrap))
            make_topics(settings, reached.bootstrap)
        environment = {
            "KAFKA_BOOTSTRAP": reached.bootstrap,
            **({"REDIS_URL": reached.redis_url} if reached.redis_url else {}),
        }
        names = [step.name for step in STEPS if not step.alone]
        running = stack.enter_context(Workers(workers, names, environment, data / "workers", data / "logs", say))
        shadow = stack.enter_context(
            Workers(
                1,
                [step.name for step in STEPS if step.alone],
                environment | {"LEADLINE_HEALTH": "none"},
                data / "shadows",
                data / "logs",
                say,
                patience=SHADOW_DEATHS,
                name="shadow",
                vital=False,
            )
        )
        training = stack.enter_context(
            Workers(
                1,
                [],
                environment | {"LEADLINE_HEALTH": "none"},
                data / "trainers",
                data / "logs",
                say,
                TRAINER,
                name="trainer",
            )
        )
        say(f"Kafka is at {reached.bootstrap}; logs are in {data / 'logs'}; Ctrl-C stops everything")
        tend([running, shadow, training])


def wants_redis(settings: Settings) -> bool:
    """Whether any model looks features up."""
    return any(load_model_settings(path).lookups for path in sorted(settings.models.glob("*/model.toml")))


def make_topics(settings: Settings, bootstrap: str, retention_ms: int | None = None) -> None:
    """Create what is missing; None keeps records for ever."""
    from leadline.kafka.admin import apply_topics
    from leadline.topology import STEPS

    steps = [step.name for step in STEPS if step.stateful]
    asyncio.run(
        apply_topics(bootstrap, settings.prefix, settings.partitions, settings.replication, retention_ms, steps)
    )


def tend(groups: Sequence["Workers"]) -> None:
    """Start again what dies, until SIGTERM or Ctrl-C."""
    ending: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: ending.append(got))
    while not ending:
        for each in groups:
            each.tend()
        time.sleep(0.2)
