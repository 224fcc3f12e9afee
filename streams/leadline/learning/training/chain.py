"""The chain of snapshots of a model: each goes on from the one before it, and learns what came after that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from leadline.learning.limits import RIVER
from leadline.learning.manifest import verified
from leadline.learning.training.receipt import Receipt, config_of, receipts
from leadline.learning.training.store import TrainingSets, count_rows, read_rows
from leadline.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Chain:
    """What was learned so far. ``before``: the version to go on from, empty at the beginning; ``start``: the offsets that come next.

    ``sets``: the stored rows of all snapshots of the chain, and how many of each were learned.
    """

    before: str = ""
    number: int = 0
    start: dict[str, int] = field(default_factory=dict)
    sets: list[tuple[Path, int]] = field(default_factory=list)

    def model(self, root: Path, name: str) -> bytes | None:
        """The bytes of the snapshot to go on from."""
        return verified(root, name, self.before)[RIVER] if self.before else None

    def outcomes(self, ids: pa.Array) -> dict[str, object]:
        """The outcomes with which these requests were learned, of those that were."""
        found: dict[str, object] = {}
        for path, count in self.sets:
            rows = read_rows(path, ["request_id", "outcome"]).slice(0, count)
            rows = rows.filter(pc.is_in(rows["request_id"], value_set=ids))
            found |= zip(rows["request_id"].to_pylist(), rows["outcome"].to_pylist(), strict=True)
        return found


def chain_to(
    root: Path, model: str, version: str, known: Mapping[str, tuple[Receipt, str]] | None = None
) -> Chain | None:
    """The chain that ends in a version; None where a part of it is not here any more."""
    known = receipts(root, model) if known is None else known
    sets, at = [], version
    start: dict[str, int] = {}
    number = 0
    while at:
        receipt = known[at][0] if at in known else None
        if receipt is None or receipt.online is None:
            return None
        path = TrainingSets(root, model).path(receipt.data.digest)
        if not path.is_file():
            return None
        sets.append((path, _learned(path, receipt, TrainingSets(root, model).held_out(receipt.data.held_out))))
        start = start or receipt.online.end
        number = number or receipt.online.number
        at = receipt.online.before
    return Chain(version, number, dict(start), sets)


def _learned(path: Path, receipt: Receipt, held_out: Path) -> int:
    """How many rows of a set were learned: those before the held-out ones, also where a person's rows were removed from both."""
    rows = count_rows(path)
    return receipt.data.train_rows if rows == receipt.data.rows else rows - count_rows(held_out)


def newest_chain(
    root: Path,
    settings: ModelSettings,
    topic_ids: Mapping[str, str],
    cut: Mapping[str, int],
    code: Mapping[str, str],
    river: str,
) -> Chain:
    """The longest chain that was learned by the same code, river and settings, from the same log; an empty one where there is none.

    A log that ends before what was learned is another one.
    """
    known = receipts(root, settings.name)
    config, seed = config_of(settings), settings.training.seed

    def goes_on(receipt: Receipt, ends: Mapping[str, int]) -> bool:
        same = (receipt.config, receipt.seed, receipt.code.files) == (config, seed, dict(code))
        same = same and (receipt.libraries.get("river"), receipt.topic_ids) == (river, dict(topic_ids))
        return same and all(cut.get(partition, 0) >= end for partition, end in ends.items())

    some = [
        (each.online.number, each.made_at, version)
        for version, (each, _) in known.items()
        if each.online is not None and goes_on(each, each.online.end)
    ]
    for _, _, version in sorted(some, reverse=True):
        chain = chain_to(root, settings.name, version, known)
        if chain is not None:
            return chain
    return Chain()
