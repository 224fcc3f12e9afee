"""What goes wrong with trainings."""

from leadline.learning.errors import RegistryError


class TrainingError(RegistryError):
    """A training cannot be done, or ended without a model; the message says why, and what to do."""


class OtherLogError(TrainingError):
    """The log of labeled predictions is not the one that the cut is of: the topic was made anew."""


class StoppedError(TrainingError):
    """Somebody asked for the end of the training."""
