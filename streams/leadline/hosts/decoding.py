"""What every lane does with a run: decode it before the processor, and make dead letters of what cannot be used."""

from leadline.core.processor import Batch, Reject
from leadline.settings import Settings
from leadline.wire.codec import Wire
from leadline.wire.run import DeadLetter, Run


def decode_run(run: Run, settings: Settings, wire: Wire) -> tuple[Batch, list[DeadLetter]]:
    """The readable records of a run as a batch, and the unreadable ones as dead letters.

    Headers may say what time it is only where the clock is the records'; elsewhere they are left out.
    """
    if settings.clock == "wall" and any(run.headers):
        run = run.without_headers()
    return wire.decode(run, settings.record_bytes)


def refused_records(run: Run, batch: Batch, rejects: list[Reject]) -> list[DeadLetter]:
    """The records that a processor could not use, as dead letters."""
    letters = []
    for reject in rejects:
        at = run.offsets.index(int(batch.offsets[reject.index]))
        record = run.topic, run.partition, run.offsets[at], run.keys[at], run.values[at]
        letters.append(DeadLetter(*record, reject.reason, reject.detail))
    return letters
