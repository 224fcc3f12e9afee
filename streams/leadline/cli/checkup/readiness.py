"""Whether a model is ready for production, line by line: what was seen of it, and what each line says of that."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from leadline.cli.checkup.findings import Finding, Seen, for_long, wrong
from leadline.cli.checkup.judge_workers import scorers
from leadline.core.reference import ReferenceProfile
from leadline.hosts.health import Told
from leadline.records import JoinCounts, Verdict
from leadline.settings import ModelSettings
from leadline.settings.notify import Target

OWN_WINDOWS = 8
"""With fewer windows of the reference's own the second null of drift does not decide (docs/decisions/0020)."""
_PERSONS = {"one": 1, "two": 2}


@dataclass(frozen=True)
class SeenModel:
    """What was seen of one version of a model.

    ``settings``: as they are in force. ``unusable``: why the version cannot be used, and ``before_unusable`` that to go back to.
    ``receipt``: None where there is none; empty where it verifies; else what is said against it. ``champions``: the newest first.
    ``targets``: of the notifier, or why there are none; ``told``: those that have taken incidents, or had none to take. ``unseen``: by the
    name of a line, why it could not be looked at.
    """

    now_ms: int
    model: str
    version: str
    settings: ModelSettings
    profile: ReferenceProfile | None
    unusable: str
    has_golden: bool
    receipt: str | None
    champions: Sequence[str] = ()
    before_unusable: str = ""
    gate: Verdict | None = None
    targets: Sequence[Target] | str = ()
    told: frozenset[str] = frozenset()
    counts: JoinCounts | None = None
    workers: Sequence[Told] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)


def judge_readiness(seen: SeenModel) -> Iterator[Finding]:
    """A finding for each line; the model is ready where all are fine."""
    for what, line in _LINES.items():
        if what in seen.unseen:
            mend = "name the broker in KAFKA_BOOTSTRAP, look at it with `leadline doctor`, and try again"
            yield wrong(what, f"could not be looked at: {seen.unseen[what]}", mend)
        else:
            yield line(what, seen)


# -- the version ----------------------------------------------------------------------------------------------------------


def _contract(what: str, seen: SeenModel) -> Finding:
    if seen.unusable:
        return wrong(what, seen.unusable, "mend its files, or add the model again")
    if not seen.has_golden:
        return wrong(
            what, f"{seen.version} has no golden sample", "add the model again: `leadline model add` makes one"
        )
    return Finding(what, f"{seen.version} is read, and scores its golden sample as when it was added")


def _receipt(what: str, seen: SeenModel) -> Finding:
    if seen.receipt is None:
        mend = "have it trained by Leadline, from its [training]: candidates have one"
        return wrong(what, f"{seen.version} has no receipt: nobody can train it again and compare", mend)
    if seen.receipt:
        return wrong(what, seen.receipt, f"`leadline verify {seen.model} {seen.version}` names what differs")
    return Finding(what, "trained again from its receipt it is the same")


def _reference(what: str, seen: SeenModel) -> Finding:
    windows = len(seen.profile.windows) if seen.profile else 0
    if windows < OWN_WINDOWS:
        found = f"it has {windows} windows of its own, and what is usual is learned from {OWN_WINDOWS} or more"
        return wrong(
            what, found, "add the model with a reference of labelled rows with a time column (--time), long enough"
        )
    return Finding(what, f"{seen.profile.predictions if seen.profile else 0:,} rows, {windows} windows of its own")


# -- settings -------------------------------------------------------------------------------------------------------------


def _watch(what: str, seen: SeenModel) -> Finding:
    alerts = seen.settings.alerts
    limit = alerts.reference if alerts.reference is not None else _on_reference(seen, alerts.metric)
    if limit is None:
        found = f"nothing is known of {alerts.metric} on the reference: it is not judged"
        return wrong(what, found, "set alerts.reference, or another alerts.metric (`leadline model configure`)")
    if not sum(alerts.weights.values()):
        return wrong(what, "alerts.weights leave no kind of incident: nothing opens", "set alerts.weights")
    return Finding(
        what, f"{alerts.metric} less than {limit:g} by {alerts.margin:g}; false alarms: {alerts.false_alarms}"
    )


def _on_reference(seen: SeenModel, metric: str) -> float | None:
    return seen.profile.metrics.get(metric) if seen.profile else None


