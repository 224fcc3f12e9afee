"""Leadline's topics in a Faust app of your own: agents get typed records.

Faust reads what was taken back too, unless the app has ``processing_guarantee="exactly_once"``.
"""

from typing import Any

import faust
from faust.serializers.codecs import Codec

from leadline.client.reading import checked_topic
from leadline.kafka.schemas import learn
from leadline.records import Record
from leadline.settings import load_settings
from leadline.wire.single import read, value_of


class _Records(Codec):
    """The records of one topic as bytes and back."""

    def __init__(self, topic: str = "", **given: Any) -> None:
        super().__init__(topic=topic, **given)
        self._topic = topic

    def _loads(self, s: bytes) -> Record:
        learn([s])
        return read(self._topic, s)

    def _dumps(self, obj: Record) -> bytes:
        return value_of(obj)


def topic(app: faust.App, name: str, prefix: str | None = None, **options: Any) -> Any:
    """A topic of an app, by its name without prefix, whose events have the records of `leadline.records` as values.

    ``prefix``: where it is not given, ``LEADLINE_PREFIX`` of the environment. ``options``: as of ``app.topic``. A record that cannot be
    read goes the way that the app has for what it cannot decode. Raises ValueError where there is no such topic.

    >>> app = faust.App("pager", broker="kafka://localhost:9092")
    >>> topic(app, "alerts", "leadline").topics
    ('leadline.alerts',)
    """
    whole = f"{load_settings(prefix=prefix).prefix}.{checked_topic(name)}"
    return app.topic(whole, key_type=bytes, value_serializer=_Records(name), internal=False, **options)
