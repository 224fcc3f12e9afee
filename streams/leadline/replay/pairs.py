"""The logs of two versions that scored the same requests."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.core.columnar.columns import Ints
from leadline.replay.errors import LogError
from leadline.replay.logs import Log, read_logs
from leadline.settings import ModelSettings

_NAMED = 5


class PairedLogs(NamedTuple):
    """What a champion said of requests, what its challenger said of the same ones, and their outcomes."""

    champion: Log
    challenger: Log
    outcomes: Log

    @property
    def starts_ms(self) -> int:
        """When the first of the requests was asked for."""
        return int(_event_times(self.champion).min())

    @property
    def ends_ms(self) -> int:
        """The latest time in the logs."""
        return max(each.latest_ms for each in self)

    def requests(self) -> dict[str, int]:
        """The event time of each request, as its first record says it."""
        found: dict[str, int] = {}
        for name, at in zip(
            self.champion.columns["request_id"].to_pylist(), _event_times(self.champion).tolist(), strict=True
        ):
            found.setdefault(name, at)
        return found


def read_pairs(
    predictions: Path, outcomes: Path, settings: ModelSettings, champion: str, challenger: str, positive: str | None
) -> PairedLogs:
    """The records of the requests that both versions scored. Raises LogError that names the file and what is wrong."""
    logged, known = read_logs(predictions, outcomes, settings.name, settings.task, positive)
    versions = logged.columns["model_version"]
    there = sorted(pc.unique(versions).to_pylist())
    for each in (champion, challenger):
        if each not in there:
            more = ", ..." if len(there) > _NAMED else ""
            raise LogError(
                f"{predictions}: has no prediction of {each}: its versions are {', '.join(there[:_NAMED])}{more}"
            )
    first, second = (logged.only(_mask(pc.equal(versions, each))) for each in (champion, challenger))
    first, second = _of(first, second), _of(second, first)
    if not len(first):
        raise LogError(
            f"{predictions}: no request was scored by both {champion} and {challenger}: there is nothing to compare"
        )
    second = replace(second.with_columns({"role": pa.repeat("shadow", len(second))}), topic="shadow-predictions")
    return PairedLogs(first, second, _of(known, first))


def _of(log: Log, other: Log) -> Log:
    """The records of a log whose requests are in another one too."""
    return log.only(_mask(pc.is_in(log.columns["request_id"], value_set=pc.unique(other.columns["request_id"]))))


def _mask(found: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]] = found.to_numpy(zero_copy_only=False)
    return mask


def _event_times(log: Log) -> Ints:
    times: Ints = log.columns["event_time"].to_numpy(zero_copy_only=False).astype(np.int64)
    return times