def _gate(what: str, seen: SeenModel) -> Finding:
    if list(seen.champions) == [seen.version]:
        return Finding(what, f"{seen.version} is the first champion, which needs no verdict")
    if seen.gate is None:
        mend = "have it trained by Leadline: candidates are compared; `leadline gate run` says what the gate would, and to nobody else"
        return wrong(what, f"no verdict of the gate about {seen.version}", mend)
    answers = seen.champions[0] if seen.champions else ""
    if seen.version != answers != seen.gate.champion:
        found = (
            f"it compared {seen.version} with {seen.gate.champion or 'nothing'}, and {answers or 'nothing'} answers now"
        )
        return wrong(what, found, "have another one trained, which is compared with what answers")
    if seen.gate.verdict != "promote":
        return wrong(
            what, f"its verdict about {seen.version} is {seen.gate.verdict}: {seen.gate.reason}", "take another version"
        )
    return Finding(what, f"{seen.version} passed: {seen.gate.reason}")


def _approval(what: str, seen: SeenModel) -> Finding:
    approval = seen.settings.approval
    if approval.policy == "auto":
        found = "nobody has to agree: whatever passes the gate answers"
        return wrong(what, found, 'write approval.policy = "one" or "two" into model.toml')
    persons = _PERSONS[approval.policy]
    if approval.proof == "signature" and len(approval.keys) < persons:
        found = f"{persons} have to sign, and approval.keys has {len(approval.keys)}: nothing can be approved"
        return wrong(what, found, "`leadline keys` makes a key; write its public half into approval.keys")
    return Finding(what, f"{approval.policy}, by {approval.proof}")


def _runbook(what: str, seen: SeenModel) -> Finding:
    if not seen.settings.runbook:
        mend = f"`leadline model configure {seen.model} runbook=URL --reason WHY`"
        return wrong(what, "none: who is woken finds no page that says what to do", mend)
    return Finding(what, seen.settings.runbook)


# -- what runs ------------------------------------------------------------------------------------------------------------


def _rollback(what: str, seen: SeenModel) -> Finding:
    if not seen.champions:
        return wrong(what, "no version answers", f"`leadline model promote {seen.model} VERSION`")
    if len(seen.champions) < 2:
        return wrong(
            what,
            f"none: {seen.champions[0]} is the first champion",
            "keep a simple version that may answer, and promote it first",
        )
    if seen.before_unusable:
        return wrong(what, f"{seen.champions[1]} cannot be used: {seen.before_unusable}", "restore its files")
    return Finding(what, f"{seen.champions[1]}, which is here and scores its golden sample")


def _incidents(what: str, seen: SeenModel) -> Finding:
    if isinstance(seen.targets, str):
        return wrong(what, seen.targets, "write a file of targets (docs/notify.md), and name it with --notify")
    mine = [
        each for each in seen.targets if "critical" in each.severities and seen.model in (each.models or [seen.model])
    ]
    if not mine:
        return wrong(what, "no target hears of critical incidents of this model", "add one to the file of targets")
    silent = sorted(each.name for each in mine if each.name not in seen.told)
    if silent:
        return wrong(
            what,
            f"{', '.join(silent)} has taken none of the incidents so far",
            "run `leadline notify`, and try `--test`",
        )
    return Finding(what, f"to {', '.join(sorted(each.name for each in mine))}")


def _labels(what: str, seen: SeenModel) -> Finding:
    mend = "send outcomes (docs/clients.md); `leadline doctor` shows whether any come"
    last_at = seen.counts.last_outcome_at if seen.counts else None
    if last_at is None:
        return wrong(what, "no outcome of this model has come", mend)
    silent_ms = seen.now_ms - last_at
    if silent_ms > 2 * max(seen.settings.window, seen.settings.horizon):
        return wrong(what, f"the newest outcome came {for_long(silent_ms)} ago", mend, last_at)
    return Finding(what, f"the newest outcome came {for_long(silent_ms)} ago")


def _served(what: str, seen: SeenModel) -> Finding:
    name = f"{seen.model} {seen.version}"
    scoring = scorers(Seen(seen.now_ms, seen.workers))
    have = [each.health.worker_id for each in scoring if name in each.health.versions]
    if not scoring:
        return wrong(what, "no worker that scores is alive", "start one with `leadline worker`")
    if not have:
        why = next(
            (each.health.unusable[name] for each in scoring if name in each.health.unusable), "it is not its champion"
        )
        return wrong(
            what, f"no worker has loaded {seen.version}: {why}", f"`leadline model promote {seen.model} {seen.version}`"
        )
    return Finding(what, f"{len(have)} of {len(scoring)} workers that score have loaded {seen.version}")


_LINES: Mapping[str, Callable[[str, SeenModel], Finding]] = {
    "contract": _contract,
    "receipt": _receipt,
    "reference": _reference,
    "watch": _watch,
    "gate": _gate,
    "approval": _approval,
    "rollback": _rollback,
    "incidents": _incidents,
    "runbook": _runbook,
    "labels": _labels,
    "workers": _served,
}
ON_CLUSTER = ("rollback", "gate", "incidents", "labels", "workers")
"""The lines that only the cluster can tell."""
