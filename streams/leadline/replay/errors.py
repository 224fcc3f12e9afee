"""What goes wrong with a replay."""


class LogError(Exception):
    """A log cannot be read; the message names the file, the row and what is wrong."""


class StallError(Exception):
    """Nothing moves any more; the message says what is left to do."""
