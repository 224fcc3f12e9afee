"""Findings, told to a person or as JSON."""

from rich.markup import escape

from leadline.cli.checkup.findings import Finding, Level
from leadline.cli.common import out, put_json
from leadline.foreign_text import shown
from leadline.records import iso

_MARKS = {Level.FINE: "[green]✓[/]", Level.NOTE: "[yellow]-[/]", Level.WRONG: "[red]✗[/]"}
_CHARS = 1000


def tell(finding: Finding) -> None:
    """A finding in words, and what to do."""
    since = "" if finding.since_ms is None else f" (since {iso(finding.since_ms // 1000 * 1000)})"
    mend = f"\n    {escape(shown(finding.mend, _CHARS))}" if finding.mend else ""
    said = escape(shown(f"{finding.what}: {finding.found}", _CHARS))
    out.print(f"{_MARKS[finding.level]} {said}{since}{mend}", highlight=False, soft_wrap=True)


def tell_json(finding: Finding) -> None:
    """A finding as a line of JSON."""
    since = None if finding.since_ms is None else iso(finding.since_ms)
    told = {
        "what": finding.what,
        "level": finding.level.value,
        "found": finding.found,
        "since": since,
        "mend": finding.mend,
    }
    put_json(told)
