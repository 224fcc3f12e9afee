"""What nobody wants to hear of for a while: kinds of incidents of one model, of all segments or of one.

A silence ends by itself, in stage time. It changes nothing in what is found: incidents open, and say that they are silenced.
"""

from dataclasses import dataclass, field

from leadline.records import brief, iso
from leadline.settings import SettingsError, duration_ms

MOST_SILENCES = 100
"""Of a model at one time."""
LONGEST_MS = 365 * 86_400_000


@dataclass(slots=True)
class Silence:
    """From a stage time on, until another one. ``segment``: the one that an incident names alone; empty: whatever it names."""

    kind: str
    segment: str
    start: int
    until: int

    def covers(self, kind: str, segment: str) -> bool:
        return self.kind == kind and self.segment in ("", segment)


@dataclass(slots=True)
class Silences:
    """Those of one model."""

    held: list[Silence] = field(default_factory=list)

    def until(self, kind: str, segment: str, at: int) -> int | None:
        """When the last silence ends that an incident falls under at a time; None where it falls under none.

        >>> silences = Silences([Silence("performance", "", 100, 200), Silence("performance", "c=a", 100, 300)])
        >>> silences.until("performance", "*", 150), silences.until("performance", "c=a", 150)
        (200, 300)
        >>> silences.until("performance", "*", 200), silences.until("calibration", "*", 150)
        (None, None)
        """
        found = [each.until for each in self.held if each.start <= at < each.until and each.covers(kind, segment)]
        return max(found, default=None)

    def change(self, arguments: dict[str, str], kinds: list[str], at: int) -> str:
        """Begin a silence, or end it where it is for 0; says what was done. Raises SettingsError.

        Another one of the same kind and segment takes the place of the one that there is.
        """
        kind, segment, for_ms = _asked(arguments, kinds)
        others = [each for each in self.held if (each.kind, each.segment) != (kind, segment)]
        what = kind + (f" in {brief(segment)}" if segment else "")
        if not for_ms:
            if len(others) == len(self.held):
                raise SettingsError(f"{what} is not silenced")
            self.held = others
            return f"{what} is told of again"
        if len(others) >= MOST_SILENCES:
            raise SettingsError(
                f"the model has {MOST_SILENCES} silences already: end some with `leadline alerts unsilence`"
            )
        self.held = [*others, Silence(kind, segment, at, at + for_ms)]
        return f"{what} is silenced until {iso(at + for_ms)}"

    def end(self, at: int) -> bool:
        """Forget those that are over by a time; whether there were any."""
        left = [each for each in self.held if at < each.until]
        is_over = len(left) < len(self.held)
        self.held = left
        return is_over


def _asked(arguments: dict[str, str], kinds: list[str]) -> tuple[str, str, int]:
    """Kind, segment and duration of a command. Raises SettingsError."""
    kind = arguments.get("kind", "")
    if kind not in kinds:
        raise SettingsError(f"{brief(kind)} is no kind of incident: choose from {', '.join(sorted(kinds))}")
    try:
        for_ms = duration_ms(arguments.get("for", ""))
    except ValueError as error:
        raise SettingsError(f"for: {error}") from None
    if for_ms > LONGEST_MS:
        raise SettingsError("a silence is for 365d at most")
    return kind, arguments.get("segment", ""), for_ms
