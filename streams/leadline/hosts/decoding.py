"""What every lane does with a run: decode it before the processor, and make dead letters of what cannot be used."""

from bisect import bisect_left
from dataclasses import replace

import structlog

from leadline.core.processor import Batch, Reject
from leadline.settings import Settings
from leadline.topology import Step
from leadline.wire.codec import Wire, undecoded
from leadline.wire.glances import Glances
from leadline.wire.run import DeadLetter, Headers, Run

log = structlog.get_logger("leadline.letters")


def decode_run(run: Run, settings: Settings, wire: Wire, step: Step) -> tuple[Batch, list[DeadLetter]]:
    """The readable records of a run as the step wants them, and the unreadable ones as dead letters; none of a step that is raw.

    Headers may say what time it is only where the clock is the records'; elsewhere they are left out.
    """
    if settings.clock == "wall" and any(run.headers):
        run = run.without_headers()
    if step.raw:
        return undecoded(run), []
    glances = Glances([each.__name__ for each in step.glances], step.but_overall)
    batch, letters = wire.decode(run, settings.record_bytes, settings.max_ahead, glances)
    if run.unreadable:
        letters = [_named(letter, run.unreadable.get(letter.offset)) for letter in letters]
    return batch, letters


def _named(letter: DeadLetter, wrong: str | None) -> DeadLetter:
    """The letter of a batch that cannot be read says what is wrong with it."""
    return letter if wrong is None else replace(letter, reason="unreadable-batch", detail=wrong)


def refused_records(run: Run, batch: Batch, rejects: list[Reject]) -> list[DeadLetter]:
    """The records that a processor could not use, as dead letters."""
    letters = []
    for reject in rejects:
        at = bisect_left(run.offsets, int(batch.offsets[reject.index]))
        letters.append(letter_of(run, at, reject.reason, reject.detail))
    return letters


def letter_of(run: Run, at: int, reason: str, detail: str) -> DeadLetter:
    """The dead letter of one record of a run."""
    return DeadLetter(run.topic, run.partition, run.offsets[at], run.keys[at], run.values[at], reason, detail)


def log_lost(step: str, headers: Headers) -> None:
    """Say of a dead letter that not even its headers fit into the topic: what else is there to do?"""
    said = {name.rpartition(".")[2]: value.decode(errors="replace") for name, value in headers}
    log.error("a dead letter is lost: raise max.message.bytes of dead-letters", step=step, **said)
