"""The chain of snapshots of a model: each goes on from the one before it, and learns what came after that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from leadline.learning.limits import RIVER
from leadline.learning.manifest import verified
from leadline.learning.training.log import Log
from leadline.learning.training.receipt import Receipt, config_of, receipts
from leadline.learning.training.store import TrainingSets, read_rows
from leadline.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Chain:
    """What was learned so far. ``before``: the version to go on from, empty at the beginning; ``start``: the offsets that come next.

    ``sets``: the stored rows of all snapshots of the chain, and those of them that were held out. Of both, rows may have been erased.
    """

    before: str = ""
    number: int = 0
    start: dict[str, int] = field(default_factory=dict)
    sets: list[tuple[Path, Path]] = field(default_factory=list)

    def model(self, root: Path, name: str) -> bytes | None:
        """The bytes of the snapshot to go on from."""
        return verified(root, name, self.before)[RIVER] if self.before else None

    def outcomes(self, ids: pa.Array) -> dict[str, object]:
        """The outcomes with which these requests were learned, of those that were."""
        found: dict[str, object] = {}
        for path, held_out in self.sets:
            rows, later = read_rows(path, ["request_id", "outcome"]), read_rows(held_out, ["request_id"])["request_id"]
            rows = rows.filter(pc.is_in(rows["request_id"], value_set=ids))
            rows = rows.filter(pc.invert(pc.is_in(rows["request_id"], value_set=later.combine_chunks())))
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
        of_model = TrainingSets(root, model)
        files = of_model.path(receipt.data.digest), of_model.held_out(receipt.data.held_out)
        if not all(each.is_file() for each in files):
            return None
        sets.append(files)
        start = start or receipt.online.end
        number = number or receipt.online.number
        at = receipt.online.before
    return Chain(version, number, dict(start), sets)


def newest_chain(
    root: Path,
    settings: ModelSettings,
    log: Log,
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
        same = same and (receipt.libraries.get("river"), receipt.topic_ids) == (river, log.topic_ids)
        return same and all(log.end.get(partition, 0) >= end for partition, end in ends.items())

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
