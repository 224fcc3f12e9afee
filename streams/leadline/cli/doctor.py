"""``leadline doctor``: what is wrong, since when, and what to do."""

from collections.abc import AsyncIterator, Callable

from leadline.cli.checkup.findings import Finding, Level
from leadline.cli.checkup.tell import tell, tell_json
from leadline.cli.common import JsonLines, models_of, wait_for
from leadline.settings import Settings, load_settings


def doctor(
    json: JsonLines = False,
) -> None:
    """Check this machine, the schema registry, the broker, topics, workers, stages, models, feeds and dead letters.

    The exit code is 1 where something is wrong.
    """
    if wait_for(_examine(load_settings(), tell_json if json else tell)):
        raise SystemExit(1)


async def _examine(settings: Settings, say: Callable[[Finding], None]) -> bool:
    wrong = False
    async for finding in _findings(settings):
        wrong |= finding.level is Level.WRONG
        say(finding)
    return wrong


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    from leadline.cli.checkup.look_at_cluster import look_at_cluster
    from leadline.cli.checkup.look_at_registry import look_at_registry
    from leadline.cli.checkup.look_here import look_here
    from leadline.learning.model_files import ModelFiles

    async for finding in look_here(settings):
        yield finding
    for finding in await look_at_registry(settings):
        yield finding
    async for finding in look_at_cluster(settings, ModelFiles(models_of(settings)).names()):
        yield finding
