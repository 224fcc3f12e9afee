"""Which version of a model answers: the one stage that makes champions.

A candidate that the gate has passed is let in, at once or when so many persons have agreed as the policy of the model asks for; a person
may also promote a version. What may follow on what is the table of `states`; `approvals` decides by it. What is let in becomes champion at
once or by a rollout, of which `rollouts.table` has the states. Each decision depends on the records that came before it, on the table of
rollouts, in which releases from before this stage wrote by hand, and for the guardrails on what workers tell.
"""

from collections.abc import Callable

from leadline.core.models import Models
from leadline.core.processor import Batch, Effects, Reject, Store
from leadline.core.release.approvals import Approvals
from leadline.core.release.decided import Decided
from leadline.core.release.passing import Passing
from leadline.core.release.persons import Persons, RefusedError
from leadline.core.release.restoring import Restoring
from leadline.core.release.rollouts.commands import MODE, SHARES, VERSION, RolloutCommands
from leadline.core.release.rollouts.rolling import Rolling
from leadline.core.release.rollouts.told import GATE
from leadline.core.release.versions import Versions
from leadline.core.scoring.routing import Deployments
from leadline.core.store_keys import RolloutKeys
from leadline.core.tables import Table
from leadline.core.watch.answers import Answers
from leadline.records import (
    ABORT,
    ACCEPTED,
    APPROVE,
    PAUSE,
    PROMOTE,
    REFUSED,
    REJECT,
    RESUME,
    ROLL_BACK,
    START,
    Candidate,
    Command,
    CommandAnswer,
    PairPartial,
    Record,
    RetrainRequest,
    Verdict,
    WindowMetrics,
)

_TIMED = ("retrain-requests", "candidates", "verdicts", "commands", "pair-partials")
"""Topics that the stage time goes by: what is estimated holds up nobody."""
READS = (*_TIMED, "metrics")
_NAME_BYTES = 1000
_OTHER_KEY = ("key-mismatch", "the key must be the model in UTF-8: it decides the partition")
_TOO_LONG = ("too-long", f"the names of models, versions, persons and records have at most {_NAME_BYTES} bytes")
_NAMES_VERSION = (PROMOTE, APPROVE, REJECT, START)
"""The commands that have to name a version; of the others it is that of the rollout."""
_Used = RetrainRequest | Candidate | Verdict | Command | PairPartial | WindowMetrics


