"""docs/topics.md: the topic table and the stages, as a page for people."""

from collections.abc import Iterator, Sequence

from leadline.wire.plan import DAY_MS, KEEP_MS
from leadline.wire.schemas import file_of
from leadline.wire.topics import DEAD_LETTERS, JSON_TOPICS, TOPICS, Stage, Topic

_TOP = f"""# Topics
`scripts/topics-doc` writes this page from the topic table (`streams/leadline/wire/topics.py`) and the stages
(`streams/leadline/topology.py`).

A topic is called `<prefix>.<topic>`; `leadline topics apply` makes it, and `leadline asyncapi` prints the contract for machines.
Values are in Avro single-object encoding; those that a *reader* reads are in the form that `LEADLINE_FORMAT` says
([forms](forms.md)). Keys are UTF-8; a key in brackets is a JSON array without spaces. The partition of a record is the murmur2 hash of
its key, or of what stands under "partition by". Records are kept for {KEEP_MS // DAY_MS} days (`leadline topics apply --retention`), in a
compacted topic the newest of each key. In italics: the roles of [security](security.md).
"""
_HEADINGS = ("topic", "records", "key", "partition by", "written by", "read by", "what")


def page(stages: Sequence[Stage]) -> str:
    """The page."""
    rows = [_HEADINGS, ("---",) * len(_HEADINGS), *(_cells(topic, stages) for topic in TOPICS)]
    return _TOP + "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cells(topic: Topic, stages: Sequence[Stage]) -> tuple[str, ...]:
    return (
        topic.name,
        ", ".join(f"[{name}](../schemas/{file_of(name)})" for name in topic.schemas) or "bytes as they came",
        topic.key_words,
        topic.route.words if topic.route else "key",
        ", ".join(_writers(topic, stages)),
        ", ".join(_readers(topic, stages)),
        " ".join([topic.description, *_remarks(topic)]),
    )


def _writers(topic: Topic, stages: Sequence[Stage]) -> Iterator[str]:
    if topic.sent_by is not None:
        yield f"*{topic.sent_by}*"
    if topic.name == DEAD_LETTERS:
        yield "every stage"
    yield from (stage.name for stage in stages if topic.name in stage.writes)


def _readers(topic: Topic, stages: Sequence[Stage]) -> Iterator[str]:
    yield from (stage.name for stage in stages if topic.name in (*stage.reads, *stage.tables))
    if topic.for_readers:
        yield "*reader*"


def _remarks(topic: Topic) -> Iterator[str]:
    if topic.name in JSON_TOPICS:
        yield "Plain JSON and Confluent's wire format are accepted."
    if topic.one_partition:
        yield "One partition."
    if topic.cleanup == "compact":
        yield "Compacted."
    if topic.log_append_time:
        yield "The broker stamps the records."
    if topic.internal:
        yield "Between stages only."
