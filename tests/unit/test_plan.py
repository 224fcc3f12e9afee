"""What would be done on a cluster."""

import pytest

from leadline.topology import STEPS, step
from leadline.wire.plan import disagreements, plan, wanted

STATEFUL = [step.name for step in STEPS if step.stateful]


def existing(partitions=2, **changes):
    made = plan({}, wanted(STATEFUL), "p", partitions).create
    return {topic.name: (topic.partitions, dict(topic.config) | changes) for topic in made}


def test_nothing_is_there_so_everything_is_created():
    made = plan({}, wanted(STATEFUL), "p", 3)
    counts = {topic.name: topic.partitions for topic in made.create}
    assert counts["p.outcomes"] == counts["p.join-changelog"] == 3
    assert counts["p.rollouts"] == 1
    assert not made.alter
    assert not made.refuse


def test_nothing_is_to_do_where_all_is_as_wanted():
    made = plan(existing(), wanted(STATEFUL), "p", 2)
    assert (made.create, made.alter, made.refuse) == ([], [], [])


def test_other_settings_are_altered():
    made = plan(existing(**{"max.message.bytes": "1"}), wanted(["join"], ["outcomes"]), "p", 2)
    assert [(topic.name, dict(topic.changes)) for topic in made.alter] == [
        ("p.outcomes", {"max.message.bytes": ("1", str(4 << 20))}),
        ("p.join-changelog", {"max.message.bytes": ("1", str(16 << 20))}),
    ]


def test_a_wrong_number_of_partitions_is_refused_and_says_why():
    made = plan(existing(2), wanted([], ["outcomes"]), "p", 4)
    assert len(made.refuse) == 1
    assert made.refuse[0].startswith("p.outcomes has 2 partitions, wanted is 4: a request, its prediction, its outcome")


def test_nobody_but_the_broker_stamps_what_people_send():
    stamped = {t.name for t in wanted([]) if t.config.get("message.timestamp.type") == "LogAppendTime"}
    assert stamped == {
        "prediction-requests", "predictions", "shadow-predictions",
        "outcomes", "commands", "workers", "candidates", "verdicts", "trainings",
    }  # fmt: skip


def test_unknown_topics_are_an_error():
    with pytest.raises(ValueError, match="no such topics: outcome"):
        wanted([], ["outcome"])


@pytest.mark.parametrize("name", [step.name for step in STEPS])
def test_a_stage_may_work_on_what_apply_makes(name):
    assert disagreements(step(name), existing(3), "p") == []


@pytest.mark.parametrize(
    "grown", ["prediction-requests", "predictions", "outcomes", "window-partials", "join-changelog"]
)
def test_partitions_added_to_one_topic_stop_the_stages_that_rely_on_it_and_no_others(grown):
    found = existing(2)
    found[f"p.{grown}"] = 4, found[f"p.{grown}"][1]
    stopped = {each.name: disagreements(each, found, "p") for each in STEPS}
    for each in STEPS:
        relies = grown in (*each.reads, *each.writes, f"{each.name}-changelog")
        assert bool(stopped[each.name]) == relies, each.name
        assert all(line.startswith(f"p.{grown} has 4 partitions, wanted is 2: ") for line in stopped[each.name])


def test_a_topic_that_is_gone_stops_its_stages():
    found = existing()
    del found["p.rollouts"]
    assert disagreements(step("scoring"), found, "p") == [
        "there is no topic p.rollouts: make it with `leadline topics apply`"
    ]
    assert disagreements(step("join"), found, "p") == []


@pytest.mark.parametrize(
    ("topic", "policy", "stopped"),
    [
        ("join-changelog", "delete", {"join"}),
        ("join-changelog", "compact,delete", {"join"}),
        ("rollouts", "delete", {"scoring", "shadow", "alerting", "retraining", "audit"}),
        ("predictions", "compact", {"join"}),
        ("labeled-predictions", "compact", set()),
    ],
)
def test_a_topic_that_is_cleaned_up_otherwise_stops_who_reads_it(topic, policy, stopped):
    found = existing()
    found[f"p.{topic}"] = found[f"p.{topic}"][0], {"cleanup.policy": policy}
    lines = {each.name: disagreements(each, found, "p") for each in STEPS}
    assert {name for name, wrong in lines.items() if wrong} == stopped
    assert all(f"p.{topic} has cleanup.policy={policy}, wanted is" in line for name in stopped for line in lines[name])


def test_a_configuration_that_nobody_tells_is_not_judged():
    found = {name: (count, {}) for name, (count, _) in existing().items()}
    assert not any(disagreements(each, found, "p") for each in STEPS)
