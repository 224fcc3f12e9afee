"""The one error of this room."""


class EmbeddedError(Exception):
    """An embedded server cannot be had; the message says what happened, where, and what to do."""
