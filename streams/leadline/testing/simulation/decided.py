"""What has to be so of the decisions: incidents, trainings, and the chain of the audit."""

from collections import defaultdict
from collections.abc import Iterator

from leadline.core.release.audit import DECISIONS
from leadline.records import Alert, AuditEntry, CommandAnswer, Rollout
from leadline.testing.audited import wrong_chain
from leadline.testing.journal import taken
from leadline.testing.naive_retraining import Reading
from leadline.testing.simulation.pretended_models import MODEL
from leadline.testing.simulation.world import JOURNALED, RETRAINING, World
from leadline.wire.partitions import partition_of


def wrong_alerts(world: World) -> Iterator[str]:
    """An incident opens once, and is resolved or withdrawn once."""
    states: defaultdict[str, list[str]] = defaultdict(list)
    for record in world.driver.read("alerts"):
        assert isinstance(record, Alert)
        if record.state != "updated" and states[record.alert_id][-1:] != [record.state]:
            states[record.alert_id].append(record.state)
    for alert_id, seen in states.items():
        if seen not in (["opened"], ["opened", "resolved"], ["opened", "withdrawn"]):
            yield f"incident {alert_id} went through {seen}"


def wrong_requests(world: World) -> Iterator[str]:
    """Training is asked for, refused and ended as a naive reading of what the stage read does it."""
    stage, partition = (
        next(each for each in JOURNALED if each.name == RETRAINING),
        partition_of(MODEL.encode(), world.driver.partitions),
    )
    rollouts = [(each, each.event_time) for each in world.driver.read("rollouts") if isinstance(each, Rollout)]
    settings = world.models.known
    log = [each for each in taken(world.driver, stage, partition) if getattr(each[0], "model", "") == MODEL]
    reading = Reading(log, rollouts, settings).read()
    wanted = [each.retrain_id for each in reading.written]
    asked = [row["retrain_id"] for row in world.driver.log("retrain-requests")]
    if asked != wanted:
        yield f"the trainings {asked} are asked for, not {wanted}"
    answers = [each for each in world.driver.read("command-answers") if isinstance(each, CommandAnswer)]
    if {each.command_id: each.answer == "accepted" for each in answers} != reading.accepted:
        yield f"commands are answered by {answers}, accepted are {reading.accepted}"
    if len({row["verdict_id"] for row in world.driver.log("verdicts")}) != len(reading.held):
        yield f"not to train is told {len(world.driver.log('verdicts'))} times, not for {reading.held}"
    if (open_one := reading.under_way(len(log) - 1) if log else None) is not None:
        yield f"{open_one} has no end"


def wrong_audit(world: World) -> Iterator[str]:
    """Every decision is in the chain once, which is whole."""
    decisions = {
        (topic, partition, offset): row[:2]
        for (topic, partition), rows in world.driver.topics.items()
        for offset, row in enumerate(rows)
        if topic in DECISIONS
    }
    yield from wrong_chain([each for each in world.driver.read("audit") if isinstance(each, AuditEntry)], decisions)
