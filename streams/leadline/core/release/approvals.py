"""What becomes of one version: by the gate, by persons, by time. Each step goes by the table of states."""

from dataclasses import replace

from leadline.core.models import Models
from leadline.core.release.decided import Decided
from leadline.core.release.passing import Passing
from leadline.core.release.persons import RefusedError, needed, policy_words, same
from leadline.core.release.rollouts.rolling import Rolling
from leadline.core.release.rollouts.table import Event as OfRollout
from leadline.core.release.rollouts.told import GATE, Said
from leadline.core.release.states import Event, State
from leadline.core.release.versions import Known, Versions, Waiting
from leadline.records import Candidate, Command, Verdict, brief, iso
from leadline.settings import ApprovalSettings, ModelSettings

_EVENTS = {"promote": Event.PASSED, "reject": Event.FAILED}


class Approvals:
    """Decides for the versions of a task. The methods for commands return what is answered, or raise RefusedError."""

    def __init__(
        self, versions: Versions, models: Models, passing: Passing, decided: Decided, rolling: Rolling
    ) -> None:
        self._versions = versions
        self._models = models
        self._passing = passing
        self._decided = decided
        self._rolling = rolling

    def policy(self, model: str) -> ApprovalSettings:
        """Who has to agree. Raises RefusedError where nobody knows."""
        return self.settings(model).approval

    def settings(self, model: str) -> ModelSettings:
        """The settings of a model. Raises RefusedError where nobody knows them."""
        settings = self._models.settings(model)
        if settings is None:
            why = self._models.why_unusable(model)
            raise RefusedError(why or f"no model is called {brief(model)} where the worker looks for models")
        return settings

    # -- the gate -----------------------------------------------------------------------------------------------------

    def candidate(self, candidate: Candidate, at_ms: int) -> None:
        """There is a candidate; the verdict of its gate may have come before it."""
        known = replace(
            self.now(candidate.model, candidate.version, at_ms), is_candidate=True, retrain_id=candidate.retrain_id
        )
        found = known.then(Event.CANDIDATE)
        self._versions.keep(found)
        if found.state is not known.state and found.gate:
            self._judged(found, found.seen[-1], at_ms)

    def gate(self, verdict: Verdict, at_ms: int) -> None:
        """The gate has judged a version; the same verdict again changes nothing."""
        known = self.now(verdict.model, verdict.version, at_ms)
        if verdict.verdict_id not in known.seen:
            found = known.judged(verdict)
            self._versions.keep(found)
            self._judged(found, verdict.verdict_id, at_ms)

    def _judged(self, known: Known, verdict_id: str, at_ms: int) -> None:
        """Let in what the gate has passed, or ask persons."""
        found = known.then(_EVENTS.get(known.gate, Event.HELD))
        self._versions.keep(found)
        self._out_of_rollout(known, found, Said(GATE, known.gate_reason, verdict_id), at_ms)
        if found.state is not State.GATED:
            return
        champion = self._versions.champion(found.model)
        try:
            policy = self._fresh_policy(found, champion)
        except RefusedError as why:
            self._decided.judge(found, "hold", f"{why}; a person may promote it", verdict_id, at_ms, champion)
            return
        if needed(policy):
            self._ask(found, policy, Waiting(verdict_id, "", champion, 0), at_ms)
        else:
            self._rolling.let_in(found, Said(GATE, found.gate_reason, verdict_id), at_ms)

    def _fresh_policy(self, known: Known, champion: str) -> ApprovalSettings:
        """Who has to agree to what the gate has passed. Raises RefusedError where that is not known, or the gate's verdict is outdated."""
        if known.against != champion:
            against = f"the gate compared it with {known.against or 'nothing'}"
            raise RefusedError(f"{against}, and {champion or 'nothing'} answers now")
        return self.policy(known.model)

    # -- persons ------------------------------------------------------------------------------------------------------

    def promote(self, command: Command, version: str, person: str, at_ms: int) -> str:
        """A person wants a version to answer."""
        known, policy = self.now(command.model, version, at_ms), self.policy(command.model)
        if known.state is State.WAITING:
            raise RefusedError(f"it waits for approval already: `leadline approve {command.model} {version}`")
        if known.state is State.APPROVED:
            raise RefusedError("it is approved, and waits for the end of the rollout that is under way")
        if known.state is not State.SERVING:
            self.refuse_ungated(known, policy)
        if known.state is State.SERVING or not needed(policy):
            return self._rolling.let_in(known, Said(person, command.reason, command.command_id), at_ms)
        agreed = () if policy.not_requester else (person,)
        waiting = Waiting(command.command_id, person, self._versions.champion(known.model), 0, agreed)
        if len(agreed) >= needed(policy):
            return self._agreed(known, command, waiting, at_ms)
        return self._ask(known, policy, waiting, at_ms)

    def approve(self, command: Command, version: str, person: str, at_ms: int) -> str:
        """A person agrees."""
        known, policy = self.now(command.model, version, at_ms), self.policy(command.model)
        waiting = known.waiting
        if known.state is not State.WAITING or waiting is None:
            raise RefusedError(f"nothing is to be approved: {version} is {_words(known)}")
        if self._versions.champion(known.model) != waiting.champion:
            self._late(known, "another version became champion meanwhile", at_ms)
            raise RefusedError("another version became champion meanwhile: have it compared and promoted again")
        if policy.not_requester and self._has_asked(known, waiting, person):
            raise RefusedError(f"{person} has asked for it: another person has to agree")
        if same(person) in map(same, waiting.agreed):
            raise RefusedError(f"{person} has agreed already: another person has to")
        waiting = replace(waiting, agreed=(*waiting.agreed, person))
        if len(waiting.agreed) >= needed(policy):
            return self._agreed(known, command, waiting, at_ms)
        self._versions.keep(replace(known, waiting=waiting))
        return (
            f"{len(waiting.agreed)} of {needed(policy)} have agreed to {version}, until {iso(waiting.until)} others may"
        )

    def reject(self, command: Command, version: str, person: str, at_ms: int) -> str:
        """A person says no."""
        known = self.now(command.model, version, at_ms)
        found = known.then(Event.REJECT)
        if found.state is known.state:
            raise RefusedError(f"nothing is to be rejected: {version} is {_words(known)}")
        self._versions.keep(found)
        champion = self._versions.champion(known.model)
        self._decided.judge(found, "reject", command.reason, command.command_id, at_ms, champion, person)
        self._out_of_rollout(known, found, Said(person, command.reason, command.command_id), at_ms)
        return f"{version} is rejected"

    def refuse_ungated(self, known: Known, policy: ApprovalSettings) -> None:
        """Raise RefusedError where a version may not become champion, whoever agrees."""
        holds = self._versions.holds(known.model)
        if known.gate == "promote" or holds is None or holds.before == known.version:
            return
        if known.gate:
            raise RefusedError(f"the gate says {brief(known.gate)}: {known.gate_reason}")
        if known.is_candidate:
            raise RefusedError("it is a candidate, and no gate has compared it yet")
        if needed(policy):
            raise RefusedError(f"no gate has compared it, and [approval] policy is {policy.policy}")

    def _has_asked(self, known: Known, waiting: Waiting, person: str) -> bool:
        """Whether a person has asked for the promotion, or the training. Raises RefusedError where that is not known."""
        asked = self._versions.who_asked(known.model, known.retrain_id) if known.retrain_id else ""
        if asked is None:
            raise RefusedError(
                f"who asked for its training {brief(known.retrain_id)} is not known (yet): give it again in a minute"
            )
        return same(person) in {same(asked), same(waiting.asked_by)}

    # -- what comes of it ---------------------------------------------------------------------------------------------

    def _ask(self, known: Known, policy: ApprovalSettings, waiting: Waiting, at_ms: int) -> str:
        waiting = replace(waiting, until=self._passing.until(at_ms, policy.expires))
        found = replace(known.then(Event.ASKED), waiting=waiting)
        self._versions.keep(found)
        self._passing.file(found.model, found.version, waiting.until)
        others = waiting.asked_by or self._versions.who_asked(known.model, known.retrain_id) or ""
        reason = f"{known.version} waits for {policy_words(policy, others)}, until {iso(waiting.until)}"
        self._decided.judge(found, "hold", reason, waiting.cause, at_ms, waiting.champion, waiting.asked_by)
        return f"{reason}: `leadline approve {known.model} {known.version}`"

    def _agreed(self, known: Known, command: Command, waiting: Waiting, at_ms: int) -> str:
        persons, cause = ", ".join(waiting.agreed), command.command_id
        self._decided.judge(known, "promote", command.reason, cause, at_ms, waiting.champion, persons)
        return self._rolling.let_in(known, Said(persons, command.reason, cause), at_ms)

    def _out_of_rollout(self, known: Known, found: Known, said: Said, at_ms: int) -> None:
        """End the rollout of a version that is rejected."""
        if known.state is State.IN_ROLLOUT and found.state is State.REJECTED:
            self._rolling.of(known.model, at_ms)
            self._rolling.happen(known.model, OfRollout.REJECT, said, at_ms)

    def look(self, model: str, version: str, now_ms: int) -> None:
        """End the approval of a version where its time is over."""
        self.now(model, version, now_ms)

    def now(self, model: str, version: str, at_ms: int) -> Known:
        """A version as it is at a time: an approval that nobody has ended may be over."""
        known = self._versions.find(model, version)
        if known.waiting is not None and known.waiting.until < at_ms:
            return self._late(known, f"nobody has ended it until {iso(known.waiting.until)}", at_ms)
        return known

    def _late(self, known: Known, why: str, at_ms: int) -> Known:
        assert known.waiting is not None
        cause, found = known.waiting.cause, known.then(Event.LATE)
        self._versions.keep(found)
        self._decided.judge(found, "inconclusive", f"the approval is over: {why}", cause, at_ms, known.waiting.champion)
        return found


def _words(known: Known) -> str:
    return f"{known.state} ({known.waiting.cause})" if known.waiting else known.state.value
