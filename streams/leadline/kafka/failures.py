"""What went wrong in librdkafka's clients, which say so through callbacks."""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Message

__all__ = ["Failures", "KafkaException", "is_hopeless"]

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


class Failures:
    """What clients reported through callbacks, and nobody has raised yet."""

    def __init__(self) -> None:
        self._errors: list[KafkaError] = []

    def __bool__(self) -> bool:
        return bool(self._errors)

    def check(self) -> None:
        """Raise KafkaException where anything has failed."""
        if self._errors:
            raise KafkaException(self._errors[0])

    def add(self, errors: Sequence[KafkaError]) -> None:
        self._errors += errors

    def on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._errors.append(error)

    def on_error(self, error: KafkaError) -> None:
        """Keep an error that the client does not mend by trying again. What is fatal, its other methods raise.

        librdkafka reports a connection that breaks during authentication as a wrong password, with a local error as its reason.
        """
        if error.code() in _HOPELESS and "Local:" not in error.str():
            self._errors.append(error)
