"""What goes wrong with models on disk."""

from leadline.errors import LeadlineError


class RegistryError(LeadlineError):
    """A model file is missing, changed or not allowed; the message says which, where, and what to do."""


class NotHereError(RegistryError):
    """The version is not on this disk."""
