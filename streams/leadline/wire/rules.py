"""The rules that a record must keep once it can be read: for whole columns, and for one record."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.core.columnar.columns import Bools, Ints, lengths
from leadline.core.windows import counts, pair_tally
from leadline.core.windows.aggregates import limits
from leadline.core.windows.keys import STATES
from leadline.core.windows.partials import CLASSES
from leadline.records import (
    Command,
    JoinCounts,
    PairPartial,
    PredictionRequest,
    Record,
    RetrainRequest,
    Rollout,
    Training,
    WindowPartial,
    WindowProfile,
    WorkerHealth,
)
from leadline.wire.limits import REQUEST_ID_BYTES
from leadline.wire.rollout_rules import broken_rollout
from leadline.wire.sizes import long_command, long_request, long_training, too_long
from leadline.wire.times import AHEAD, TIMES, impossible, impossible_time

MAX_PARTITIONS = 2**15
"""Source partitions are below this."""
_ID_EMPTY = ("request-id-empty", "give each request an id of its own")
_ID_TOO_LONG = ("request-id-too-long", f"a request id has at most {REQUEST_ID_BYTES} bytes")
_KEY_MISMATCH = ("key-mismatch", "the record's key must be the request_id in UTF-8: it decides the partition")
_COMMAND_ID_EMPTY = ("command-id-empty", "give each command an id of its own")
_OTHER_MODEL = ("key-mismatch", "the key of a command must be its model in UTF-8: it decides the partition")
_UNKNOWN_STATE = ("unknown-state", "a state is provisional, mature or sealed, a task binary, decision or regression")
TOO_LONG = "too-long"
_WORKER_AHEAD_MS = 86_400_000
"""What a worker told counts until it is old: told in the future, it would count for ever."""


def broken(
    name: str, columns: pa.RecordBatch, keys: list[bytes | None], arrival_ms: Ints, max_ahead_ms: int | None
) -> Iterator[tuple[Bools, str, str]]:
    """For each rule: which rows break it, the reason for the dead letter, and what to do. A row may break several rules."""
    ids = columns["prediction"].field("request_id") if name == "LabeledPrediction" else columns["request_id"]
    sizes = lengths(ids)
    yield sizes == 0, *_ID_EMPTY
    yield sizes > REQUEST_ID_BYTES, *_ID_TOO_LONG
    yield _other_key(ids, keys), *_KEY_MISMATCH
    for rows, detail in too_long(name, columns):
        yield rows, TOO_LONG, detail
    for field in TIMES.get(name, []):
        yield from impossible(field, columns[field].to_numpy(), arrival_ms, max_ahead_ms)
    if name == "Prediction":
        yield ~np.isfinite(columns["score"].to_numpy()), "score-not-finite", "the score is NaN or infinite"
    if name == "Outcome":
        outcome = columns["outcome"].to_numpy(zero_copy_only=False)
        said = columns["outcome"].is_valid().to_numpy(zero_copy_only=False)
        yield (
            said & ~np.isfinite(outcome.astype(np.float64)),
            "outcome-not-finite",
            "an outcome is a finite number, or null",
        )
        named = pc.fill_null(pc.not_equal(columns["class_name"], ""), False).to_numpy(zero_copy_only=False)
        yield said & named, "outcome-twice", "outcome and class_name are both there: give one of them"


def broken_record(
    topic: str, record: Record, key: bytes | None, arrival_ms: int = 0, max_ahead_ms: int | None = None
) -> tuple[str, str] | None:
    """The first rule that a record breaks: the reason for the dead letter, and what to do. None where it keeps all rules.

    Requests have the rules of `broken`. Counts have rules that let them be summed and measured: they are not negative, not too large, and
    agree with each other.

    >>> totals = JoinCounts("m", -1, 1, 0, *[0] * 16)
    >>> broken_record("window-partials", totals, b"")
    ('counts-out-of-range', 'source_partition is -1, not from 0 to 32767')
    >>> broken_record("metrics", totals, b"") is None
    True
    """
    match topic, record:
        case _, PredictionRequest():
            return _broken_request(record, key, arrival_ms, max_ahead_ms)
        case "commands", Command():
            return _broken_command(record, key)
        case "retrain-requests" | "trainings", RetrainRequest() | Training():
            long = long_training(record)
            return None if long is None else (TOO_LONG, long)
        case "window-partials", WindowPartial():
            return _broken_partial(record)
        case "window-partials", JoinCounts():
            windows = [limits.outside("predictions of a window", each.predictions) for each in record.matured]
            return _broken_counts([_outside(record, ("revision", *CLASSES)), *windows], [])
        case "window-profiles", WindowProfile():
            return _broken_profile(record)
        case "pair-partials", PairPartial():
            return _broken_pairs(record)
        case "rollouts", Rollout():
            return broken_rollout(record, key, arrival_ms)
        case "workers", WorkerHealth() if record.told_at > arrival_ms + _WORKER_AHEAD_MS:
            return AHEAD, "told_at is more than a day ahead of the arrival: set the clock of the machine of that worker"
    return None


def _broken_request(
    request: PredictionRequest, key: bytes | None, arrival_ms: int, max_ahead_ms: int | None
) -> tuple[str, str] | None:
    said = request.request_id.encode()
    if not said:
        return _ID_EMPTY
    if len(said) > REQUEST_ID_BYTES:
        return _ID_TOO_LONG
    if said != key:
        return _KEY_MISMATCH
    long = long_request(request)
    if long is not None:
        return TOO_LONG, long
    return impossible_time("event_time", request.event_time, arrival_ms, max_ahead_ms)


def _broken_command(command: Command, key: bytes | None) -> tuple[str, str] | None:
    if not command.command_id:
        return _COMMAND_ID_EMPTY
    long = long_command(command)
    if long is not None:
        return TOO_LONG, long
    return None if command.model.encode() == key else _OTHER_MODEL


def _broken_partial(partial: WindowPartial) -> tuple[str, str] | None:
    if _is_unknown(partial):
        return _UNKNOWN_STATE
    return _broken_counts(
        [_outside(partial, ("revision",)), counts.out_of_range(partial)], [counts.disagreement(partial)]
    )


def _is_unknown(partial: WindowPartial | PairPartial) -> bool:
    return partial.state not in STATES or partial.task not in ("binary", "decision", "regression")


def _broken_pairs(partial: PairPartial) -> tuple[str, str] | None:
    if _is_unknown(partial):
        return _UNKNOWN_STATE
    both = [each for each in (partial.counts, partial.mature) if each is not None]
    share = None if 0 < partial.sample <= 1 else f"sample is {partial.sample}, not above 0 and at most 1"
    early = "a provisional window has counts at maturity" if partial.state == STATES[0] and partial.mature else None
    order = None if partial.first < partial.second else "first does not stand before second in the order of names"
    return _broken_counts(
        [_outside(partial, ("revision",)), share, *map(pair_tally.out_of_range, both)],
        [order, early, *map(pair_tally.disagreement, both)],
    )


def _broken_profile(profile: WindowProfile) -> tuple[str, str] | None:
    features = [(f"counts of {each.name}", each.counts) for each in profile.features]
    return _broken_counts(
        [_outside(profile, ("revision", "predictions")), *(limits.negative(*feature) for feature in features)],
        [limits.beyond(name, sum(values), profile.predictions) for name, values in features],
    )


def _broken_counts(outside: Iterable[str | None], disagreeing: Iterable[str | None]) -> tuple[str, str] | None:
    """The first rule that counts break: each has to be in its range, and then they have to agree."""
    for reason, problems in (("counts-out-of-range", outside), ("counts-disagree", disagreeing)):
        problem = limits.first(problems)
        if problem is not None:
            return reason, problem
    return None


def _outside(record: WindowPartial | JoinCounts | WindowProfile | PairPartial, names: Iterable[str]) -> str | None:
    """What is wrong with the source partition and the counts of these names."""
    source = limits.outside("source_partition", record.source_partition, MAX_PARTITIONS)
    return limits.first([source, *(limits.outside(name, getattr(record, name)) for name in names)])


def _other_key(ids: pa.Array, keys: list[bytes | None]) -> Bools:
    """Which rows have a key that is not their request id."""
    said = ids.view(pa.binary())
    if said.equals(pa.array(keys, pa.binary())):
        return np.zeros(len(keys), bool)
    return np.array([one != other for one, other in zip(said.to_pylist(), keys, strict=True)], bool)
