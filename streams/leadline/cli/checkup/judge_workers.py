"""What is wrong with the workers, as they told it themselves."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from leadline.cli.checkup.findings import Finding, Seen, for_long, note, wrong
from leadline.hosts.health import StageState, Told
from leadline.records import StageHealth, WorkerHealth

ALIVE_MS = 180_000
"""A worker tells its health each minute; one that was silent for longer is gone."""
_GONE_MS = 86_400_000
_STILL_MS = 120_000
_JOINS = 3
_SLOW_MS = {StageState.RESTORING: 3_600_000}
_SLOW_START_MS = 300_000
_AHEAD_MS, _BEHIND_MS = 10_000, 30_000
"""The broker stamps a record some time after its worker has: only that way more is no sign of a wrong clock."""
_LEAST_BYTES = 1 << 30
_LOADED_MS = 90_000
_SCORING, _ROLLOUT = "scoring", "rollout"


def alive(seen: Seen) -> list[Told]:
    """The workers that work."""
    return [each for each in seen.workers if each.health.state == "running" and seen.now_ms - each.at_ms <= ALIVE_MS]


def scorers(seen: Seen) -> list[Told]:
    """The workers that work and score."""
    return [each for each in alive(seen) if scores(each.health)]


def scores(health: WorkerHealth) -> bool:
    """Whether a worker scores."""
    return _SCORING in {stage.stage for stage in health.stages}


def decides(health: WorkerHealth) -> bool:
    """Whether a worker makes champions."""
    return _ROLLOUT in {stage.stage for stage in health.stages}


def judge_workers(seen: Seen) -> Iterator[Finding]:
    """Workers, their stages, clocks and disks."""
    if not any(each.health.state == "running" for each in seen.workers):
        yield note("workers", "none has told that it runs", "start one with `leadline worker`")
    for each in seen.workers:
        if each.health.state == "running":
            yield from [_silent(seen, each)] if each not in alive(seen) else _living(seen, each)


def _silent(seen: Seen, worker: Told) -> Finding:
    silent_ms = seen.now_ms - worker.at_ms
    say = wrong if silent_ms < _GONE_MS else note
    return say(
        _name(worker),
        f"silent for {for_long(silent_ms)}, and did not say that it ends",
        "it was killed, hangs, or does not reach the broker: look at its log, and start it again",
        worker.at_ms,
    )


def _living(seen: Seen, worker: Told) -> Iterator[Finding]:
    troubles = [
        wrong(f"{each.stage} of {_name(worker)}", f"stuck with {each.what}: {each.message}", _GO_ON, each.since)
        for each in worker.health.troubles
    ]
    found = [*troubles, *_stages(worker), *_clock(worker), *_disk(worker)]
    told = for_long(seen.now_ms - worker.at_ms)
    stages = ", ".join(f"{stage.stage} {stage.state}" for stage in worker.health.stages)
    yield Finding(_name(worker), f"alive, told {told} ago: {stages or 'no stage'}", "", worker.health.started_at)
    yield from found


_GO_ON = "it goes on by itself when this is mended; until then nothing of it is lost"


def _stages(worker: Told) -> Iterator[Finding]:
    for stage in worker.health.stages:
        what, told_ms = f"{stage.stage} of {_name(worker)}", worker.health.told_at
        if stage.joined_again >= _JOINS:
            yield wrong(
                what,
                f"joined its group again {stage.joined_again} times in ten minutes: {stage.reason}",
                "look at the brokers, and at the log of this worker",
                stage.failing_since,
            )
        elif stage.state != StageState.RUNNING and told_ms - stage.since > _slow_ms(stage):
            yield wrong(what, f"still {stage.state}", "look at the log of this worker, and at the brokers", stage.since)
        elif stage.state == StageState.RUNNING and told_ms - (stage.round_at or stage.since) > _STILL_MS:
            yield wrong(
                what,
                "stands still: it asks for no records",
                "it waits for a broker, or for an answer that does not come: look at its log, and start the worker again",
                stage.round_at or stage.since,
            )


def _slow_ms(stage: StageHealth) -> int:
    return _SLOW_MS.get(StageState(stage.state), _SLOW_START_MS) if stage.state in set(StageState) else _SLOW_START_MS


def _clock(worker: Told) -> Iterator[Finding]:
    ahead_ms = worker.health.told_at - worker.at_ms
    if ahead_ms > _AHEAD_MS or ahead_ms < -_BEHIND_MS:
        found = f"its clock is {for_long(abs(ahead_ms))} {'ahead of' if ahead_ms > 0 else 'behind'} the broker's"
        yield wrong(f"clock of {_name(worker)}", found, "set the clocks of both by NTP", worker.at_ms)


def _disk(worker: Told) -> Iterator[Finding]:
    for folder, free in sorted(worker.health.free_bytes.items()):
        if free < _LEAST_BYTES:
            found = f"{free / (1 << 20):,.0f} MiB are free where its {folder} are kept"
            yield wrong(
                f"disk of {_name(worker)}", found, "make room: what cannot be written stops its stages", worker.at_ms
            )


def judge_models(seen: Seen) -> Iterator[Finding]:
    """Whether the champion of each model is named, and loaded by every worker that scores."""
    scoring = scorers(seen)
    champions = {rollout.model: rollout for rollout in seen.rollouts}
    for model in sorted(set(seen.models) - set(champions)):
        yield note(f"model {model}", "no champion is named", f"name one with `leadline model promote {model} VERSION`")
    for model, rollout in sorted(champions.items()):
        named = f"{model} {rollout.champion}"
        behind = [
            each for each in scoring
            if named not in each.health.versions and each.at_ms > rollout.event_time + _LOADED_MS
        ]  # fmt: skip
        if not behind:
            where = f"loaded by {_counted(scoring)} that score" if scoring else "no worker scores"
            yield Finding(f"model {model}", f"champion {rollout.champion}, {where}", "", rollout.event_time)
        for reason, workers in _by_reason(behind, [named, model]).items():
            yield wrong(
                f"model {model}",
                f"champion {rollout.champion} is not used by {_names(workers)}: {reason}",
                f"mend it in LEADLINE_MODELS there, and roll it out again with `leadline model promote {model} {rollout.champion}`",
                rollout.event_time,
            )
    yield from _unusable(seen, {f"{model} {rollout.champion}" for model, rollout in champions.items()})


def _by_reason(workers: Iterable[Told], names: Sequence[str]) -> dict[str, list[Told]]:
    reasons: defaultdict[str, list[Told]] = defaultdict(list)
    for each in workers:
        known = next((each.health.unusable[name] for name in names if name in each.health.unusable), "it is not loaded")
        reasons[known].append(each)
    return reasons


def _unusable(seen: Seen, champions: set[str]) -> Iterator[Finding]:
    """What workers found broken, but for champions, of which is told already."""
    by_name: defaultdict[tuple[str, str], list[Told]] = defaultdict(list)
    for each in alive(seen):
        for name, reason in each.health.unusable.items():
            if name not in champions:
                by_name[name, reason].append(each)
    for (name, reason), workers in sorted(by_name.items()):
        yield wrong(
            f"model {name}", f"cannot be used by {_names(workers)}: {reason}", "mend its files in LEADLINE_MODELS there"
        )


def _name(worker: Told) -> str:
    return f"worker {worker.health.worker_id}"


def _names(workers: Sequence[Told]) -> str:
    return ", ".join(map(_name, workers[:3])) + (f" and {len(workers) - 3} more" if workers[3:] else "")


def _counted(workers: Sequence[Told]) -> str:
    return f"{len(workers)} worker{'' if len(workers) == 1 else 's'}"
