"""What goes wrong with trainings."""

from leadline.learning.errors import RegistryError


class TrainingError(RegistryError):
    """A training cannot be done, or ended without a model; the message says why, and what to do."""


class StoppedError(TrainingError):
    """Somebody asked for the end of the training."""
