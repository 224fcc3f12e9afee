"""The receipt of a version that was trained here: all that is needed to train it again, and to say what differs."""

from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from leadline.learning.errors import RegistryError
from leadline.learning.limits import RECEIPT
from leadline.learning.manifest import to_json, verified
from leadline.learning.model_files import ModelFiles
from leadline.learning.training.base import Base
from leadline.settings import ModelSettings, explain


@dataclass(frozen=True, slots=True)
class Data:
    """The rows: their digest, where they came from, and how they were split.

    ``left_out``: requests with an outcome that could not be used, by the reason; records, where labels are learned one by one, and where
    they could not be read.
    ``held_out_since``: the event time.
    """

    digest: str
    rows: int
    sampled_from: int
    left_out: dict[str, int]
    train_rows: int
    held_out_rows: int
    held_out_since: int
    held_out: str
    base: Base | None


@dataclass(frozen=True, slots=True)
class Code:
    """The recipe: its name, the sha256 of its files, and the git commit, ``dirty`` where the files differ from that."""

    recipe: str
    files: dict[str, str]
    commit: str
    dirty: bool


@dataclass(frozen=True, slots=True)
class Online:
    """Of a snapshot of a model that learns label by label: the version ``before`` it, from which it went on, and its number.

    ``start`` and ``end``: the offsets of labeled-predictions between which it learned, by partition.
    """

    before: str
    number: int
    start: dict[str, int]
    end: dict[str, int]


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a version was trained. ``config``: the settings of model.toml that it depends on; ``model_digest``: of the model's content.

    ``topic_ids``: which topics were read; of labeled-predictions all was read that was there before ``cut``, which began at ``start``.
    """

    model: str
    retrain_id: str
    parent: str
    cut: dict[str, int]
    topic_ids: dict[str, str]
    made_at: int
    data: Data
    code: Code
    libraries: dict[str, str]
    platform: dict[str, str]
    threads: int
    seed: int
    config: dict[str, Any]
    chosen: dict[str, Any]
    metrics: dict[str, float]
    model_digest: str
    online: Online | None = None
    start: dict[str, int] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """As the file has it."""
        return to_json(asdict(self))

    def needs_from(self, partition: str) -> int:
        """The offset of labeled-predictions from which it needs a partition."""
        return max(self.start.get(partition, 0), self.online.start.get(partition, 0) if self.online else 0)

    @property
    def digest(self) -> str:
        """The sha256 of the file."""
        return sha256(self.to_bytes()).hexdigest()


_RECEIPT = TypeAdapter(Receipt)
_OF_MODEL = ("task", "score", "positive", "numeric", "categorical", "categories", "segments")
_OF_TRAINING = ("recipe", "online", "params", "base", "holdout", "gap", "max_rows", "timeout", "memory")


def config_of(settings: ModelSettings) -> dict[str, Any]:
    """The settings on which a trained model depends, but its seed."""
    training = settings.training.model_dump(mode="json", include=set(_OF_TRAINING))
    return settings.model_dump(mode="json", include=set(_OF_MODEL)) | training


def settings_of(receipt: Receipt) -> ModelSettings:
    """The settings of a receipt, and nothing of those of today: model.toml may have other features by now. Raises RegistryError."""
    training = {name: receipt.config[name] for name in _OF_TRAINING} | {"seed": receipt.seed}
    of_model = {name: receipt.config[name] for name in _OF_MODEL}
    try:
        return ModelSettings.model_validate(of_model | {"name": receipt.model, "training": training})
    except ValidationError as error:
        raise RegistryError(f"the settings in the receipt of {receipt.model} are none: {explain(error)}") from None


def read_receipt(root: Path, model: str, version: str) -> tuple[Receipt, str] | None:
    """The receipt of a version and its sha256; None where it was not trained here. Raises RegistryError where a file was changed."""
    data = verified(root, model, version).get(RECEIPT)
    if data is None:
        return None
    try:
        return _RECEIPT.validate_json(data), sha256(data).hexdigest()
    except ValidationError as error:
        raise RegistryError(f"{root / model / version / RECEIPT}: {explain(error)}") from None


def receipts(root: Path, model: str) -> dict[str, tuple[Receipt, str]]:
    """Those of all versions of a model; a version that is broken has none."""
    found = {version: _readable(root, model, version) for version in ModelFiles(root).versions(model)}
    return {version: each for version, each in found.items() if each is not None}


def _readable(root: Path, model: str, version: str) -> tuple[Receipt, str] | None:
    try:
        return read_receipt(root, model, version)
    except RegistryError:
        return None
