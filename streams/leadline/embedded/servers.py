"""The servers that Leadline needs: the user's own where they are named, else embedded ones while they are used."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bars

from leadline.embedded.jars import Progress
from leadline.embedded.kafka import HEAP_MB, EmbeddedKafka
from leadline.embedded.redis import EmbeddedRedis
from leadline.settings import Settings


@dataclass(frozen=True, slots=True)
class Servers:
    """Where to connect: Kafka's ``host:port[,...]`` and Redis's URL, which may hold a password (None: not asked for)."""

    bootstrap: str
    redis_url: str | None


@contextmanager
def servers(
    settings: Settings,
    *,
    redis: bool,
    folder: Path | None = None,
    port: int = 0,
    progress: Progress | None = None,
    heap_mb: int = HEAP_MB,
) -> Iterator[Servers]:
    """Kafka, and Redis when asked for: those of ``KAFKA_BOOTSTRAP`` and ``REDIS_URL``, else embedded ones until the end.

    ``folder`` keeps the embedded servers' data for the next time (None: nothing stays); ``port`` is the embedded
    Kafka's (0: a free one), ``heap_mb`` its memory.
    Raises EmbeddedError when an embedded server cannot be had.
    """
    with ExitStack() as stack:
        bootstrap, redis_url = settings.kafka_bootstrap, None
        if bootstrap is None:
            kafka = EmbeddedKafka(settings, folder and folder / "kafka", port, progress, heap_mb=heap_mb)
            bootstrap = stack.enter_context(kafka).bootstrap
        if redis and settings.redis_url is not None:
            redis_url = settings.redis_url.get_secret_value()
        elif redis:
            redis_url = stack.enter_context(EmbeddedRedis(folder and folder / "redis")).url
        yield Servers(bootstrap, redis_url)


@contextmanager
def progress_bar(console: Console) -> Iterator[Progress]:
    """A progress callback that draws on a console, and goes away at the end."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=None)
        yield lambda what, done, total: bars.update(task, description=what, completed=done, total=total or None)
