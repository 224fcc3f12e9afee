"""The rollouts of a task: what comes, as events of the table of states, and what is done by it."""

from collections.abc import Sequence
from hashlib import sha256

from leadline.core.models import Models
from leadline.core.processor import Store
from leadline.core.release.decided import Decided
from leadline.core.release.passing import Passing
from leadline.core.release.rollouts.estimates import remember_estimate
from leadline.core.release.rollouts.looking import Looking, Seen, cycle_of, step_ms
from leadline.core.release.rollouts.machine import Machine
from leadline.core.release.rollouts.table import Event, Row, State
from leadline.core.release.rollouts.told import MOST_CHARS, STAGE, Said, Told
from leadline.core.release.rollouts.under_way import Approved, OfModel, UnderWay, place
from leadline.core.release.states import Event as OfVersion
from leadline.core.release.states import State as VersionState
from leadline.core.release.versions import Known, Versions
from leadline.core.tables import Table
from leadline.records import PairPartial, WindowMetrics, identity, iso
from leadline.settings import ModelSettings


class Rolling:
    """The rollouts of the models that are routed to this task. One of a model is under way at a time."""

    def __init__(
        self, store: Store, versions: Versions, models: Models, passing: Passing, decided: Decided, workers: Table
    ) -> None:
        self._versions = versions
        self._models = models
        self._decided = decided
        self._told = Told(versions, decided)
        self._looking = Looking(store, models, workers)
        self._machine = Machine(store, versions, models, passing, self._told, self._looking)

    def keep(self) -> None:
        """Write what has changed, and forget what was read."""
        self._machine.keep()

    def of(self, model: str, at_ms: int) -> OfModel:
        """What is under way of a model at a time. Nothing is, once somebody wrote another rollout by hand."""
        of = self._machine.of(model)
        if of.under_way is None:
            return of
        of.pass_time(at_ms)
        holds = self._versions.holds(model)
        if holds is not None and holds.rollout_id != of.under_way.rollout_id:
            reason = f"{holds.champion} was made champion by hand: {holds.reason[:MOST_CHARS]}"
            self.happen(model, Event.BY_HAND, Said(STAGE, reason), at_ms)
        return of

    # -- a version is let in ------------------------------------------------------------------------------------------

    def let_in(self, known: Known, said: Said, at_ms: int) -> str:
        """A version may become champion: it does at once, by a rollout, or after the one that is under way."""
        of, champion = self.of(known.model, at_ms), self._versions.champion(known.model)
        if known.version == champion:
            self._again(known, of, said, at_ms)
            return f"{known.version} is champion again"
        settings, cooling = self._machine.settings(known.model), of.cooling.get(known.version, at_ms)
        at_once = not champion or settings.rollout.begin == "at-once" or self._goes_back(known)
        if not at_once and not said.person and cooling > at_ms:
            return self._cool(known, said, champion, cooling, at_ms)
        if of.under_way is not None:
            return self._wait(known, of, said, champion, at_ms)
        if at_once:
            made = self._told.at_once(known, said, at_ms)
            return f"{known.version} is champion" + (f" instead of {made.before}" if made.before else ", the first one")
        planned = UnderWay("", known.version, champion, "", "none", "shadow", {known.version: 0.0}, 0, 0)
        return self.begin([known], planned, said, at_ms)

    def begin(self, arms: Sequence[Known], planned: UnderWay, said: Said, at_ms: int) -> str:
        """A rollout begins."""
        of, model, settings = self.of(arms[0].model, at_ms), arms[0].model, self._machine.settings(arms[0].model)
        holds = self._versions.holds(model)
        planned.before = holds.before if holds is not None else ""
        planned.rollout_id = sha256(identity(model, planned.version, said.cause)).hexdigest()[:16]
        planned.began = planned.since = of.pass_time(at_ms)
        for each in arms:
            self._versions.keep(each.then(OfVersion.AGREED).then(OfVersion.BEGUN))
            of.forget(each.version)
        if planned.mode == "canary":
            planned.shares = {planned.version: settings.rollout.steps[0]}
        planned.told, planned.cycle, of.under_way = ["no-labels", "*"], cycle_of(of.clock, settings), planned
        self.happen(model, Event.STARTED, said, at_ms)
        return f"the rollout of {planned.version} beside {planned.champion} begins: {place(planned)}"

    def _again(self, known: Known, of: OfModel, said: Said, at_ms: int) -> None:
        """The champion is rolled out again, so that workers load it again; a rollout goes on as it is."""
        if of.under_way is None:
            self._told.at_once(known, said, at_ms)
        else:
            self._machine.write(known.model, of.under_way, said, at_ms)

    def _wait(self, known: Known, of: OfModel, said: Said, champion: str, at_ms: int) -> str:
        assert of.under_way is not None
        approved = Approved(known.version, champion, said.actor, said.reason[:MOST_CHARS], said.cause)
        rollout = f"the rollout of {of.under_way.version} is under way ({place(of.under_way)})"
        what = f"it ends, or `leadline rollout abort {known.model}` ends it"
        if not of.wait(approved):
            return self._hold(known, said, champion, f"{rollout}, and too many wait for its end", at_ms)
        self._versions.keep(known.then(OfVersion.AGREED))
        return self._hold(known, said, champion, f"{known.version} is approved and waits: {rollout}; {what}", at_ms)

    def _cool(self, known: Known, said: Said, champion: str, until: int, at_ms: int) -> str:
        why = f"{known.version} was rolled back and does not begin by itself until {iso(until)}"
        return self._hold(
            known, said, champion, f"{why}: `leadline rollout start {known.model} {known.version}` begins it", at_ms
        )

    def _hold(self, known: Known, said: Said, champion: str, reason: str, at_ms: int) -> str:
        self._decided.judge(known, "hold", reason, said.cause, at_ms, champion, said.person)
        return reason

    def _goes_back(self, known: Known) -> bool:
        holds = self._versions.holds(known.model)
        return holds is not None and holds.before == known.version

    # -- what comes ---------------------------------------------------------------------------------------------------

    def pair(self, partial: PairPartial, at_ms: int) -> None:
        """Two versions have scored the same requests; `look` says what that shows."""
        of, settings = self.of(partial.model, at_ms), self._models.settings(partial.model)
        if of.under_way is not None and settings is not None:
            for comparison in self._looking.take(of.under_way, partial, settings, at_ms):
                self._decided.add("comparisons", comparison, at_ms)

    def measured(self, record: WindowMetrics, at_ms: int) -> None:
        """A window of a version was measured: `look` says whether too little is expected of the version."""
        if self._models.settings(record.model) is not None:
            remember_estimate(self.of(record.model, at_ms), record)

    def look_again(self) -> None:
        """Look at the rollouts of which pairs have come."""
        for model, at_ms in self._looking.fresh():
            self.look(model, at_ms)

    def look(self, model: str, at_ms: int) -> None:
        """What guardrails, evidence and time make of a rollout."""
        of = self.of(model, at_ms)
        settings = self._models.settings(model)
        if of.under_way is None or settings is None:
            return
        seen = self._looking.look(model, of, settings)
        event = Event.BROKEN if seen.guarded.broken else Event.WORSE if seen.worse is not None else None
        if event is not None:
            self.happen(model, event, seen.said(), at_ms)
            return
        self._note(model, of.under_way, seen, settings, at_ms)
        self._pass_time(model, of, seen, settings, at_ms)
        self._machine.file(model, of, settings)

    def _note(self, model: str, rollout: UnderWay, seen: Seen, settings: ModelSettings, at_ms: int) -> None:
        """Tell of what has changed, and at least once a cycle of what has not."""
        unusable = seen.guarded.unusable
        if unusable and unusable != rollout.held:
            self._told.verdict(model, rollout, "hold", seen.said(f"it goes on no further: {unusable}"), at_ms)
        rollout.held = seen.guarded.held and (unusable or rollout.held)
        if seen.look is None:
            return
        rollout.proven, rollout.shown = False, seen.look.reason
        if seen.look.verdict == "promote":
            self.happen(model, Event.PROVEN, seen.said(), at_ms, seen)
        verdict = "hold" if rollout.at == "watch" else seen.look.verdict
        told, cycle = [verdict, seen.look.segment], cycle_of(self._machine.of(model).clock, settings)
        if told != rollout.told or (seen.look.pairs != rollout.pairs and cycle != rollout.cycle):
            rollout.told, rollout.cycle, rollout.pairs = told, cycle, seen.look.pairs
            self._told.verdict(model, rollout, verdict, seen.said(_proven(rollout, seen, settings)), at_ms)

    def _pass_time(self, model: str, of: OfModel, seen: Seen, settings: ModelSettings, at_ms: int) -> None:
        rollout, policy = of.under_way, settings.rollout
        assert rollout is not None
        is_over = of.clock > rollout.since + step_ms(rollout, settings)
        if rollout.state == State.WATCHED:
            reason = f"{rollout.version} stays champion: nothing spoke against it since {iso(rollout.since)}"
            if is_over:
                self.happen(model, Event.WATCH_OVER, seen.said(reason), at_ms, seen)
            return
        if policy.deadline is not None and not rollout.is_late and of.clock > rollout.began + policy.deadline:
            self.happen(model, Event.DEADLINE, seen.said(_late(rollout, settings)), at_ms, seen)
        if of.under_way is rollout and is_over:
            self.happen(model, Event.BAKED, seen.said(rollout.shown), at_ms, seen)

    # -- what becomes of it -------------------------------------------------------------------------------------------

    def happen(self, model: str, event: Event, said: Said, at_ms: int, seen: Seen | None = None) -> Row | None:
        """An event: the row of the table that is taken, after what it says was done; None where nothing changes."""
        row = self._machine.happen(model, event, said, at_ms, seen)
        if row is not None and self._machine.of(model).under_way is None:
            self._go_on(model, self._machine.of(model), at_ms)
        return row

    def _go_on(self, model: str, of: OfModel, at_ms: int) -> None:
        """Those that have waited, in their order, where still the same version answers."""
        champion = self._versions.champion(model)
        for each in list(of.waiting):
            known = self._versions.find(model, each.version)
            if of.under_way is not None:
                return
            of.forget(each.version)
            said = Said(each.actor, each.reason, each.cause)
            if known.state is VersionState.APPROVED and champion == each.champion == self._versions.champion(model):
                self.let_in(known, said, at_ms)
            elif known.state is VersionState.APPROVED:
                self._versions.keep(known.then(OfVersion.LATE))
                reason = "the approval is over: another version became champion meanwhile"
                self._decided.judge(known, "inconclusive", reason, each.cause, at_ms, each.champion)


def _proven(rollout: UnderWay, seen: Seen, settings: ModelSettings) -> str:
    """What is said of a verdict, where a person has to act on it."""
    by_person = rollout.state == State.AB or not settings.rollout.automatic
    if not (rollout.proven and by_person and seen.look is not None):
        return ""
    return f"{seen.look.reason}; a person makes it champion, by `leadline rollout promote`"


def _late(rollout: UnderWay, settings: ModelSettings) -> str:
    over = iso(rollout.began + (settings.rollout.deadline or 0))
    return f"it is not proven until its deadline {over}: {rollout.shown or 'no pairs were due'}"
