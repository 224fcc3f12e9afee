"""The rows that the next snapshot learns: labeled predictions in the order of their labels, each request once.

The order is that of when the labels came into the log, and then by partition and offset; within a partition it is that of the log, since an
earlier time after a later one counts as the later one. A request is learned with its first label: river cannot unlearn, so what is
said later of it is counted, and not learned.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.core.columnar.columns import Ints
from leadline.learning.online import LABELED_AT
from leadline.learning.training.chain import Chain
from leadline.learning.training.content import digest_of_rows
from leadline.learning.training.errors import TrainingError
from leadline.learning.training.receipt import Online
from leadline.learning.training.rows import NO_CLASS, WHY, check_names, mapped
from leadline.learning.training.training_set import Split, Taken, TrainingSet, Versions, as_set
from leadline.settings import ModelSettings

PLACE = ("partition", "offset", "arrival_ms")
"""The columns that the log adds to labeled predictions."""
_ORDER = [(LABELED_AT, "ascending"), ("partition", "ascending"), ("offset", "ascending")]
AGAIN, CORRECTED, TAKEN_BACK = "labeled again", "corrected after it was learned", "taken back after it was learned"


def taken_rows(
    root: Path,
    settings: ModelSettings,
    champion: str | None,
    rows: Iterable[pa.RecordBatch],
    cut: Mapping[str, int],
    chain: Chain,
    check: Callable[[], None],
) -> Taken:
    """The rows between what the chain has learned and the cut: the oldest are learned, the newest held out. Raises TrainingError."""
    check_names(settings)
    versions = Versions(root, settings.name, champion)
    records = _records(settings, rows, chain.start, versions, check)
    usable = versions.outcomes.usable(records["outcome"]).to_numpy(zero_copy_only=False)
    why = np.where((records["why"].to_numpy() == 0) & ~usable, NO_CLASS, records["why"].to_numpy())
    taken, counted = _each_once(records, why, chain, versions.outcomes.names)
    taken = taken[: settings.training.max_rows]
    learn = _learned(len(taken), settings)
    end = int(taken[learn])
    counts = Counter(reason for at, reason in counted if at < end)
    found = _table(records.take(taken), settings, champion, versions)
    since = int(pc.min(found["event_time"].slice(learn)).as_py())
    ends = {**chain.start, **cut, **_ends(records, end)}
    online = Online(chain.before, chain.number + 1, dict(chain.start), ends)
    sets = TrainingSet(found, digest_of_rows(found), len(found), dict(sorted(counts.items())), None)
    return Taken(sets, Split(learn, len(found) - learn, since), online)


def _learned(count: int, settings: ModelSettings) -> int:
    learn = min(int(count * (1 - settings.training.holdout)), count - 1)
    if learn < 1:
        raise TrainingError(f"{settings.name} has {count} new labels since the last snapshot: wait for more")
    return learn


def _records(
    settings: ModelSettings,
    rows: Iterable[pa.RecordBatch],
    start: Mapping[str, int],
    versions: Versions,
    check: Callable[[], None],
) -> pa.Table:
    """All records of the model from the start on, in the order of learning."""
    latest: dict[int, int] = {}
    parts = []
    for batch in rows:
        check()
        batch = _after(_with_time(batch, latest), start)
        if len(batch):
            parts.append(mapped(batch, settings, versions.signature, settings.training.seed, (*PLACE[:2], LABELED_AT)))
    if not parts:
        raise TrainingError(f"{settings.name} has no new labels since the last snapshot: wait for some")
    return pa.concat_tables(parts).sort_by(_ORDER).combine_chunks()


def _with_time(batch: pa.RecordBatch, latest: dict[int, int]) -> pa.RecordBatch:
    """With when each label came: never before the one before it in its partition."""
    partitions, times = batch["partition"].to_numpy(), batch["arrival_ms"].to_numpy().copy()
    for each in np.unique(partitions).tolist():
        mine = partitions == each
        times[mine] = np.maximum.accumulate(np.maximum(times[mine], latest.get(each, times[mine][0])))
        latest[each] = int(times[mine][-1])
    return batch.append_column(LABELED_AT, pa.array(times, pa.int64()))


def _after(batch: pa.RecordBatch, start: Mapping[str, int]) -> pa.RecordBatch:
    first = np.array([start.get(str(each), 0) for each in batch["partition"].to_pylist()], np.int64)
    return batch.filter(pa.array(batch["offset"].to_numpy() >= first))


def _each_once(records: pa.Table, why: Ints, chain: Chain, names: list[str]) -> tuple[Ints, list[tuple[int, str]]]:
    """Which records are learned, and of each other one why it is not."""
    ids, outcomes = records["request_id"].to_pylist(), records["outcome"].to_pylist()
    known = chain.outcomes(records["request_id"].combine_chunks())
    taken, counted = [], []
    for at, (request, outcome, reason) in enumerate(zip(ids, outcomes, why.tolist(), strict=True)):
        if request in known:
            counted.append(
                (at, _later(known[request], names[int(outcome)] if names and outcome in (0, 1) else outcome))
            )
        elif outcome is None:
            continue
        elif reason:
            counted.append((at, WHY[reason]))
        else:
            known[request] = names[int(outcome)] if names else outcome
            taken.append(at)
    return np.array(taken, np.int64), counted


def _later(learned: object, outcome: object) -> str:
    if outcome is None:
        return TAKEN_BACK
    return AGAIN if learned == outcome else CORRECTED


def _ends(records: pa.Table, end: int) -> dict[str, int]:
    """Of each partition the first offset that is not learned."""
    later = records.slice(end).group_by("partition").aggregate([("offset", "min")])
    return {str(each["partition"]): each["offset_min"] for each in later.to_pylist()}


def _table(taken: pa.Table, settings: ModelSettings, champion: str | None, versions: Versions) -> pa.Table:
    return as_set(taken, settings, champion, versions.outcomes).append_column(LABELED_AT, taken[LABELED_AT])
