"""What goes wrong with a replay."""

from leadline.errors import LeadlineError


class LogError(LeadlineError):
    """A log cannot be read; the message names the file, the row and what is wrong."""


class StallError(LeadlineError):
    """Nothing moves any more; the message says what is left to do."""


class NothingCountedError(LeadlineError):
    """No prediction of a replay met its outcome; the message says what became of the records."""
