"""Training of new versions: from labeled predictions below a cut to a version with a receipt, which can be trained again and compared."""

from leadline.learning.training.candidate import Made, make_candidate
from leadline.learning.training.errors import StoppedError, TrainingError
from leadline.learning.training.log import Log

__all__ = ["Log", "Made", "StoppedError", "TrainingError", "make_candidate"]
