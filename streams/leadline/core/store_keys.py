"""First bytes of the keys in the stores of the stages: one class for each stage's store, in which each byte stands once."""


class JoinKeys:
    """The join, on one partition."""

    ASSUME = b"a"
    """Requests by the time when a prediction without an outcome counts as a no."""
    BEHIND = b"h"
    """The models of which it is told how far they are while windows are due that have not turned."""
    CLASSES = b"k"
    """The outcomes that are classes of a cohort's model, by its number."""
    COHORT = b"g"
    """The name of each cohort, by its number."""
    DEADLINE = b"d"
    """Requests by the time when a prediction expires."""
    FORGET = b"f"
    """Requests by the time when they are forgotten."""
    JOIN_COUNTS = b"c"
    """Counts of records, by model."""
    PROGRESS = b"m"
    REQUEST = b"r"
    """The state of each request."""
    SCORE_EDGES = b"b"
    """The edges between which the scores of each version are counted, by its number."""
    SETTINGS = b"t"
    """The settings by which each model is counted."""
    WINDOW = b"w"
    """Counts, by window key."""
    WINDOW_CHANGE = b"s"
    """Windows by the time when they become mature or sealed."""
    WINDOW_END = b"e"
    """Windows of a version by the time when they end, or their live profile is forgotten."""
    WINDOW_PROFILE = b"p"
    """The live profile of each window of a version."""


class PerformanceKeys:
    """Performance, on one partition."""

    JOIN_COUNTS = b"c"
    PARTIAL = b"p"
    SERIES = b"s"
    """The mature windows of a version and segment that are learned from."""
    TRACE = b"t"
    """The numbers of each window at its ages."""
    WINDOW = b"w"


class DriftKeys:
    """Drift, on one partition."""

    WINDOW = b"w"


class AlertingKeys:
    """Alerting, on one partition."""

    ANSWER = b"a"
    """The answer to each command, by its model and id."""
    ANSWERED = b"c"
    """The number of the next command."""
    MODEL = b"m"
    """What is known of each model: time, feeds, silences."""
    ORDER = b"o"
    """The commands that were answered, by their number."""
    SETTINGS = b"t"
    """The settings by which each model is judged."""
    VERSION = b"v"
    """What is known of each version: detectors, open incidents."""
    WINDOW = b"w"
    """Windows that wait to be judged."""


class RetrainingKeys:
    """Retraining, on one partition."""

    REQUEST = b"r"


class ConfigurationKeys:
    """Configuration, on one partition."""

    ANSWER = b"a"
    """The answer to each command, by its model and id."""
    ANSWERED = b"m"
    """The number of the next command."""
    LIVE = b"l"
    """What was changed of each model."""
    ORDER = b"o"
    """The commands that were answered, by their number."""
    SETTINGS = b"t"
    """The settings by which each model's changes are checked."""
