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
    ERROR_BOUND = b"l"
    """The largest error that counts in the pairs of each version, by its number."""
    FORGET = b"f"
    """Requests by the time when they are forgotten."""
    JOIN_COUNTS = b"c"
    """Counts of records, by model."""
    PAIR = b"q"
    """Counts of pairs, by window and both versions."""
    PAIR_CHANGE = b"u"
    """Windows of pairs by the time when they become mature or sealed."""
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

    ANSWERS = b"a"
    """The answers to commands."""
    MODEL = b"m"
    """What is known of each model: time, feeds, silences."""
    SETTINGS = b"t"
    """The settings by which each model is judged."""
    VERSION = b"v"
    """What is known of each version: detectors, open incidents."""
    WINDOW = b"w"
    """Windows that wait to be judged."""


class RetrainingKeys:
    """Retraining, on one partition."""

    ANSWERS = b"a"
    """The answers to commands."""
    MODEL = b"m"
    """What is known of each model, and of the request that is under way."""


class ConfigurationKeys:
    """Configuration, on one partition."""

    ANSWERS = b"a"
    """The answers to commands."""
    LIVE = b"l"
    """What was changed of each model."""
    SETTINGS = b"t"
    """The settings by which each model's changes are checked."""


class AuditKeys:
    """The audit, which is one task."""

    HEAD = b"h"
    """The sequence and the digest of the newest entry."""


class RolloutKeys:
    """Rollout, on one partition."""

    ANSWERS = b"a"
    """The answers to commands."""
    DEADLINE = b"d"
    """Versions that wait for approval, by the time when that expires, and rollouts by when they are looked at."""
    MODEL = b"m"
    """The last rollout of each model that was written here."""
    PAIRS = b"c"
    """The pairs of the versions of rollouts that are under way."""
    PROGRESS = b"p"
    """How far each topic has come in time."""
    REQUESTER = b"q"
    """Who asked for each training."""
    SETTINGS = b"t"
    """The settings by which each model's versions are let in."""
    SIGNED = b"s"
    """The signed commands that counted, while they could be sent again."""
    UNDER_WAY = b"u"
    """The rollout of each model that is under way, and what is remembered of those before."""
    VERSION = b"v"
    """How far each version has come."""
