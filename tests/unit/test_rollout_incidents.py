"""The incident of a version that was rolled back by itself: one a rollout, which asks for a person and for no training."""

from dataclasses import replace

from leadline.core.scoring.routing import Deployments
from leadline.core.watch.alerting import Alerting
from leadline.core.watch.retraining.retraining import Retraining
from leadline.records import Alert, Check, Command, Verdict
from leadline.settings import ModelSettings
from rollouts import GOOD, Stage
from stages import Host, Models, records_batch, rolled_out

MODELS = Models({"m": ModelSettings(name="m")})
BAD = Check("failed", "*", 0.03, 0.005, "failed", "v2 gave no score for 30 of 1,000 requests")
BACK = Verdict("x", "m", "v2", "v1", "canary", "roll-back", [BAD], BAD.reason, "", "r1", 5000)


def alerting():
    return Host(lambda store: Alerting(store, MODELS, Deployments(rolled_out(m="v1"))), fresh=True, topic="alerts")


def told(host, *verdicts):
    found = host.feed(records_batch("verdicts", verdicts, 5000))
    return [(each.state, each.model_version, each.revision) for each in found if isinstance(each, Alert)]


def test_it_opens_once_a_rollout_and_is_over_when_the_next_begins():
    host, next_one = alerting(), replace(BACK, verdict="hold", cause="r2", version="v3", at="shadow")
    assert told(host, replace(BACK, verdict="hold"), BACK, replace(BACK, verdict_id="y")) == [("opened", "v2", 1)]
    [opened] = host.emitted
    assert (opened.kind, opened.severity, opened.evidence["failed *"]) == (
        "rollout",
        "warning",
        "0.03 (limit 0.005): " + BAD.reason,
    )
    assert "v2 was rolled back" in opened.cause
    assert told(host, replace(BACK, at="gate", cause="r9"), next_one) == [("resolved", "v2", 2)]
    assert told(host, next_one, replace(BACK, cause="r2", at="watch", as_of=9000)) == [("opened", "v2", 1)]
    assert host.emitted[-1].severity == "critical"
    assert host.emitted[-1].alert_id != opened.alert_id


def test_who_acknowledges_it_ends_it_and_who_rolls_back_knows():
    host = alerting()
    assert told(host, replace(BACK, actor="ann"), BACK) == [("opened", "v2", 1)]
    asked = Command("c", "acknowledge", "m", "ann", "I look", {"alert_id": host.emitted[0].alert_id}, 0)
    found = host.feed(records_batch("commands", [asked], 6000))
    assert [(each.state, each.acknowledged_by) for each in found] == [("updated", "ann"), ("resolved", "ann")]


def test_what_the_stage_itself_says_opens_it_and_nothing_is_trained():
    stage = Stage()
    stage.gate("v2")
    stage.tell(GOOD, ("v2", "shadow", 1000, 30, 100, 1.0))
    stage.wait(11_000)
    host = alerting()
    assert told(host, *stage.of(Verdict)) == [("opened", "v2", 1)]
    retraining = Host(lambda store: Retraining(store, MODELS, Deployments(rolled_out(m="v1"))))
    assert retraining.feed(records_batch("alerts", host.emitted, 7000)) == []
