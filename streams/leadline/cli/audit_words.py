"""A decision in words: one line each."""

from collections.abc import Callable
from typing import Any

from leadline.cli.audit_log import decision
from leadline.records import (
    Alert,
    AuditEntry,
    Candidate,
    Command,
    CommandAnswer,
    LiveSettings,
    Record,
    RetrainRequest,
    Rollout,
    Training,
    Verdict,
    iso,
)


def line(entry: AuditEntry) -> str:
    """An entry as `leadline audit show` has it."""
    return f"{entry.sequence}  {iso(entry.arrival_time)}  {entry.topic}  {said(entry, decision(entry))}"


def said(entry: AuditEntry, record: Record | None) -> str:
    """What was decided."""
    words = _WORDS.get(type(record))
    return words(record) if words is not None else _unreadable(entry)


def _unreadable(entry: AuditEntry) -> str:
    parts = "; ".join(f"its {name} is not in the entry: {why}" for name, why in sorted(entry.left_out.items()))
    where = f"{entry.partition}/{entry.offset}"
    if parts:
        return f"the record at {where}: {parts}"
    length = "no value: it takes back what stood under its key" if entry.value is None else f"{len(entry.value)} bytes"
    return f"a record that is no decision, at {where}: {length}"


def _alert(alert: Alert) -> str:
    cause = f": {alert.cause}" if alert.cause else ""
    return f"{alert.model} {alert.model_version}: {alert.kind} incident {alert.alert_id} {alert.state}, {alert.severity}{cause}"


def _request(request: RetrainRequest) -> str:
    by = f" by {request.actor}" if request.actor else ""
    return f"{request.model}: training {request.retrain_id} asked for ({request.trigger}){by}: {request.cause}"


def _training(training: Training) -> str:
    made = f", made {training.version}" if training.version else ""
    message = f": {training.message}" if training.message else ""
    return f"{training.model}: training {training.retrain_id} {training.state}{made}{message}"


def _candidate(candidate: Candidate) -> str:
    after = f", after {candidate.parent}" if candidate.parent else ""
    receipt = f", receipt {candidate.receipt}" if candidate.receipt else ", without a receipt"
    return f"{candidate.model}: {candidate.version} is a candidate (from {candidate.origin}){after}{receipt}"


def _verdict(verdict: Verdict) -> str:
    by = f" by {verdict.actor}" if verdict.actor else ""
    return f"{verdict.model} {verdict.version}: {verdict.verdict} at the {verdict.at}{by}: {verdict.reason}"


def _rollout(rollout: Rollout) -> str:
    if rollout.state:
        shares = "".join(f", {version} {share:.3g}" for version, share in rollout.shares.items() if share)
        where = f"{rollout.state}{shares}, {rollout.champion} is champion"
        return f"{rollout.model}: the rollout of {rollout.challenger} is {where}, by {rollout.actor}: {rollout.reason}"
    before = f" instead of {rollout.before}" if rollout.before else ""
    return f"{rollout.model}: {rollout.champion} is champion{before}, by {rollout.actor}: {rollout.reason}"


def _command(command: Command) -> str:
    what = ", ".join(f"{name} = {value}" for name, value in command.arguments.items())
    proof = "signed" if command.signature else "a claim"
    return f"{command.model}: {command.actor} ({proof}) asks to {command.kind}{f' {what}' if what else ''}: {command.reason}"


def _answer(answer: CommandAnswer) -> str:
    return f"{answer.model}: the command {answer.command_id} to {answer.kind} was {answer.answer}: {answer.reason}"


def _settings(live: LiveSettings) -> str:
    what = ", ".join(f"{each.key} = {each.value}" for each in live.settings)
    return f"{live.model}: {live.actor} changed settings ({what or 'all as in model.toml'}): {live.reason}"


_WORDS: dict[type, Callable[[Any], str]] = {
    Alert: _alert,
    RetrainRequest: _request,
    Training: _training,
    Candidate: _candidate,
    Verdict: _verdict,
    Rollout: _rollout,
    Command: _command,
    CommandAnswer: _answer,
    LiveSettings: _settings,
}
