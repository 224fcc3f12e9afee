"""``leadline rollout status``: how far each rollout is, what speaks for it, and what it waits for."""

import time
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import typer

from leadline.cli.checkup.findings import for_long
from leadline.cli.common import JsonLines, broker, put_json, put_wrapped, wait_for
from leadline.cli.newest import live_settings
from leadline.cli.rollout_log import standing
from leadline.core.release.story import ENDS, PLACES, Heard, Tally, ahead, who_answers
from leadline.errors import LeadlineError
from leadline.foreign_text import shown
from leadline.records import Check, LiveSettings, Rollout, Verdict, VersionHealth, WorkerHealth, iso
from leadline.settings import RolloutSettings, SettingsError, in_force, load_settings


class _Standing(NamedTuple):
    """Where a model is. ``verdict``: the last one of the rollout; ``policy``: None where its settings are not on this disk."""

    heard: Heard
    rollout: Rollout
    verdict: Verdict | None
    scored: list[tuple[str, VersionHealth]]
    unable: dict[str, str]
    policy: RolloutSettings | None

    @property
    def under_way(self) -> bool:
        return bool(self.rollout.rollout_id) and self.rollout.state not in ENDS

    @property
    def began(self) -> int:
        return min(each.event_time for each in self.heard.of(self.rollout.rollout_id))

    @property
    def tallies(self) -> dict[str, Tally]:
        """The pairs of each version that is compared with the champion."""
        versions = [self.rollout.challenger, *(name for name in self.rollout.shares if self.rollout.mode == "ab")]
        return {name: self.heard.tally(self.rollout.rollout_id, name) for name in versions}


def show_status(
    model: Annotated[str, typer.Argument(help="The model. Default: all.")] = "",
    json: JsonLines = False,
) -> None:
    """Show of each rollout its step and share, how long it is there, the pairs and the evidence, what it waits for and what is next."""
    settings, bootstrap = broker()
    models, workers = wait_for(standing(bootstrap, settings.prefix))
    if model and model not in models:
        raise LeadlineError(
            f"nobody answers for {shown(model)} yet: make a version champion with `leadline model promote`"
        )
    live = wait_for(live_settings(bootstrap, settings.prefix))
    for name in [model] if model else sorted(models):
        found = _standing(models[name], workers, live.get(name))
        if json:
            put_json(fields(found))
        else:
            first, *more = lines(found, int(time.time() * 1000))
            put_wrapped(first)
            for line in more:
                put_wrapped(f"  {line}")


def _standing(heard: Heard, workers: list[WorkerHealth], live: LiveSettings | None) -> _Standing:
    rollout = heard.rollouts[-1]
    during = [each for each in heard.verdicts if each.at in PLACES and each.cause == rollout.rollout_id]
    named = {rollout.champion, rollout.challenger, *rollout.shares}
    running = [each for each in workers if each.state == "running"]
    scored = [
        (each.worker_id, of)
        for each in running
        for of in each.scored
        if of.model == heard.model and of.version in named
    ]
    unable = {
        f"{each.worker_id} {version}": why
        for each in running
        for version in sorted(named - {""})
        if (why := each.unusable.get(f"{heard.model} {version}"))
    }
    return _Standing(heard, rollout, during[-1] if during else None, scored, unable, _policy(heard.model, live))


def _policy(model: str, live: LiveSettings | None) -> RolloutSettings | None:
    """The policy as it is in force; None where this disk does not have the model."""
    from leadline.learning.model_files import ModelFiles

    try:
        settings = ModelFiles(load_settings().models).settings(model)
    except (LeadlineError, SettingsError):
        return None
    changes = {each.key: each.value for each in live.settings} if live else {}
    return None if settings is None else in_force(settings, changes).rollout


# -- for a person ---------------------------------------------------------------------------------------------------------


