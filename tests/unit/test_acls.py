"""The rights of each role."""

from leadline.topology import STEPS, step
from leadline.wire.acls import acls


def topics(role, stages=STEPS):
    return {acl.name: acl.operations for acl in acls("p", stages) if (acl.role, acl.kind) == (role, "topic")}


def test_a_worker_may_do_what_its_stages_do_and_no_more():
    assert topics("worker", [step("scoring")]) == {
        "p.rollouts": ("Read", "Describe", "DescribeConfigs"),
        "p.workers": ("Read", "Write", "Describe"),
        "p.prediction-requests": ("Read", "Describe", "DescribeConfigs"),
        "p.dead-letters": ("Write", "Describe"),
        "p.predictions": ("Write", "Describe", "DescribeConfigs"),
    }
    assert topics("worker", [step("drift")]).keys() - {"p.workers", "p.dead-letters"} == {
        "p.window-profiles",
        "p.model-settings",
        "p.drift",
        "p.drift-changelog",
    }


def test_a_worker_with_all_stages_reads_back_what_it_wrote_for_itself():
    assert topics("worker")["p.window-partials"] == ("Read", "Write", "Describe", "DescribeConfigs")


def test_people_send_requests_and_outcomes_and_read_what_is_meant_for_them():
    assert set(topics("producer")) == {"p.prediction-requests", "p.outcomes"}
    assert set(topics("reader")) == {
        "p.predictions", "p.shadow-predictions", "p.comparisons",
        "p.labeled-predictions", "p.metrics", "p.drift", "p.alerts", "p.retrain-requests", "p.command-answers",
        "p.model-settings", "p.workers", "p.dead-letters", "p.trainings", "p.candidates", "p.verdicts", "p.audit", "p.rollouts",
    }  # fmt: skip


def test_an_administrator_writes_commands_alone_and_champions_are_made_by_a_worker():
    assert {name for name, operations in topics("admin").items() if "Write" in operations} == {"p.commands"}
    for role, may in (("admin", set()), ("reader", set()), ("producer", set()), ("worker", {"p.rollouts"})):
        assert {name for name, allowed in topics(role).items() if "Write" in allowed} & {"p.rollouts"} == may
