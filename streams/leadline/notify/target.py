"""What every way to people can do."""

from typing import Protocol

from leadline.errors import LeadlineError
from leadline.records import Alert
from leadline.settings.notify import Target


class UndeliveredError(LeadlineError):
    """A target did not take an incident; the message says why. ``refused``: it never will, as it is."""

    def __init__(self, message: str, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class Sink(Protocol):
    """Takes one state of an incident after the other."""

    async def deliver(self, alert: Alert) -> None:
        """Hand over a state of an incident; again is no harm. Raises UndeliveredError."""
        ...

    async def tend(self) -> None:
        """Do what is due by now, if anything; called every second or so. Raises UndeliveredError."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def wants(target: Target, alert: Alert) -> bool:
    """Whether a target hears of an incident.

    >>> pager = Target(name="pager", kind="apprise", url_env="PAGER", severities=["critical"], early=False)
    >>> alert = Alert("i1", "performance", "critical", "opened", "m", "v3", "*", 0, 1, 1, {}, "")
    >>> wants(pager, alert)
    True
    """
    chosen = not target.models or alert.model in target.models
    return chosen and alert.severity in target.severities and (target.early or not alert.early)
