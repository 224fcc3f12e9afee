"""What is to be seen of one model, here and on the cluster."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from leadline.cli.checkup.readiness import ON_CLUSTER, SeenModel
from leadline.cli.common import models_of
from leadline.cli.newest import live_settings, under
from leadline.errors import LeadlineError
from leadline.hosts.health import Told
from leadline.hosts.health_record import told
from leadline.kafka.cluster import group_progress
from leadline.kafka.errors import KafkaError, said
from leadline.learning.errors import RegistryError
from leadline.learning.limits import GOLDEN
from leadline.learning.model_files import ModelFiles
from leadline.records import JoinCounts, LiveSettings, Rollout, Verdict, identity
from leadline.settings import Settings, SettingsError, in_force
from leadline.settings.notify import Target, load_notify_settings
from leadline.wire.topics import WORKERS

T = TypeVar("T")
_WITHIN_S = 30.0
RECEIPT = "receipt.json"


class _Cluster(NamedTuple):
    """What the cluster says of the model; ``unseen``: by line, what it could not say."""

    champions: list[str]
    gates: list[Verdict]
    told: frozenset[str]
    counts: JoinCounts | None
    workers: Sequence[Told]
    live: LiveSettings | None
    unseen: dict[str, str]


async def look_at_model(settings: Settings, model: str, version: str, notify: Path) -> SeenModel:
    """Look at a version (empty: the champion, or else the newest one here). Raises SettingsError where there is no such model."""
    files = ModelFiles(models_of(settings, model, sets=True))
    own = files.settings(model)
    if own is None:
        raise SettingsError(f"{files.root} has no model {model}: `leadline model list` shows which there are")
    targets = _targets(notify)
    cluster = await _cluster(settings, model, targets)
    chosen_version = version or next(iter(cluster.champions), "") or _newest(files, model)
    if not chosen_version:
        raise SettingsError(f"{model} has no version: `leadline model add` adds one")
    live = {each.key: each.value for each in cluster.live.settings} if cluster.live else {}
    unusable, profile = _loaded(files, model, chosen_version)
    before = cluster.champions[1] if len(cluster.champions) > 1 else ""
    gates = [each for each in cluster.gates if each.version == chosen_version]
    return SeenModel(
        now_ms=int(time.time() * 1000), model=model, version=chosen_version, settings=in_force(own, live),
        profile=profile, unusable=unusable,
        has_golden=(settings.models / model / chosen_version / GOLDEN).is_file(),
        receipt=await asyncio.to_thread(_receipt, settings.models, model, chosen_version),
        champions=cluster.champions, before_unusable=_loaded(files, model, before)[0] if before else "",
        gate=gates[-1] if gates else None, targets=targets, told=cluster.told, counts=cluster.counts, workers=cluster.workers,
        unseen=cluster.unseen,
    )  # fmt: skip


def _newest(files: ModelFiles, model: str) -> str:
    versions = files.versions(model)
    return max(versions, key=lambda each: files.changed_ns(model, each) or 0, default="")


def _loaded(files: ModelFiles, model: str, version: str) -> tuple[str, Any]:
    """Why a version cannot be used, and its reference."""
    try:
        return "", files.load(model, version).profile
    except (RegistryError, SettingsError) as error:
        return str(error), None


def _receipt(root: Path, model: str, version: str) -> str | None:
    """What is said against a receipt when the version is trained again: as long as that takes."""
    if not (root / model / version / RECEIPT).is_file():
        return None
    words = [sys.executable, "-P", "-m", "leadline", "verify", model, version]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env=os.environ | {"LEADLINE_MODELS": str(root)}
    )
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    return "" if done.returncode == 0 else next(iter(lines), f"`leadline verify` ended with {done.returncode}")


def _targets(notify: Path) -> Sequence[Target] | str:
    try:
        return load_notify_settings(notify).targets
    except SettingsError as error:
        return str(error)


# -- cluster --------------------------------------------------------------------------------------------------------------


async def _cluster(settings: Settings, model: str, targets: Sequence[Target] | str) -> _Cluster:
    """Look at everything at once."""
    bootstrap, prefix, unseen = settings.kafka_bootstrap, settings.prefix, dict[str, str]()
    if bootstrap is None:
        return _Cluster([], [], frozenset(), None, [], None, dict.fromkeys(ON_CLUSTER, "KAFKA_BOOTSTRAP is not set"))

    async def seen(lines: Sequence[str], look: Awaitable[T], otherwise: T) -> T:
        try:
            return await asyncio.wait_for(look, _WITHIN_S)
        except (KafkaError, LeadlineError, OSError, TimeoutError) as error:
            unseen.update(dict.fromkeys(lines, said(error)))
            return otherwise

    names = [] if isinstance(targets, str) else [each.name for each in targets]
    champions, gates, taken, counts, workers, live = await asyncio.gather(
        seen(["rollback", "gate"], _champions(bootstrap, prefix, model), list[str]()),
        seen(["gate"], _gates(bootstrap, prefix, model), list[Verdict]()),
        seen(["incidents"], _told(bootstrap, prefix, names), frozenset[str]()),
        seen(["labels"], _counts(bootstrap, prefix, model), None),
        seen(["workers"], told(bootstrap, f"{prefix}.{WORKERS}"), dict[bytes, Told]()),
        seen(["watch", "runbook"], live_settings(bootstrap, prefix), dict[str, LiveSettings]()),
    )
    return _Cluster(champions, gates, taken, counts, list(workers.values()), live.get(model), unseen)


async def _champions(bootstrap: str, prefix: str, model: str) -> list[str]:
    """The champions, the newest first: those that the log still has, and who the newest says was before it."""
    found = [each for each in await under(bootstrap, prefix, "rollouts", model.encode()) if isinstance(each, Rollout)]
    before = [found[-1].before] if found and found[-1].before and found[-1].before != found[-1].champion else []
    names = [each.champion for each in reversed(found)]
    return [name for name, _ in groupby([*names[:1], *before, *names[1:]])]


async def _gates(bootstrap: str, prefix: str, model: str) -> list[Verdict]:
    found = await under(bootstrap, prefix, "verdicts", model.encode())
    return [each for each in found if isinstance(each, Verdict) and each.at == "gate"]


async def _counts(bootstrap: str, prefix: str, model: str) -> JoinCounts | None:
    found = await under(bootstrap, prefix, "metrics", identity("counts", model))
    return next((each for each in reversed(found) if isinstance(each, JoinCounts)), None)


async def _told(bootstrap: str, prefix: str, names: Sequence[str]) -> frozenset[str]:
    """The targets that have taken incidents, or had none to take."""
    found = await asyncio.gather(
        *(group_progress(bootstrap, f"{prefix}.notify.{name}", [f"{prefix}.alerts"]) for name in names)
    )
    moved = {name: [offset for offset, end in each.values() if end] for name, each in zip(names, found, strict=True)}
    return frozenset(name for name, offsets in moved.items() if not offsets or any(offsets))
