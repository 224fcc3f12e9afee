"""What doctor says of what was seen: each kind of sickness is a row, with the one thing that is wrong in it."""

import json
from dataclasses import replace

import pytest

from leadline.cli.checkup.findings import Asked, Feed, Letters, Level, Seen, Waiting
from leadline.cli.checkup.look_at_cluster import _silence, judge
from leadline.cli.checkup.tell import tell, tell_json
from leadline.hosts.health import Told
from leadline.records import Rollout, StageHealth, StageTrouble, WorkerHealth

S, MIN = 1_000, 60_000
NOW = 1_800_000_000_000
STAGES = ("scoring", "join")


def stage(name, **changes):
    sound = StageHealth(name, "running", NOW - 60 * MIN, [0, 1], 0, NOW - 31 * S, NOW - 40 * S, 0, None, "")
    return replace(sound, **changes)


def worker(name="a", at_ms=NOW - 30 * S, **changes):
    sound = WorkerHealth(
        name, "0.1.0", "running", NOW - 60 * MIN, at_ms, [stage(each) for each in STAGES], ["m v1"], {}, [],
        {"state": 1 << 40},
    )  # fmt: skip
    return Told(replace(sound, **changes), at_ms)


def seen(**changes):
    sound = Seen(
        NOW,
        [worker()],
        dict.fromkeys(STAGES, Waiting(0, None)),
        dict.fromkeys(STAGES, frozenset({0, 1})),
        [Rollout("m", "v1", NOW - 50 * MIN, "ann", "better")],
        ["m"],
        [],
        {"outcomes": Feed(NOW - 20 * S, 5 * S, 500, 0)},
    )
    return replace(sound, **changes)


def waiting(stage, records, age_ms):
    return {**dict.fromkeys(STAGES, Waiting(0, None)), stage: Waiting(records, NOW - age_ms)}


def joins(**changes):
    return [worker(stages=[stage("scoring"), stage("join", **changes)])]


NOBODY = {
    "waiting": waiting("shadow", 9000, 3 * MIN),
    "partitions": dict.fromkeys([*STAGES, "shadow"], frozenset({0, 1})),
}
IN_SHADOW = Rollout("m", "v1", NOW - 50 * MIN, "ann", "better", rollout_id="r", shares={"v2": 0.0})

TROUBLE = StageTrouble("join", "outcomes/1", "a batch at 7 cannot be read: mend its producer", NOW - 5 * MIN)

SICK = [
    ("stage shadow", "no worker runs it, and 9,000 records wait", NOBODY | {"rollouts": [IN_SHADOW]}),
    ("worker a", "silent for 4 min", {"workers": [worker(), worker("b"), worker("a", NOW - 4 * MIN)]}),
    ("join of worker a", "stuck with outcomes/1: a batch at 7", {"workers": [worker(troubles=[TROUBLE])]}),
    ("join of worker a", "again 9 times in ten minutes: a broker is away", {"workers": joins(joined_again=9, reason="a broker is away")}),
    ("join of worker a", "stands still", {"workers": joins(round_at=NOW - 5 * MIN)}),
    ("join of worker a", "still joining", {"workers": joins(state="joining", since=NOW - 9 * MIN)}),
    ("join of worker a", "still restoring", {"workers": joins(state="restoring", since=NOW - 99 * MIN)}),
    ("clock of worker a", "60 s ahead of the broker's", {"workers": [worker(told_at=NOW + 30 * S)]}),
    ("clock of this machine", "30 s behind the broker's", {"workers": [worker(at_ms=NOW + 30 * S)]}),
    ("disk of worker a", "3 MiB are free where its state are", {"workers": [worker(free_bytes={"state": 3 << 20})]}),
    ("stage join", "no worker runs it, and 7 records wait, the oldest for 2 min", {"workers": [], "waiting": waiting("join", 7, 2 * MIN)}),
    ("stage join", "no worker has its partitions 1, and 7", {"workers": joins(partitions=[0]), "waiting": waiting("join", 7, 99 * S)}),
    ("stage join", "7 records wait, the oldest for 6 min", {"waiting": waiting("join", 7, 6 * MIN)}),
    ("model m", "champion v1 is not used by worker b: it is not loaded", {"workers": [worker(), worker("b", versions=[])]}),
    ("model m", "v1 is not used by worker a: damaged", {"workers": [worker(versions=[], unusable={"m v1": "damaged"})]}),
    ("model n", "cannot be used by worker a: no TOML", {"workers": [worker(unusable={"n": "no TOML"})]}),
    ("outcomes", "the newest came 11 min ago", {"feeds": {"outcomes": Feed(NOW - 11 * MIN, 5 * S)}}),
    ("outcomes", "the newest came 2 days ago", {"feeds": {"outcomes": Feed(NOW - 3000 * MIN, 1440 * MIN)}}),
    ("keys of outcomes", "3 of the newest 9 keys", {"feeds": {"outcomes": Feed(NOW, 0, 9, 3)}}),
    ("dead letters undecodable", "1,234 in the last hour of p.outcomes, the newest 60 s ago",
     {"letters": [Letters("undecodable", "p.outcomes", 1234, NOW - 30 * MIN, NOW - MIN)]}),
    ("training of m", "no trainer works on r1: one has told nothing of it for 16 min",
     {"trainings": [Asked("m", "v1", "r1", NOW - 16 * MIN)]}),
    ("training of m", "no trainer works on r1: one told progress last, and has told nothing for 16 min",
     {"trainings": [Asked("m", "v0", "r1", NOW - 99 * MIN, "progress", NOW - 16 * MIN)]}),
    ("form of topics", "the newest records of alerts, drift are in confluent, LEADLINE_FORMAT is avro here",
     {"forms": {"alerts": "confluent", "drift": "confluent", "metrics": "avro"}}),
]  # fmt: skip

