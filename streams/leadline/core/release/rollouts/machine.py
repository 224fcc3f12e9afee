"""What the table of states makes of the rollout of a model: the row that is taken, and what is done by it."""

from collections.abc import Sequence

from pydantic import TypeAdapter

from leadline.core.models import Models
from leadline.core.processor import Store
from leadline.core.release.passing import Passing
from leadline.core.release.rollouts.looking import LOOK_MS, Looking, Seen, step_ms
from leadline.core.release.rollouts.table import Case, Effect, Event, Row, State, next_share, row_for
from leadline.core.release.rollouts.told import MOST_CHARS, STAGE, Said, Told
from leadline.core.release.rollouts.under_way import OfModel, UnderWay, place
from leadline.core.release.states import Event as OfVersion
from leadline.core.release.versions import Versions
from leadline.core.store_keys import RolloutKeys
from leadline.records import LEAD_MS
from leadline.settings import ModelSettings

_OF_MODEL = TypeAdapter(OfModel)
_NOTHING_KNOWN = ModelSettings(name="unknown")
_VERDICTS = {
    Event.BROKEN: "roll-back", Event.WORSE: "roll-back", Event.ROLL_BACK: "roll-back", Event.REJECT: "reject",
    Event.WATCH_OVER: "promote",
}  # fmt: skip
"""What the end of a rollout is as a verdict, where it is not inconclusive."""


