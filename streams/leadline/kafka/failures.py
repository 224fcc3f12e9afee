"""What went wrong in librdkafka's clients, which say so through callbacks."""

from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message

from leadline.wire.run import Headers

__all__ = ["Failures", "KafkaException", "Sent", "is_hopeless", "is_lasting", "is_unread"]

_TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}

_HOPELESS = {
    KafkaError._AUTHENTICATION,
    KafkaError._INVALID_ARG,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
}


def is_hopeless(error: KafkaException) -> bool:
    """Whether trying again does not help: somebody has to grant a right, or mend a password."""
    return error.args[0].code() in _HOPELESS


_UNREAD = {KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._NOT_IMPLEMENTED}
_LASTING = _UNREAD | {
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_REQUEST,
    KafkaError.POLICY_VIOLATION,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.UNKNOWN,
    KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError._UNSUPPORTED_FEATURE,
}


def is_lasting(error: KafkaException) -> bool:
    """Whether an error does not pass by itself, as far as anybody can tell: somebody has to look."""
    return error.args[0].code() in _LASTING


def is_unread(error: KafkaError) -> bool:
    """Whether librdkafka says of a batch that it cannot read it; it then goes on behind it, or asks for it again."""
    return error.code() in _UNREAD


class Sent(NamedTuple):
    """A record that was handed to a producer, for a partition or for that of its key (-1)."""

    topic_name: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None


class Failures:
    """What clients reported through callbacks, and nobody has raised yet.

    ``too_large``: records that came in a batch of which the broker said so. They are no errors: somebody sends them again, or otherwise.
    """

    def __init__(self) -> None:
        self._errors: list[KafkaError] = []
        self.too_large: list[Sent] = []

    def __bool__(self) -> bool:
        return bool(self._errors)

    def check(self) -> None:
        """Raise KafkaException where anything has failed."""
        if self._errors:
            raise KafkaException(self._errors[0])

    def add(self, error: KafkaError, record: Sent) -> None:
        """A record has not arrived."""
        if error.code() in _TOO_LARGE:
            self.too_large.append(record)
        else:
            self._errors.append(error)

    def on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            record = message.topic(), message.partition(), message.key(), message.value(), message.headers()
            self.add(error, Sent(*record))

    def on_error(self, error: KafkaError) -> None:
        """Keep an error that the client does not mend by trying again. What is fatal, its other methods raise.

        librdkafka reports a connection that breaks during authentication as a wrong password, with a local error as its reason.
        """
        if error.code() in _HOPELESS and "Local:" not in error.str():
            self._errors.append(error)
