"""All that is known of one version, in named parts: what `leadline model show`, `diff` and `card` say of it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from leadline.core.models import Version
from leadline.core.release.lineage import Decisions, Lineage
from leadline.learning.lineage import lineage
from leadline.learning.manifest import facts_of
from leadline.learning.model_files import ModelFiles
from leadline.learning.training.receipt import Receipt, read_receipt
from leadline.records import iso

_OF_FACTS = ("origin", "outcome", "source")
"""The other facts are releases of libraries."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A version that is here. ``facts``: of its manifest."""

    lineage: Lineage
    version: Version
    receipt: Receipt | None
    facts: Mapping[str, Any]


class Difference(NamedTuple):
    """A value that two versions do not share; None where one has none."""

    part: str
    name: str
    before: Any
    after: Any


def portrait(files: ModelFiles, model: str, version: str, decisions: Decisions) -> Portrait:
    """What is known of a version. Raises RegistryError where it is not here, or broken."""
    described = files.describe(model, version)
    found = read_receipt(files.root, model, version)
    facts = facts_of(files.root, model, version)
    return Portrait(lineage(files, model, version, decisions), described, found[0] if found else None, facts)


def parts(found: Portrait) -> dict[str, dict[str, Any]]:
    """Everything by part and name. A feature and a category are names: one that came or went is a difference."""
    known: dict[str, dict[str, Any]] = {
        "lineage": _lineage(found.lineage),
        "features": dict(_features(found.version)),
        "categories": dict(_categories(found.version)),
        "metrics": dict(found.version.profile.metrics) if found.version.profile else {},
        "data": _data(found),
    }
    return known | _trained(found) | {"gate": dict(_gate(found.lineage))}


def differences(before: Portrait, after: Portrait) -> Iterator[Difference]:
    """What two versions do not share, part by part."""
    old, new = parts(before), parts(after)
    for part, values in old.items():
        others = new[part]
        for name in dict.fromkeys([*values, *others]):
            if values.get(name) != others.get(name):
                yield Difference(part, name, values.get(name), others.get(name))


def _lineage(found: Lineage) -> dict[str, Any]:
    values = {
        "state": found.state, "alias": found.alias, "origin": found.origin, "parent": found.parent, "retrain_id": found.retrain_id,
        "trained_at": None if found.trained_at is None else iso(found.trained_at), "receipt": found.receipt,
    }  # fmt: skip
    approval = found.approval
    if approval is not None:
        values |= {"approval": approval.verdict, "approval_by": approval.actor, "approval_reason": approval.reason}
    return {name: value for name, value in values.items() if value}


def _features(version: Version) -> Iterator[tuple[str, str]]:
    yield from ((name, "numeric") for name in version.signature.numeric)
    yield from ((name, "categorical") for name in version.signature.categorical)


def _categories(version: Version) -> Iterator[tuple[str, str]]:
    for name in version.signature.categorical:
        yield from ((f"{name}={each}", "known") for each in version.signature.categories.get(name, []))


def _data(found: Portrait) -> dict[str, Any]:
    values = {name: found.facts[name] for name in _OF_FACTS if name in found.facts}
    profile = found.version.profile
    values |= {"reference_rows": profile.predictions} if profile else {}
    if found.receipt is None:
        return values
    data = found.receipt.data
    return values | asdict(data) | {"held_out_since": iso(data.held_out_since), "cut": found.receipt.cut}


def _trained(found: Portrait) -> dict[str, dict[str, Any]]:
    """The inputs of a training but its data."""
    receipt = found.receipt
    made_with = {name: value for name, value in found.facts.items() if name not in (*_OF_FACTS, "reference_rows")}
    if receipt is None:
        return {"settings": {}, "code": {}, "libraries": made_with, "platform": {}, "seed": {}}
    return {
        "settings": receipt.config | {f"chosen {name}": value for name, value in receipt.chosen.items()},
        "code": {**asdict(receipt.code), "model_digest": receipt.model_digest},
        "libraries": made_with | receipt.libraries,
        "platform": {**receipt.platform, "threads": receipt.threads},
        "seed": {"seed": receipt.seed},
    }


def _gate(found: Lineage) -> Iterator[tuple[str, str]]:
    verdict = found.gate
    if verdict is None:
        return
    yield "verdict", f"{verdict.verdict}: {verdict.reason}"
    yield "champion", verdict.champion or "none"
    yield from ((f"{each.name} {each.segment}", f"{each.outcome}: {each.reason}") for each in verdict.checks)
