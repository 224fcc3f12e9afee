"""``leadline doctor``: what is wrong, since when, and what to do."""

from collections.abc import AsyncIterator, Callable

from rich.markup import escape

from leadline.cli.checkup.findings import Finding, Level
from leadline.cli.common import JsonLines, out, put_json, wait_for
from leadline.foreign_text import shown
from leadline.records import iso
from leadline.settings import Settings, load_settings

_MARKS = {Level.FINE: "[green]✓[/]", Level.NOTE: "[yellow]-[/]", Level.WRONG: "[red]✗[/]"}
_CHARS = 1000


def doctor(
    json: JsonLines = False,
) -> None:
    """Check this machine, the broker, topics, workers, stages, models, feeds and dead letters; exit code 1 where something is wrong."""
    if wait_for(_examine(load_settings(), _tell_json if json else _tell)):
        raise SystemExit(1)


async def _examine(settings: Settings, tell: Callable[[Finding], None]) -> bool:
    wrong = False
    async for finding in _findings(settings):
        wrong |= finding.level is Level.WRONG
        tell(finding)
    return wrong


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    from leadline.cli.checkup.look_at_cluster import look_at_cluster
    from leadline.cli.checkup.look_here import look_here
    from leadline.learning.model_files import ModelFiles

    async for finding in look_here(settings):
        yield finding
    async for finding in look_at_cluster(settings, ModelFiles(settings.models).names()):
        yield finding


def _tell(finding: Finding) -> None:
    since = "" if finding.since_ms is None else f" (since {iso(finding.since_ms // 1000 * 1000)})"
    mend = f"\n    {escape(shown(finding.mend, _CHARS))}" if finding.mend else ""
    said = escape(shown(f"{finding.what}: {finding.found}", _CHARS))
    out.print(f"{_MARKS[finding.level]} {said}{since}{mend}", highlight=False, soft_wrap=True)


def _tell_json(finding: Finding) -> None:
    since = None if finding.since_ms is None else iso(finding.since_ms)
    told = {
        "what": finding.what,
        "level": finding.level.value,
        "found": finding.found,
        "since": since,
        "mend": finding.mend,
    }
    put_json(told)
