"""Trains a version again from its stored training set, in a fresh process, and says which input differs where the model does."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

from leadline.learning.limits import RIVER
from leadline.learning.manifest import verified
from leadline.learning.model_files import ModelFiles
from leadline.learning.models import model_file
from leadline.learning.online import BEFORE
from leadline.learning.training.apart import Trained, train_apart
from leadline.learning.training.base import digest_of_base
from leadline.learning.training.chain import chain_to
from leadline.learning.training.content import digest_of_model, digest_of_rows
from leadline.learning.training.errors import OtherLogError, TrainingError
from leadline.learning.training.label_order import taken_rows
from leadline.learning.training.receipt import Receipt, config_of, read_receipt, settings_of
from leadline.learning.training.store import TrainingSets, read_rows
from leadline.learning.training.training_set import TrainingSet, training_set
from leadline.settings import ModelSettings

Outcome = Literal["reproduced", "differs", "erased"]
Log = Literal["same rows", "other rows", "expired", "another log", "not compared"]
_SHOWN = 5
_UNNAMED = (
    "that the receipt names: either the recipe gives another model each time (give its estimators a random_state), or it reads "
    "something beside its code, such as a file"
)


class LogNow(Protocol):
    """The log of labeled predictions as it is now."""

    def rows(self, receipt: Receipt) -> Iterable[pa.RecordBatch]:
        """Those before the cut of a receipt. Raises OtherLogError, and TrainingError where nothing can be read."""

    def has_lost(self, receipt: Receipt) -> bool:
        """Whether records are gone that were there when the receipt was made. Raises TrainingError."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of it. ``again``: the digest of the model that was trained now; empty where rows were erased.

    ``differs``: each input (data, code, library, seed, config, platform) that is not as it was, and how. Where the model is the same all
    the same, that is so without effect. ``log``: whether the log still gives the same rows; they are *expired* where they are not the same,
    and old records are gone. Where it is not compared, ``tell`` heard why.
    """

    model: str
    version: str
    outcome: Outcome
    digest: str
    again: str
    differs: list[str] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    log: Log = "not compared"


def verify(
    root: Path, model: str, version: str, log: LogNow | None = None, tell: Callable[[str], None] = lambda _: None
) -> Verified:
    """Train again, and compare. ``log``: what is compared too, where there is one. Raises RegistryError where that cannot be done."""
    files = ModelFiles(root)
    settings = files.settings(model) if files.has(model, version) else None
    if settings is None:
        raise TrainingError(f"{root} has no {model} {version}: `leadline model list` shows what there is")
    found = read_receipt(root, model, version)
    if found is None:
        raise TrainingError(
            f"{model} {version} has no receipt: Leadline did not train it, so nothing says how to do it again"
        )
    return _Verify(root, settings, version, found[0]).verified(log, tell)


@dataclass(frozen=True, slots=True)
class _Verify:
    root: Path
    settings: ModelSettings
    version: str
    receipt: Receipt

    def verified(self, log: LogNow | None, tell: Callable[[str], None]) -> Verified:
        receipt, name = self.receipt, self.settings.name
        path = TrainingSets(self.root, name).path(receipt.data.digest)
        data = digest_of_rows(read_rows(path))
        held_out = digest_of_rows(read_rows(TrainingSets(self.root, name).held_out(receipt.data.held_out)))
        files = verified(self.root, name, self.version)
        stored = digest_of_model(files[model_file(files)])
        erasures = TrainingSets(self.root, name).erasures(path)
        erased = [
            f"{each['rows']:,} rows of the training set were erased at {each['at']}: {each['reason']}"
            for each in erasures
        ]
        with tempfile.TemporaryDirectory(prefix="leadline-verify-") as folder:
            of_log = self._log(log, Path(folder), tell)
            if erasures and erasures[-1]["after"] == data:
                changed = list(self._model_differs(stored))
                return Verified(name, self.version, "erased", receipt.model_digest, "", changed, erased, of_log)
            again = self._again(Path(folder), path, tell)
        digest = digest_of_model(again.model)
        differs, not_used = list(self._differing((data, held_out), stored, again)), list(self._not_used())
        same = {digest, stored} == {receipt.model_digest} and (data, held_out) == _of_rows(receipt)
        if not same and not differs:
            not_used.append(f"nothing {'else ' if not_used else ''}{_UNNAMED}")
        differs += not_used
        outcome: Outcome = "reproduced" if same else "differs"
        return Verified(name, self.version, outcome, receipt.model_digest, digest, differs, erased, of_log)

    def _again(self, folder: Path, path: Path, tell: Callable[[str], None]) -> Trained:
        receipt, settings = self.receipt, settings_of(self.receipt)
        if receipt.online is not None and receipt.online.before:
            before = verified(self.root, self.settings.name, receipt.online.before)
            (folder / BEFORE).write_bytes(before[RIVER])
        return train_apart(folder, path, receipt.data.train_rows, settings, receipt.threads, tell, lambda: False)

    def _differing(self, data: tuple[str, str], stored: str, again: Trained) -> Iterator[str]:
        receipt = self.receipt
        yield from self._model_differs(stored)
        for what, now, then in zip(("stored", "held-out"), data, _of_rows(receipt), strict=True):
            if now != then:
                yield f"data: the {what} rows have the digest {now[:16]}, and had {then[:16]}"
        yield from _changes("code", receipt.code.files, again.code, _hash)
        yield from _changes(
            "library", receipt.libraries, {name: again.libraries.get(name) for name in receipt.libraries}
        )
        yield from _changes("platform", receipt.platform, again.platform)
        if receipt.threads > (os.cpu_count() or 1):
            yield f"platform: {receipt.threads} threads then, on {os.cpu_count()} processors now"

    def _not_used(self) -> Iterator[str]:
        """What is otherwise now, and was not trained by: the settings are those of the receipt, the rows those that are stored."""
        receipt = self.receipt
        if receipt.seed != self.settings.training.seed:
            yield f"seed: {receipt.seed} then, and {self.settings.training.seed} in model.toml now"
        yield from _changes("config", receipt.config, config_of(self.settings))
        base = receipt.data.base
        if base is not None:
            now = digest_of_base(self.root, self.settings.name, base.file)
            if now != base.digest:
                yield f"data: base {base.file} {f'has the sha256 {now[:16]}' if now else 'is not here'}, and had {base.digest[:16]}"

    def _model_differs(self, stored: str) -> Iterator[str]:
        wanted = self.receipt.model_digest
        if stored != wanted:
            yield f"model: the file of the version has the content {stored[:16]}, and the receipt is of {wanted[:16]}"

    def _log(self, log: LogNow | None, folder: Path, tell: Callable[[str], None]) -> Log:
        if log is None:
            return "not compared"
        tell("reading the log again")
        try:
            return self._compared(log, folder)
        except OtherLogError:
            return "another log"
        except TrainingError as error:
            tell(f"the log is not compared: {error}")
            return "not compared"

    def _compared(self, log: LogNow, folder: Path) -> Log:
        receipt, settings = self.receipt, settings_of(self.receipt)
        try:
            if self._rows(settings, log.rows(receipt), folder).digest == receipt.data.digest:
                return "same rows"
        except TrainingError as error:  # it may be that no rows are left
            if isinstance(error, OtherLogError) or not log.has_lost(receipt):
                raise
        return "expired" if log.has_lost(receipt) else "other rows"

    def _rows(self, settings: ModelSettings, rows: Iterable[pa.RecordBatch], folder: Path) -> TrainingSet:
        receipt, champion = self.receipt, self.receipt.parent or None
        if receipt.online is None:
            return training_set(self.root, settings, champion, rows, folder, lambda: None)
        chain = chain_to(self.root, settings.name, receipt.online.before)
        if chain is None:
            raise TrainingError(f"{receipt.online.before}, or a version before it, is not here: its rows are not known")
        return taken_rows(self.root, settings, champion, rows, receipt.cut, chain, lambda: None).found


def _of_rows(receipt: Receipt) -> tuple[str, str]:
    return receipt.data.digest, receipt.data.held_out


def _hash(value: Any) -> str:
    return str(value)[:12]


def _changes(
    what: str, then: Mapping[str, Any], now: Mapping[str, Any], shown: Callable[[Any], str] = repr
) -> Iterator[str]:
    """What differs, the first few by name."""
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    for name in names[:_SHOWN]:
        yield f"{what}: {name} was {shown(then.get(name))}, and is {shown(now.get(name))}"
    if len(names) > _SHOWN:
        yield f"{what}: and {len(names) - _SHOWN} more"
