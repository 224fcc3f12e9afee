"""What clients raise, by name, for those who make none."""

from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    CorruptRecordException,
    GroupAuthorizationFailedError,
    InvalidRequestError,
    InvalidTopicError,
    KafkaConnectionError,
    KafkaError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnknownError,
    UnsupportedCodecError,
    UnsupportedForMessageFormatError,
    UnsupportedVersionError,
)

from leadline.kafka.fetch import RefusedError

__all__ = ["HOPELESS", "KafkaConnectionError", "KafkaError", "RefusedError", "is_lasting", "said"]

HOPELESS = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
"""Errors that trying again does not mend: somebody has to grant a right, or mend a password."""

_LASTING = (
    CorruptRecordException,
    InvalidRequestError,
    InvalidTopicError,
    PolicyViolationError,
    RefusedError,
    UnknownError,  # also what this release of the client has no name for, such as INVALID_RECORD
    UnsupportedCodecError,
    UnsupportedForMessageFormatError,
    UnsupportedVersionError,
)


def is_lasting(error: BaseException) -> bool:
    """Whether an error does not pass by itself, as far as anybody can tell: somebody has to look."""
    return isinstance(error, _LASTING)


def said(error: BaseException) -> str:
    """What an error says, for a log: ours are sentences, and those of clients are known by their names."""
    return str(error.args[0]) if isinstance(error, RefusedError) else repr(error)