class Rollouts:
    """The rollouts of the models that are routed to this task. Nobody else writes them."""

    def __init__(
        self, store: Store, models: Models, deployments: Deployments, installation: str, workers: Table | None = None
    ) -> None:
        self._answers = Answers(store, RolloutKeys.ANSWERS)
        self._persons = Persons(store, installation)
        self._versions = Versions(store, deployments)
        self._passing = Passing(store, _TIMED)
        self._decided = Decided()
        self._rolling = Rolling(store, self._versions, models, self._passing, self._decided, workers or Table())
        self._restoring = Restoring(self._versions)
        self._approvals = Approvals(self._versions, models, self._passing, self._decided, self._rolling)
        rollouts = RolloutCommands(self._versions, models, self._approvals, self._rolling)
        self._commands: dict[str, Callable[[Command, str, str, int], str]] = {
            PROMOTE: rollouts.promote,
            APPROVE: self._approvals.approve,
            REJECT: self._approvals.reject,
            START: rollouts.start,
            PAUSE: rollouts.pause,
            RESUME: rollouts.resume,
            ABORT: rollouts.abort,
            ROLL_BACK: rollouts.roll_back,
        }

    @property
    def wake_at_ms(self) -> int | None:
        """When the next approval is over, or the next rollout is looked at, or who answers is written again where the topic has lost it."""
        times = (self._restoring.first(), self._passing.first())
        return min((each for each in times if each is not None), default=None)

    @property
    def has_due(self) -> bool:
        """Whether an approval is over, and nobody has said so, or a rollout is to be looked at."""
        return self._passing.is_due

    def on_batch(self, batch: Batch) -> Effects:
        """What becomes of each record, in the order of their log."""
        self._versions.come_to(batch.now_ms)
        rejects = []
        for index, (record, at_ms) in enumerate(zip(batch.records, batch.arrival_ms.tolist(), strict=True)):
            why = _unusable(record, batch.keys[index])
            if why is None:
                self._take(record, at_ms)
            else:
                rejects.append(Reject(index, *why))
        self._rolling.look_again()
        self._rolling.keep()
        self._passing.arrive([batch.topic], batch.arrival_max_ms)
        self._passing.keep()
        return self._decided.take(rejects)

    def on_time(self, now_ms: int, idle: frozenset[str]) -> Effects:
        """End the approvals that are over, and look at the rollouts whose time it is."""
        self._versions.come_to(max(now_ms, self._passing.stage_ms))
        self._passing.arrive(idle, now_ms)
        for lost in self._restoring.take(now_ms):
            self._decided.add("rollouts", lost, now_ms)
            self._passing.keep()
        if self._passing.is_due:
            for model, version in self._passing.over():
                self._approvals.look(model, version, self._passing.stage_ms)
                if not version:
                    self._rolling.look(model, self._passing.stage_ms)
            self._rolling.keep()
            self._passing.keep()
        return self._decided.take()

    def _take(self, record: Record, at_ms: int) -> None:
        match record:
            case RetrainRequest():
                self._versions.asked(record.model, record.retrain_id, record.actor)
            case Candidate():
                self._approvals.candidate(record, at_ms)
            case Verdict() if record.at == GATE:
                self._approvals.gate(record, at_ms)
            case PairPartial():
                self._rolling.pair(record, at_ms)
            case WindowMetrics():
                self._rolling.measured(record, at_ms)
            case Command() if record.kind in self._commands:
                self._decided.add("command-answers", self._answer(record, at_ms), at_ms)

    def _answer(self, command: Command, at_ms: int) -> CommandAnswer:
        held = self._answers.known(command)
        if held is not None:
            return held
        try:
            said = (ACCEPTED, self._obey(command, at_ms))
        except RefusedError as why:
            said = (REFUSED, str(why))
        answer = CommandAnswer(command.command_id, command.model, command.kind, *said, as_of=at_ms)
        self._answers.remember(command, answer)
        return answer

    def _obey(self, command: Command, at_ms: int) -> str:
        version = command.arguments.get(VERSION, "")
        known = {VERSION, MODE, SHARES} if command.kind == START else {VERSION}
        if (not version and command.kind in _NAMES_VERSION) or not command.arguments.keys() <= known:
            raise RefusedError(
                f"it names no version, or more than that: arguments are {', '.join(sorted(known))} alone"
            )
        person = self._persons.who(command, self._approvals.policy(command.model), at_ms)
        return self._commands[command.kind](command, version, person, at_ms)


def _unusable(record: Record, key: bytes) -> tuple[str, str] | None:
    """Why a record cannot be used. Else the model of a key could be decided about in two places."""
    if not isinstance(record, _Used):
        return None
    if record.model.encode() != key and not isinstance(record, PairPartial | WindowMetrics):
        return _OTHER_KEY
    return _TOO_LONG if any(len(name.encode()) > _NAME_BYTES for name in _names(record)) else None


def _names(record: _Used) -> tuple[str, ...]:
    """What is kept of a record."""
    match record:
        case RetrainRequest():
            return record.model, record.retrain_id, record.actor
        case Candidate():
            return record.model, record.version, record.retrain_id
        case Verdict():
            return record.model, record.version, record.champion, record.verdict_id, record.verdict
        case PairPartial():
            return record.model, record.first, record.second, record.segment
        case WindowMetrics():
            return record.model, record.model_version
        case Command():
            return record.model, *record.arguments.values()
