"""What is wrong with what comes in, waits, and could not be used."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from leadline.cli.checkup.findings import Feed, Finding, Seen, Waiting, for_long, note, wrong
from leadline.cli.checkup.judge_workers import alive
from leadline.records import SHADOW

HOUR_MS = 3_600_000
_WAITS_MS = 60_000
_LATE_MS = 300_000
_SILENT_MS = 600_000
_MOST_NAMES = 5
_NAMES = {"prediction-requests": "requests", "outcomes": "outcomes"}


def judge_stages(seen: Seen) -> Iterator[Finding]:
    """Whether somebody works on every partition of each stage, and how far behind that is."""
    shadows = any(rollout.shares for rollout in seen.rollouts)
    for stage, waiting in seen.waiting.items():
        if stage == SHADOW and not shadows:
            yield Finding(f"stage {stage}", "no version is in shadow")
        else:
            yield _stage(seen, stage, waiting)


def _stage(seen: Seen, stage: str, waiting: Waiting) -> Finding:
    held = {
        partition
        for worker in alive(seen) for each in worker.health.stages if each.stage == stage
        for partition in each.partitions
    }  # fmt: skip
    what, since_ms = f"stage {stage}", waiting.since_ms
    waits_ms = seen.now_ms - since_ms if since_ms is not None else 0
    behind = f"{waiting.records:,} records wait" + (
        f", the oldest for {for_long(waits_ms)}" if since_ms is not None else ""
    )
    missing = sorted(seen.partitions[stage] - held)
    if missing and waits_ms > _WAITS_MS:
        nobody = "no worker runs it" if not held else f"no worker has its partitions {', '.join(map(str, missing))}"
        mend = f"start one with `leadline worker --step {stage}`"
        return wrong(what, f"{nobody}, and {behind}", mend, since_ms)
    if waits_ms > _LATE_MS:
        mend = "where it is neither stuck nor restarting, it is slower than what comes: add workers, up to one for each partition"
        return wrong(what, behind, mend, since_ms)
    if missing and alive(seen):
        return note(
            what,
            f"no worker has its partitions {', '.join(map(str, missing))}; {behind}",
            "wait for the group to share them out, or start a worker with this stage",
        )
    return Finding(what, behind)


def judge_letters(seen: Seen) -> Iterator[Finding]:
    """Records of the last hour that could not be used."""
    if not seen.letters:
        yield Finding("dead letters", "none in the last hour")
    for each in seen.letters:
        found = (
            f"{each.number:,} in the last hour of {each.topic}, the newest {for_long(seen.now_ms - each.last_ms)} ago"
        )
        mend = "`leadline dead-letters list` shows them; mend their sender"
        yield wrong(f"dead letters {each.reason}", found, mend, each.first_ms)


def judge_names(seen: Seen) -> Iterator[Finding]:
    """Features in requests that the version which answers does not have: it goes without them."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for worker in alive(seen):
        for model, names in worker.health.unknown_features.items():
            found[model].update(names)
    for model, names in sorted(found.items()):
        most = ", ".join(f"{name} ({times:,} times)" for name, times in names.most_common(_MOST_NAMES))
        more = f", and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        mend = "they are ignored: name them as the model does, or leave them out"
        yield note(f"features of {model}", f"requests name what the model does not have: {most}{more}", mend)


def judge_feeds(seen: Seen) -> Iterator[Finding]:
    """Whether requests and outcomes still come, as often as they used to; and under the partitioner that they need."""
    for topic, feed in seen.feeds.items():
        yield _feed(seen, _NAMES.get(topic, topic), feed)
        mend = (
            "set the producer's partitioner to murmur2_random (librdkafka's default is another)" if feed.strays else ""
        )
        found = f"{feed.strays} of the newest {feed.seen} keys on another partition than murmur2's"
        yield wrong(f"keys of {topic}", found, mend) if mend else Finding(f"keys of {topic}", found)


def _feed(seen: Seen, name: str, feed: Feed) -> Finding:
    if feed.newest_ms is None:
        return note(name, "none has come yet", f"send some with `leadline send FILE --to {name}`, or from your service")
    silent_ms = seen.now_ms - feed.newest_ms
    found = f"the newest came {for_long(silent_ms)} ago"
    if silent_ms > max(_SILENT_MS, 2 * feed.silence_ms):
        usual = f"{found}; in the day before it none was later than {for_long(feed.silence_ms)} after another"
        return wrong(
            name, usual, "look at the service that sends them, and at its connection to the broker", feed.newest_ms
        )
    return Finding(name, found)


def judge_forms(seen: Seen) -> Iterator[Finding]:
    """Whether topics are in the form that the settings say here, and can be read with them."""
    for form in sorted({*seen.forms.values()} - {seen.form}):
        topics = ", ".join(sorted(topic for topic, each in seen.forms.items() if each == form))
        found = f"the newest records of {topics} are in {form}, LEADLINE_FORMAT is {seen.form} here"
        if form == "confluent" and not seen.has_registry:
            mend = "set LEADLINE_SCHEMA_REGISTRY to the one of the workers: nothing here reads these records without it"
            yield wrong("form of topics", found, mend)
        else:
            mend = "give all processes of an installation the same; where you have just changed it, this passes"
            yield note("form of topics", found, mend)


def judge_clock(seen: Seen) -> Iterator[Finding]:
    """Whether this machine's clock goes with the broker's, where records say so: what is told here of ages depends on it."""
    newest = max((each.at_ms for each in seen.workers), default=0)
    if newest > seen.now_ms + 10_000:
        found = f"it is at least {for_long(newest - seen.now_ms)} behind the broker's"
        yield wrong("clock of this machine", found, "set the clocks of both by NTP")
