"""The one error of this room."""

from leadline.errors import LeadlineError


class EmbeddedError(LeadlineError):
    """An embedded server cannot be had; the message says what happened, where, and what to do."""