class Machine:
    """The rollouts of a task, and what becomes of them by the table."""

    def __init__(
        self, store: Store, versions: Versions, models: Models, passing: Passing, told: Told, looking: Looking
    ) -> None:
        self._store = store
        self._versions = versions
        self._models = models
        self._passing = passing
        self._told = told
        self._looking = looking
        self._held: dict[str, OfModel] = {}

    def of(self, model: str) -> OfModel:
        """What is known of the rollouts of a model."""
        if model not in self._held:
            value = self._store.get(RolloutKeys.UNDER_WAY + model.encode())
            self._held[model] = OfModel() if value is None else _OF_MODEL.validate_json(value)
        return self._held[model]

    def settings(self, model: str) -> ModelSettings:
        """The settings of a model; the ordinary ones where its own cannot be read any more."""
        return self._models.settings(model) or _NOTHING_KNOWN

    def keep(self) -> None:
        """Write what has changed, and forget what was read."""
        for model, of in self._held.items():
            key, value = RolloutKeys.UNDER_WAY + model.encode(), _OF_MODEL.dump_json(of)
            if self._store.get(key) != value:
                self._store.put(key, value)
        self._held = {}

    def happen(self, model: str, event: Event, said: Said, at_ms: int, seen: Seen | None = None) -> Row | None:
        """An event: the row of the table that is taken, after what it says was done; None where nothing changes."""
        of, settings = self.of(model), self.settings(model)
        row = row_for(event, Case(of, settings.rollout, seen.guarded.held if seen is not None else ""))
        rollout = of.under_way
        if row is None or rollout is None:
            return row
        match row.effect:
            case Effect.BEGIN:
                rollout.state = row.then.value
                rollout.answers = None if row.then is State.SHADOW else of.clock + LEAD_MS
                self._told.verdict(model, rollout, "hold", said._replace(reason=_begins(rollout, said)), at_ms)
                self.write(model, rollout, said, at_ms)
                self.file(model, of, settings)
            case Effect.NOTE:
                rollout.proven = True
            case Effect.STEP:
                self._step(model, of, settings, at_ms)
            case Effect.HOLD:
                self._stay(model, rollout, event, said, seen, at_ms)
            case Effect.PAUSE | Effect.RESUME:
                rollout.state, rollout.since = row.then.value, of.clock
                self.write(model, rollout, said, at_ms)
            case Effect.PROMOTE:
                self._promote(model, of, settings, said, at_ms)
            case Effect.SETTLE | Effect.TAKE_OUT | Effect.GO_BACK | Effect.GIVE_UP:
                self._end(model, of, row, said, at_ms)
        return row

    def _step(self, model: str, of: OfModel, settings: ModelSettings, at_ms: int) -> None:
        rollout, share = of.under_way, next_share(Case(of, settings.rollout))
        assert rollout is not None
        assert share is not None
        before = rollout.mode if rollout.state == State.SHADOW else f"{rollout.shares[rollout.version]:.3g}"
        rollout.step = 0 if rollout.state == State.SHADOW else rollout.step + 1
        rollout.state, rollout.mode, rollout.since = State.CANARY.value, "canary", of.clock
        rollout.answers = of.clock + LEAD_MS if rollout.answers is None else rollout.answers
        rollout.shares = {rollout.version: share}
        reason = f"{rollout.version} answers {share:.3g} of the requests: nothing spoke against it at {before}"
        self.write(model, rollout, Said(STAGE, reason), at_ms)

    def _stay(self, model: str, rollout: UnderWay, event: Event, said: Said, seen: Seen | None, at_ms: int) -> None:
        """Tell once why it stays as it is."""
        if event is Event.DEADLINE:
            rollout.is_late = True
            self._told.verdict(model, rollout, "inconclusive", said, at_ms)
        elif seen is not None and rollout.held != seen.guarded.held:
            rollout.held = seen.guarded.held
            reason = f"it goes on no further: {seen.guarded.held}"
            self._told.verdict(model, rollout, "hold", said._replace(reason=reason), at_ms)

    def _promote(self, model: str, of: OfModel, settings: ModelSettings, said: Said, at_ms: int) -> None:
        rollout = of.under_way
        assert rollout is not None
        if said.person or rollout.told[:1] != ["promote"]:
            verdict = "promote" if said.person or rollout.proven else "inconclusive"
            self._told.verdict(model, rollout, verdict, said, at_ms)
        of.spent = 0.0 if said.person else of.spent + self._looking.margin(of, settings)
        self._release([each for each in rollout.arms if each != rollout.version], model)
        rollout.state, rollout.since, rollout.told, rollout.held = State.WATCHED.value, of.clock, [], ""
        self.write(model, rollout, said, at_ms)

    def _end(self, model: str, of: OfModel, row: Row, said: Said, at_ms: int) -> None:
        rollout = of.under_way
        assert rollout is not None
        self._told.verdict(model, rollout, _VERDICTS.get(row.event, "inconclusive"), said, at_ms)
        arms, of.under_way = rollout.arms, None
        if row.then is State.ROLLED_BACK:
            of.cool(arms, of.clock + self.settings(model).rollout.cooldown)
        if row.effect is not Effect.GIVE_UP:
            champion = rollout.version if row.effect is Effect.SETTLE else rollout.champion
            self._told.ended(model, rollout, champion, row.then.value, said, at_ms)
        self._release(arms, model)
        self._looking.forget(model)

    def _release(self, versions: Sequence[str], model: str) -> None:
        """These versions are in no rollout any more."""
        for version in versions:
            self._versions.keep(self._versions.find(model, version).then(OfVersion.OUT))

    def file(self, model: str, of: OfModel, settings: ModelSettings) -> None:
        """Have it looked at again soon; what is filed is not filed again."""
        rollout = of.under_way
        if rollout is not None and not of.clock <= rollout.filed <= of.clock + LOOK_MS:
            end = rollout.since + step_ms(rollout, settings)
            rollout.filed = self._passing.until(end if of.clock <= end < of.clock + LOOK_MS else of.clock + LOOK_MS, 0)
            self._passing.file(model, "", rollout.filed)

    def write(self, model: str, rollout: UnderWay, said: Said, at_ms: int) -> None:
        """Tell who answers."""
        self._told.under_way(model, rollout, self.settings(model).rollout.sample, said, at_ms)


def _begins(rollout: UnderWay, said: Said) -> str:
    return f"the rollout begins ({place(rollout)}): {said.reason[:MOST_CHARS]}"
