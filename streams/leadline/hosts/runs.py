"""What every lane does with a run, before and after its processor."""

from leadline.core.processor import Batch, Reject
from leadline.settings import Settings
from leadline.wire.codec import Wire
from leadline.wire.run import DeadLetter, Run


def read(run: Run, settings: Settings, wire: Wire) -> tuple[Batch, list[DeadLetter]]:
    """The readable records of a run, and those that are not; where the clock is not the records', nobody's headers say what time it is."""
    if settings.clock == "wall" and any(run.headers):
        run = run.without_headers()
    return wire.decode(run, settings.record_bytes)


def refused(run: Run, batch: Batch, rejects: list[Reject]) -> list[DeadLetter]:
    """The records that a processor could not use."""
    letters = []
    for reject in rejects:
        at = run.offsets.index(int(batch.offsets[reject.index]))
        place = run.topic, run.partition, run.offsets[at], run.keys[at], run.values[at]
        letters.append(DeadLetter(*place, reject.reason, reject.detail))
    return letters
