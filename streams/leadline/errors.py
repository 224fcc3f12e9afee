"""The kind of all errors that are said to a person as they are."""


class LeadlineError(Exception):
    """An error whose message says what happened, where, and what to do."""
