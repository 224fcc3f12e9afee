"""The training set of a cut: what was known then, from the log and from before it, and its parts by time."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadline.core.models import Signature, Version
from leadline.learning.errors import RegistryError
from leadline.learning.model_files import ModelFiles
from leadline.learning.training.base import Base, base_rows, read_base
from leadline.learning.training.content import digest_of_rows
from leadline.learning.training.errors import TrainingError
from leadline.learning.training.newest import Kept, Spill
from leadline.learning.training.outcomes import Outcomes, known_by_base
from leadline.learning.training.receipt import Online
from leadline.learning.training.rows import ABOUT, check_names, mapped, schema, with_sample
from leadline.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """``table``: by event time and request id, the oldest first. ``sampled_from``: how many rows there were to choose from.

    ``left_out``: how many requests with an outcome could not be used, by the reason; and how many records could not be read.
    """

    table: pa.Table
    digest: str
    sampled_from: int
    left_out: dict[str, int]
    base: Base | None

    def less(self, unread: Mapping[str, int]) -> "TrainingSet":
        """The same, where so many records of the log could not be read, by the reason."""
        return replace(self, left_out={**self.left_out, **unread})

    @property
    def said(self) -> str:
        """In words."""
        rows, whole = len(self.table), self.sampled_from
        sample = f", a sample of {whole:,} (max_rows)" if rows < whole else ""
        left = "".join(f"; {count:,} left out: {why}" for why, count in self.left_out.items())
        return f"{rows:,} rows{sample}{left}"


@dataclass(frozen=True, slots=True)
class Split:
    """How many of the oldest rows are trained on, how many of the newest are held out, and since when; those between are left out."""

    train: int
    held_out: int
    since: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The rows and how they are split; and where they were in the log, where they are learned label by label."""

    found: TrainingSet
    parts: Split
    online: Online | None = None


def training_set(
    root: Path,
    settings: ModelSettings,
    champion: str | None,
    rows: Iterable[pa.RecordBatch],
    work: Path,
    check: Callable[[], None],
) -> TrainingSet:
    """The training set of these labeled predictions and the base. ``work``: a folder for rows that wait; ``check`` may raise meanwhile."""
    check_names(settings)
    versions, base = Versions(root, settings.name, champion), read_base(root, settings)
    outcomes = versions.outcomes
    if base is not None and not outcomes.numbers:
        outcomes = known_by_base(base[0], settings)
    kept = Kept(settings.training.max_rows, champion, outcomes)
    wanted = with_sample(schema(settings).empty_table(), 0).schema
    with closing(Spill(work, wanted)) as spill:
        for batch in rows:
            check()
            spill.add(mapped(batch, settings, versions.signature, settings.training.seed))
        if base is not None:
            spill.add(base_rows(base[0], settings, outcomes))
        for part in spill.parts():
            check()
            kept.take(part)
    table = _table(pa.concat_tables(kept.tables), settings, champion, outcomes)
    return TrainingSet(table, digest_of_rows(table), kept.usable, dict(kept.left_out), base and base[1])


def split(found: TrainingSet, settings: ModelSettings) -> Split:
    """By time: the newest share is held out, with all of its first instant; what is within ``gap`` before it is left out.

    Raises TrainingError where too little is left.
    """
    at = found.table["event_time"].to_numpy()
    if len(at) < 2:
        raise TrainingError(
            f"{settings.name} has too few rows to train on ({found.said}): wait for labels, or name a [training] base"
        )
    since = int(at[min(int(len(at) * (1 - settings.training.holdout)), len(at) - 1)])
    held_out = len(at) - int(np.searchsorted(at, since))
    train = int(np.searchsorted(at, since - settings.training.gap))
    if not train:
        raise TrainingError(
            f"{settings.name}: all rows ({found.said}) are held out, or within [training] gap of those: make holdout or gap smaller"
        )
    return Split(train, held_out, since)


def _table(found: pa.Table, settings: ModelSettings, champion: str | None, outcomes: Outcomes) -> pa.Table:
    in_time = found.sort_by([("event_time", "ascending"), ("request_id", "ascending")]).combine_chunks()
    return as_set(in_time, settings, champion, outcomes)


def as_set(found: pa.Table, settings: ModelSettings, champion: str | None, outcomes: Outcomes) -> pa.Table:
    """Rows that were chosen, with the columns of training sets, in the order in which they are."""
    by_champion = pc.fill_null(pc.equal(found["model_version"], pa.scalar(champion, pa.string())), False)
    about = {name: found[name] for name in ABOUT if name in found.column_names}
    about["outcome"] = outcomes.classes(found["outcome"])
    about["champion_score"] = pc.if_else(by_champion, found["score"], pa.scalar(None, pa.float64()))
    features = {name: found[f"f:{name}"] for name in (*settings.numeric, *settings.categorical)}
    return pa.table({name: about[name] for name in ABOUT} | features)


class Versions:
    """What the versions of a model say: by which signatures they score, and which classes they have."""

    def __init__(self, root: Path, model: str, champion: str | None) -> None:
        self._files, self._model = ModelFiles(root), model
        described = [found for found in map(self._describe, self._files.versions(model)) if found is not None]
        first = sorted(described, key=lambda each: each.version != champion)
        self._known = {each.signature.id: each.signature for each in described}
        self.outcomes = Outcomes.of_profile(first[0].profile) if first else Outcomes()

    def signature(self, signature_id: str) -> Signature | None:
        return self._known.get(signature_id)

    def _describe(self, version: str) -> Version | None:
        try:
            return self._files.describe(self._model, version)
        except RegistryError:  # a broken one is said where it is used
            return None