SOUND = [
    {},
    NOBODY,
    {"workers": [], "waiting": waiting("join", 7, 5 * S)},
    {"workers": [worker(), worker("b", NOW - 90 * MIN, state="stopped")]},
    {"workers": [worker(), worker("b", NOW - 3000 * MIN)]},
    {"workers": joins(state="restoring", since=NOW - 9 * MIN)},
    {"workers": joins(joined_again=2)},
    {"workers": joins(partitions=[0])},
    {"workers": [worker(stages=[stage("join"), stage("scoring", state="what-a-later-release-says", since=NOW - MIN)])]},
    {"workers": [worker(told_at=NOW - 50 * S)]},
    {"waiting": waiting("join", 7, 4 * MIN)},
    {"rollouts": [Rollout("m", "v2", NOW - MIN, "ann", "new")]},
    {"rollouts": []},
    {"feeds": {"outcomes": Feed(NOW - 1500 * MIN, 1440 * MIN)}},
    {"feeds": {"outcomes": Feed(None, 0)}},
    {"forms": {"alerts": "confluent"}, "has_registry": True},
    {"forms": {"alerts": "json", "drift": "confluent"}, "form": "confluent", "has_registry": True},
    {"trainings": [Asked("m", "v1", "r1", NOW - 14 * MIN)]},
    {"trainings": [Asked("m", "v0", "r1", NOW - 99 * MIN)]},
    {"trainings": [Asked("m", "v1", "r1", NOW - 99 * MIN, "failed", NOW - 90 * MIN)]},
    {
        "trainings": [
            Asked("m", "v1", "r1", NOW - 99 * MIN),
            Asked("n", "v1", "r2", NOW - 99 * MIN, "progress", NOW - MIN),
        ]
    },
]


@pytest.mark.parametrize(("what", "found", "changes"), SICK, ids=[f"{what}: {found}" for what, found, _ in SICK])
def test_what_is_wrong_is_said_with_what_to_do(what, found, changes):
    [wrong] = [each for each in judge(seen(**changes)) if each.level is Level.WRONG]
    assert wrong.what == what
    assert found in wrong.found
    assert wrong.mend


@pytest.mark.parametrize("changes", SOUND)
def test_what_may_be_is_not_wrong(changes):
    assert [each for each in judge(seen(**changes)) if each.level is Level.WRONG] == []


def test_names_that_no_model_has_are_noted_with_their_number():
    names = {"agee": 3, "colour": 1200, **{f"x{i}": 1 for i in range(5)}}
    workers = [worker(unknown_features={"m": names}), worker("b", unknown_features={"m": {"agee": 4}})]
    [found] = [each for each in judge(seen(workers=workers)) if each.what == "features of m"]
    assert (found.level, bool(found.mend)) == (Level.NOTE, True)
    assert "colour (1,200 times), agee (7 times)" in found.found
    assert found.found.endswith("and 2 more")


def test_it_is_said_since_when():
    known = {each.what: each.since_ms for each in judge(seen(workers=[worker(troubles=[TROUBLE])]))}
    assert known["join of worker a"] == TROUBLE.since


def test_what_a_worker_says_cannot_act_on_a_terminal(capsys):
    trouble = replace(TROUBLE, what="\x1b[31m[/b]\u202e", message="[link=x]\n\x9b")
    for finding in judge(seen(workers=[worker("[/]\x1b", troubles=[trouble])])):
        tell(finding)
        tell_json(finding)
    said = capsys.readouterr().out
    assert "[/b]" in said
    assert not set("\x1b\x9b\u202e") & set(said)
    assert [json.loads(line)["level"] for line in said.splitlines() if line[:1] == "{"]


class Log:
    """A log of two partitions, in turns, whose records came at these times."""

    def __init__(self, *times):
        self.times = sorted(times)

    async def beginnings(self):
        return {0: 0, 1: 0}

    async def offsets_at(self, time_ms):
        older = sum(each < time_ms for each in self.times)
        return {0: older - older // 2, 1: older // 2}


@pytest.mark.parametrize(
    ("times", "silence"),
    [
        ([0], 0),
        (range(0, 600 * MIN, MIN), 0),
        ([*range(0, 100 * MIN, MIN), *range(300 * MIN, 400 * MIN, MIN)], 190 * MIN),
        ([0, 1, 1440 * MIN, 1440 * MIN + 1], 1430 * MIN),
    ],
)
async def test_the_longest_silence_is_found_to_ten_minutes(times, silence):
    assert abs(await _silence(Log(*times), max(times)) - silence) <= 10 * MIN