def lines(found: _Standing, now_ms: int) -> Iterator[str]:
    """Where a model is, in lines."""
    rollout = found.rollout
    if not found.under_way:
        ended = f"; its last rollout ended: {rollout.state}, {iso(rollout.event_time)}" if rollout.state else ""
        yield f"{rollout.model}: {rollout.champion} answers, and no rollout is under way{ended}"
        return
    yield f"{rollout.model}: {_where(found)} of {rollout.challenger}, rollout {rollout.rollout_id}"
    since = f"since {iso(rollout.event_time)}"
    yield f"{who_answers(rollout.champion, rollout.shares)} So {since}{_so_long(now_ms - rollout.event_time)}, begun {iso(found.began)}"
    yield from (_pairs(name, tally) for name, tally in found.tallies.items())
    if found.verdict is not None:
        yield f"last verdict, {iso(found.verdict.as_of)}: {found.verdict.verdict}: {found.verdict.reason}"
        yield from (f"evidence: {_check(each)}" for each in found.verdict.checks)
    waits, then = ahead(rollout, found.policy)
    yield f"waits for: {waits}"
    yield f"next: {then}"
    yield from (
        f"{health.version} as {health.role} on worker {name}: {_scored(health)}" for name, health in found.scored
    )
    yield from (f"worker and version {name}: it cannot be used: {why}" for name, why in found.unable.items())


def _where(found: _Standing) -> str:
    rollout = found.rollout
    state = f"paused {rollout.mode}" if rollout.state == "paused" else rollout.state
    steps = f" of {len(found.policy.steps)}" if found.policy else ""
    return f"{state}, step {rollout.step + 1}{steps}," if rollout.mode == "canary" else state


def _so_long(ms: int) -> str:
    return f" ({for_long(ms)})" if ms >= 0 else ""


def _pairs(version: str, tally: Tally) -> str:
    known = f"{tally.pairs:,}: {tally.better:,} better, {tally.same:,} same, {tally.worse:,} worse"
    return f"pairs of {version}: {known}; {tally.unlike:,} differ and lack a label; of {tally.waiting:,} the labels are not due"


def _check(check: Check) -> str:
    value = "no evidence" if check.value is None else f"{check.value:.4g}"
    limit = "" if check.limit is None else f", the limit is {check.limit:.4g}"
    return f"{check.name} of {check.segment}: {check.outcome} ({value}{limit})" + (
        f": {check.reason}" if check.reason else ""
    )


def _scored(health: VersionHealth) -> str:
    if health.stopped:
        return f"stopped: {health.stopped}"
    each = f", {health.seconds / health.requests * 1000:.3g} ms each" if health.requests > 0 else ""
    return f"{health.requests:,} requests in ten minutes, {health.failed:,} without a score{each}"


# -- for a program --------------------------------------------------------------------------------------------------------


def fields(found: _Standing) -> dict[str, Any]:
    """Where a model is, for `as_json`."""
    rollout, under_way = found.rollout, found.under_way
    waits, then = ahead(rollout, found.policy) if under_way else (None, None)
    verdict = found.verdict
    return {
        "model": rollout.model, "champion": rollout.champion, "under_way": under_way, "rollout_id": rollout.rollout_id or None,
        "challenger": rollout.challenger or None, "mode": rollout.mode, "state": rollout.state, "step": rollout.step,
        "shares": rollout.shares, "sample": rollout.sample, "since": iso(rollout.event_time),
        "began": iso(found.began) if under_way else None,
        **_tally_fields(found.tallies[rollout.challenger]),
        "versions": {name: _tally_fields(tally) for name, tally in found.tallies.items() if name},
        "verdict": verdict and verdict.verdict, "verdict_at": verdict and iso(verdict.as_of), "reason": verdict and verdict.reason,
        "evidence": [_check_fields(each) for each in verdict.checks] if verdict else [],
        "waits_for": waits, "next": then,
        "scored": [{"worker": name, **_health_fields(health)} for name, health in found.scored], "unable": found.unable,
    }  # fmt: skip


def _tally_fields(tally: Tally) -> dict[str, int]:
    return {"pairs": tally.pairs, **tally._asdict()}


def _check_fields(check: Check) -> dict[str, Any]:
    return {
        "name": check.name, "segment": check.segment, "value": check.value, "limit": check.limit, "outcome": check.outcome,
        "reason": check.reason,
    }  # fmt: skip


def _health_fields(health: VersionHealth) -> dict[str, Any]:
    return {
        "version": health.version, "role": health.role, "requests": health.requests, "failed": health.failed,
        "seconds": health.seconds, "stopped": health.stopped or None,
    }  # fmt: skip
