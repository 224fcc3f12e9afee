"""A candidate from a retrain request: the training set of the cut, a model trained on it, and a version with its receipt."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from leadline.core.reference import ReferenceProfile
from leadline.learning.add import add_trained
from leadline.learning.errors import RegistryError
from leadline.learning.limits import RECEIPT
from leadline.learning.model_files import ModelFiles
from leadline.learning.online import BEFORE
from leadline.learning.training.apart import Trained, code_apart, train_apart
from leadline.learning.training.chain import newest_chain
from leadline.learning.training.content import digest_of_model, digest_of_rows
from leadline.learning.training.errors import StoppedError, TrainingError
from leadline.learning.training.fit import ROWS
from leadline.learning.training.label_order import taken_rows
from leadline.learning.training.log import Log
from leadline.learning.training.receipt import Code, Data, Receipt, config_of, read_receipt, receipts
from leadline.learning.training.recipe import READY
from leadline.learning.training.store import TrainingSets, write_rows
from leadline.learning.training.surroundings import commit_of, threads_here
from leadline.learning.training.training_set import Taken, split, training_set
from leadline.records import RetrainRequest
from leadline.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Made:
    """A candidate. ``receipt``: the sha256 of its receipt.json; ``held_out``: the Parquet file of the rows that it has not seen.

    That file has the features by name, ``request_id``, ``user_id``, ``event_time``, ``outcome`` (a class as the versions have it),
    ``model_version`` (which scored the row), ``champion_score`` (null where it is not known) and ``segments`` (as predictions have them).
    """

    version: str
    receipt: str
    metrics: dict[str, float]
    held_out: Path


def make_candidate(
    root: Path,
    settings: ModelSettings,
    champion: str | None,
    request: RetrainRequest,
    rows: Iterable[pa.RecordBatch],
    log: Log,
    now_ms: int,
    tell: Callable[[str], None],
    stop: Callable[[], bool],
) -> Made:
    """Train a version for a request, and add it to the models below ``root``; the same request gives the version that it has already.

    ``rows``: the labeled predictions of the ``log``, in any order. ``tell`` hears how far it is; ``stop`` is asked at least each second
    while the model is fitted, and ends it. Raises TrainingError; then there is no version, and nothing half of one.
    """
    try:
        # a trainer from which the request was taken away may not have ended yet
        with TrainingSets(root, settings.name).alone(settings.training.timeout / 1000, partial(_check, stop)) as work:
            known = _made_already(root, settings.name, request.retrain_id)
            if known is not None:
                return known
            remove_unused(root, settings.name)
            return _Candidate(root, settings, champion, request, log, now_ms).make(rows, work, tell, stop)
    except TrainingError:
        raise
    except OSError as error:
        where = error.filename or root / settings.name
        raise TrainingError(
            f"{where}: {error.strerror or error}; make room or rights, and ask for the training again"
        ) from error
    except MemoryError as error:
        raise TrainingError(
            f"{settings.name}: the trainer has not the memory for its rows: lower [training] max_rows"
        ) from error
    except (ValueError, RegistryError, pa.ArrowException) as error:
        raise TrainingError(f"{settings.name} was not trained: {error}") from error


def _made_already(root: Path, model: str, retrain_id: str) -> Made | None:
    for version, (receipt, digest) in receipts(root, model).items():
        if receipt.retrain_id == retrain_id:
            held_out = TrainingSets(root, model).held_out(receipt.data.held_out)
            return Made(version, digest, receipt.metrics, held_out)
    return None


@dataclass(frozen=True, slots=True)
class _Candidate:
    root: Path
    settings: ModelSettings
    champion: str | None
    request: RetrainRequest
    log: Log
    now_ms: int

    def make(
        self, rows: Iterable[pa.RecordBatch], work: Path, tell: Callable[[str], None], stop: Callable[[], bool]
    ) -> Made:
        root, name, check = self.root, self.settings.name, partial(_check, stop)
        sets = TrainingSets(root, name)
        tell("collecting the rows of the cut")
        threads = threads_here()
        taken = self._taken(rows, work, threads, check, stop)
        taken = replace(taken, found=taken.found.less(self.log.unread))
        found, parts = taken.found, taken.parts
        tell(f"training set: {found.said}; {parts.train:,} to train on, {parts.held_out:,} held out")
        write_rows(work / ROWS, found.table)
        trained = train_apart(work, work / ROWS, parts.train, self.settings, threads, tell, stop)
        held_out = found.table.slice(len(found.table) - parts.held_out)
        receipt = self._receipt(taken, digest_of_rows(held_out), trained, threads)
        check()
        tell("adding the version")
        try:
            (work / ROWS).replace(sets.path(found.digest))
            write_rows(sets.held_out(receipt.data.held_out), held_out)
            return self._add(trained, held_out, receipt)
        finally:
            remove_unused(root, name)

    def _taken(
        self,
        rows: Iterable[pa.RecordBatch],
        work: Path,
        threads: int,
        check: Callable[[], None],
        stop: Callable[[], bool],
    ) -> Taken:
        """The rows to learn; where that goes on from a snapshot, it is put into the folder of the work."""
        root, settings = self.root, self.settings
        if not settings.training.online:
            found = training_set(root, settings, self.champion, rows, work, check)
            return Taken(found, split(found, settings))
        code, river = code_apart(work, settings, threads, stop)
        chain = newest_chain(root, settings, self.log, code, river)
        before = chain.model(root, settings.name)
        if before is not None:
            (work / BEFORE).write_bytes(before)
        return taken_rows(root, settings, self.champion, rows, self.log.end, chain, check)

    def _add(self, trained: Trained, held_out: pa.Table, receipt: Receipt) -> Made:
        settings = ModelFiles(self.root).settings(self.settings.name) or self.settings
        made: list[Receipt] = []

        def beside(profile: ReferenceProfile) -> dict[str, bytes]:
            made.append(replace(receipt, metrics={**profile.metrics, **receipt.metrics}))
            return {RECEIPT: made[0].to_bytes()}

        added = add_trained(self.root, settings, trained.model, held_out, "outcome", "event_time", beside)
        path = TrainingSets(self.root, settings.name).held_out(receipt.data.held_out)
        return Made(added.version.version, made[0].digest, made[0].metrics, path)

    def _receipt(self, taken: Taken, held_out: str, trained: Trained, threads: int) -> Receipt:
        found, parts = taken.found, taken.parts
        data = Data(
            digest=found.digest,
            rows=len(found.table),
            sampled_from=found.sampled_from,
            left_out=found.left_out,
            train_rows=parts.train,
            held_out_rows=parts.held_out,
            held_out_since=parts.since,
            held_out=held_out,
            base=found.base,
        )
        recipe = self.settings.training.recipe
        commit, dirty = commit_of(Path(trained.folder)) if recipe else ("", False)
        return Receipt(
            model=self.settings.name,
            retrain_id=self.request.retrain_id,
            parent=self.champion or "",
            cut=self.log.end,
            topic_ids=self.log.topic_ids,
            made_at=self.now_ms,
            data=data,
            code=Code(recipe or READY, trained.code, commit, dirty),
            libraries=trained.libraries,
            platform=trained.platform,
            threads=threads,
            seed=self.settings.training.seed,
            config=config_of(self.settings),
            chosen=trained.chosen,
            metrics=trained.metrics,
            model_digest=digest_of_model(trained.model),
            online=taken.online,
            start=self.log.start,
        )


def remove_unused(root: Path, model: str) -> None:
    """Remove the training sets that belong to no version: their training ended without one, or it was removed."""
    digests: set[str] = set()
    for version in ModelFiles(root).versions(model):
        try:
            found = read_receipt(root, model, version)
        except RegistryError:  # a broken one may be restored, and wants its set then
            return
        digests |= {found[0].data.digest, found[0].data.held_out} if found else set()
    TrainingSets(root, model).keep_only(digests)


def _check(stop: Callable[[], bool]) -> None:
    if stop():
        raise StoppedError("the training was stopped: somebody asked for it")
