"""What the table of states makes of a model: which row is taken, and what is written by it."""

from hashlib import sha256

from leadline.core.watch.retraining.of_model import SPOILING, OfModel
from leadline.core.watch.retraining.table import Case, Effect, Event, Row, patience_ms, row_for, why_spoilt
from leadline.core.watch.retraining.triggers import EARLY, MOST_CHARS, Trigger, cause_of, of_incident
from leadline.records import Alert, Check, JoinCounts, Record, Training, Verdict, identity, iso
from leadline.settings import ModelSettings

AT = "retraining"
"""Where the verdicts of this stage are given."""
ENDED = ("succeeded", "failed", "cancelled")
Emitted = tuple[str, Record]


class Machine:
    """What the table of states makes of a model."""

    def __init__(self, model: str, of: OfModel, settings: ModelSettings) -> None:
        self.model = model
        self.of = of
        self.settings = settings
        self.case = Case(of, settings)

    def know_champion(self, champion: str | None) -> None:
        """Who answers now. A request for another version may be over by that."""
        self.of.take_champion(champion)
        under_way = self.of.under_way
        if under_way is not None and champion not in (None, under_way.version):
            self._enter(Event.REPLACED)

    def alert(self, alert: Alert) -> list[Emitted]:
        """An incident opens, changes, or is over."""
        if max(len(alert.alert_id), len(alert.model_version)) > MOST_CHARS:
            return []
        if alert.state in ("resolved", "withdrawn"):
            self.of.close(alert.alert_id)
        elif alert.state in ("opened", "updated") and self.of.champion in (None, alert.model_version):
            return self._open(alert)
        return []

    def counts(self, counts: JoinCounts) -> list[Emitted]:
        """Labels came, or time passed: what is due asks, until one is asked for."""
        self.of.count(counts)
        emitted: list[Emitted] = []
        for trigger in self._due():
            row, found = self.trigger(trigger)
            emitted += found
            if row.effect in (Effect.ASK, Effect.ASK_AGAIN):
                break
        return emitted

    def training(self, training: Training) -> None:
        """What a trainer tells of the request that is under way."""
        under_way = self.of.under_way
        if under_way is not None and training.retrain_id == under_way.retrain_id:
            self._enter(Event.ENDED if training.state in ENDED else Event.TOLD)

    def trigger(self, trigger: Trigger) -> tuple[Row, list[Emitted]]:
        """Something asks for a training: the row that is taken, and what is written."""
        self.case = Case(self.of, self.settings, trigger)
        row = row_for(Event.TRIGGER, self.case)
        assert row is not None
        match row.effect:
            case Effect.ASK:
                return row, [self._ask(trigger)]
            case Effect.ASK_AGAIN:
                return row, [self._ask_again(trigger)]
            case Effect.HOLD:
                return row, self._hold(trigger)
        return row, []

    # -- what asks ----------------------------------------------------------------------------------------------------

    def _open(self, alert: Alert) -> list[Emitted]:
        if alert.kind in SPOILING:
            self.of.spoil(alert, cause_of(alert))
            row = row_for(Event.SPOILT, self.case)
            return self._hold(of_incident(alert), alert.alert_id) if row is not None else []
        if not self._asks(alert):
            self.of.waiting.pop(alert.alert_id, None)
            return []
        trigger = of_incident(alert)
        self.of.wait(trigger)
        return self.trigger(trigger)[1]

    def _asks(self, alert: Alert) -> bool:
        confirmed = not alert.early or alert.kind in EARLY
        worse = alert.kind in self.settings.training.on and alert.segment == "*" and confirmed
        return worse and alert.alert_id not in self.of.done

    def _due(self) -> list[Trigger]:
        """What asks now: incidents that wait, the schedule, new labels."""
        of, training, champion = self.of, self.settings.training, self.of.champion
        found, last_at = list(of.waiting.values()), of.last_at()
        if champion is None:
            return found
        if training.schedule is not None and last_at is not None and of.now() - last_at >= training.schedule:
            said = f"training.schedule: nothing was trained, and {champion} answers, since {iso(last_at)}"
            found.append(Trigger("schedule", champion, said))
        if training.new_labels is not None and of.new_labels() >= training.new_labels:
            said = f"training.new_labels: {of.new_labels():,} more requests have an outcome than when a training was last asked for"
            found.append(Trigger("labels", champion, said, evidence={"new_labels": str(of.new_labels())}))
        return found

    # -- what is done -------------------------------------------------------------------------------------------------

    def _enter(self, event: Event) -> None:
        """What the table says of an event that writes nothing."""
        row, under_way = row_for(event, self.case), self.of.under_way
        if row is None or under_way is None:
            return
        if row.effect is Effect.END:
            self.of.under_way, self.of.ended_at = None, self.of.now()
        elif row.effect is Effect.HEAR:
            under_way.heard_at, under_way.begun = self.of.now(), True

    def _ask(self, trigger: Trigger) -> Emitted:
        at = self.of.now()
        retrain_id = trigger.retrain_id(self.model, at)
        self.of.ask(retrain_id, trigger.version, trigger.alert_id)
        return "retrain-requests", trigger.request(self.model, retrain_id, at)

    def _ask_again(self, trigger: Trigger) -> Emitted:
        under_way, at = self.of.under_way, self.of.now()
        assert under_way is not None
        under_way.heard_at, under_way.begun, self.of.asked_at = at, False, at
        self.of.asked_for(trigger.alert_id)
        return "retrain-requests", trigger.request(self.model, under_way.retrain_id, at)

    def _hold(self, trigger: Trigger, opened: str = "") -> list[Emitted]:
        """A verdict not to train: once for each incident of the pipeline, whatever asks meanwhile, and once for each person.

        ``opened``: the incident of the pipeline that opens just now.
        """
        spoilt = self.of.spoilt_by(patience_ms(self.settings))
        assert spoilt is not None
        asked = ("person", trigger.command_id) if trigger.kind == "person" else ("incident", opened or spoilt[0])
        said = identity(AT, self.model, *asked)
        verdict_id = sha256(said).hexdigest()[:16]
        if not self.of.tell(verdict_id):
            return []
        why = why_spoilt(self.case)
        check = Check("pipeline", "*", None, None, "failed", spoilt[1].cause)
        champion = self.of.champion or ""
        verdict = Verdict(
            verdict_id, self.model, trigger.version, champion, AT, "hold", [check], why, trigger.actor, trigger.name, self.of.now(),
        )  # fmt: skip
        return [("verdicts", verdict)]
