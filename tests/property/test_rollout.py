"""Rollouts: whatever comes in which order, however often, the champions are those of a naive reading, and nobody gets in without leave."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from leadline.core.release import persons
from leadline.core.release.signatures import public_key, signature
from leadline.core.watch import answers
from leadline.records import Candidate, Command, RetrainRequest, Rollout, Verdict
from leadline.settings import ApprovalSettings, ModelSettings
from leadline.testing.driver import Crash, Driver
from leadline.topology import step
from leadline.wire.codec import key_of, value_of
from stages import Models

STEP = step("rollout")
EXPIRES = 40
SECRET = {name: bytes([number]) * 32 for number, name in enumerate(("ann", "bob", "eve", "stranger"), 1)}
KEYS = {name: public_key(SECRET[name]) for name in ("ann", "bob", "eve")}
POLICIES = {
    "auto": ApprovalSettings(),
    "one": ApprovalSettings(policy="one", expires=EXPIRES),
    "own": ApprovalSettings(policy="one", expires=EXPIRES, not_requester=False),
    "two": ApprovalSettings(policy="two", expires=EXPIRES),
    "proof": ApprovalSettings(policy="two", expires=EXPIRES, proof="signature", keys=KEYS),
    "proven": ApprovalSettings(proof="signature", keys=KEYS),
}
MODELS = Models({name: ModelSettings(name=name, approval=policy) for name, policy in POLICIES.items()})
NAMES, VERSIONS = [*POLICIES, "unknown"], ["v1", "v2", "v3"]
COUNT = {"auto": 0, "one": 1, "two": 2}


def signed(command, name, installation=""):
    command = replace(command, public_key=public_key(SECRET[name]))
    return replace(command, signature=signature(command, installation, SECRET[name]))


def is_good(command, at):
    """Which signed commands count, said by the one who made them: the test signs in one way only."""
    name = next((each for each in SECRET if public_key(SECRET[each]) == command.public_key), "")
    is_own = bool(name) and signed(command, name).signature == command.signature
    return name if is_own and abs(at - command.event_time) <= 3_600_000 else None


NEW = {
    "made": False,
    "known": False,
    "gate": "",
    "against": "",
    "wait": None,
    "no": False,
    "served": False,
    "training": "",
}


class Naive:
    """The rules as docs/approval.md tells them, for one model, without a table of states."""

    def __init__(self, model):
        self.model, self.policy = model, POLICIES.get(model)
        self.rollouts, self.answers, self.asked, self.over = [], [], {}, 0
        self.champion = self.before = ""
        self.held = {each: NEW | {"seen": set()} for each in VERSIONS}

    def take(self, record, at):
        for each in self.held.values():
            if each["wait"] and each["wait"]["until"] < at:
                each["wait"], self.over = None, self.over + 1
        match record:
            case Rollout():
                self.rolled_out(record.champion)
            case RetrainRequest():
                self.asked[record.retrain_id] = record.actor
            case Candidate():
                self.touched(record.version)
                version = self.held[record.version]
                fresh = not version["known"] and not version["served"] and record.version != self.champion
                version.update(made=True, known=version["known"] or fresh, training=record.retrain_id)
                if fresh and version["gate"]:
                    self.judged(record.version, at)
            case Verdict() if record.at == "gate":
                self.touched(record.version)
                if record.verdict_id in self.held[record.version]["seen"]:
                    return
                version = self.held[record.version]
                version.update(gate=record.verdict, against=record.champion)
                version["seen"].add(record.verdict_id)
                version["newest"] = record.verdict_id
                if version["known"]:
                    self.judged(record.version, at)
            case Command() if record.kind in ("promote", "approve", "reject"):
                known = [each for each in self.answers if each[0] == record.command_id]
                said = known[0][1] if known else ("refused", "accepted")[bool(self.obeys(record, at))]
                self.answers.append((record.command_id, said))

    def touched(self, name):
        """An approval that was asked for beside another champion is over as soon as something comes of its version."""
        wait = self.held[name]["wait"]
        if wait and name != self.champion and wait["champion"] != self.champion:
            self.held[name]["wait"], self.over = None, self.over + 1

    def judged(self, name, at):
        version = self.held[name]
        if version["served"] or version["no"] or name == self.champion:
            return
        if version["gate"] != "promote":
            version["wait"], version["no"] = None, version["gate"] == "reject"
        elif not version["wait"] and self.policy and version["against"] == self.champion:
            if COUNT[self.policy.policy]:
                self.wait(name, "", (), at)
            else:
                self.make(name, "gate", version["newest"], at)

    def obeys(self, command, at):
        name = command.arguments.get("version")
        if name not in self.held or len(command.arguments) != 1 or not self.policy:
            return False
        version, wait, person = self.held[name], self.held[name]["wait"], command.actor.strip()
        if command.signature:
            signer = is_good(command, at)
            if signer is None or (self.policy.keys and signer not in self.policy.keys):
                return False
            person = signer if self.policy.keys else person
        elif self.policy.keys:
            return False
        if not person:
            return False
        self.touched(name)
        version, wait = self.held[name], self.held[name]["wait"]
        if command.kind == "reject":
            idle = version["known"] and not version["no"] and not version["served"] and name != self.champion
            may = bool(wait) or idle
            if may:
                version.update(wait=None, no=True)
            return may
        if command.kind == "promote":
            return self.promoted(name, version, person, command, at)
        if not wait:
            return False
        training = self.asked.get(version["training"], None) if version["training"] else ""
        if self.policy.not_requester and (training is None or person.lower() in (training.lower(), wait["by"].lower())):
            return False
        if person.lower() in [each.lower() for each in wait["agreed"]]:
            return False
        wait["agreed"] = (*wait["agreed"], person)
        if len(wait["agreed"]) >= COUNT[self.policy.policy]:
            self.make(name, ", ".join(wait["agreed"]), command.command_id, at)
        return True

    def promoted(self, name, version, person, command, at):
        needed = COUNT[self.policy.policy]
        if version["wait"]:
            return False
        if name != self.champion:
            by_hand = not version["made"] and not version["gate"] and not needed
            if not (version["gate"] == "promote" or not self.champion or name == self.before or by_hand):
                return False
            if needed and (self.policy.not_requester or needed > 1):
                self.wait(name, person, () if self.policy.not_requester else (person,), at)
                return True
        self.make(name, person, command.command_id, at)
        return True

    def wait(self, name, by, agreed, at):
        self.held[name].update(no=False, served=False, known=True)
        self.held[name]["wait"] = {"by": by, "agreed": agreed, "until": at + EXPIRES, "champion": self.champion}

    def make(self, name, actor, cause, at):
        self.rolled_out(name)
        self.rollouts.append((name, self.before, actor, cause, at))

    def rolled_out(self, name):
        if name != self.champion:
            self.champion, self.before = name, self.champion
        self.held[name].update(wait=None, no=False, served=True)


@st.composite
def events(draw, models, versions):
    """A record with the time that has passed before it."""
    model, version = draw(st.sampled_from(models)), draw(st.sampled_from(versions))
    kind = draw(st.sampled_from(["request", "candidate", "gate", "gate", "approval", *["command"] * 8, "by hand"]))
    wait = draw(st.sampled_from([0, 0, 0, 1, 1, 1, 5, 30, EXPIRES + 1]))
    number = draw(st.integers(0, 5))
    match kind:
        case "request":
            actor = draw(st.sampled_from(["", "ann", "Bob"]))
            return wait, RetrainRequest(f"r{number % 3}", model, "v1", 0, "", "", {}, actor=actor)
        case "candidate":
            training = draw(st.sampled_from(["", "r0", "r1"]))
            return wait, Candidate(model, version, "", training, "", "trainer", {}, 0)
        case "gate" | "approval":
            said = draw(st.sampled_from(["promote", "promote", "promote", "hold", "reject"]))
            against = draw(st.sampled_from(["", *VERSIONS]))
            named = f"{version} {said} {number}"
            return wait, Verdict(named, model, version, against, kind, said, [], "so it is", "", "", 0)
        case "by hand":
            return wait, Rollout(model, version, number, "ann", "an older release")
    what = draw(st.sampled_from(["promote", "approve", "approve", "approve", "reject", "retrain", "configure"]))
    actor = draw(st.sampled_from([*["ann", "Ann ", "bob", "eve"] * 3, ""]))
    arguments = draw(st.sampled_from([{"version": version}] * 12 + [{}, {"version": version, "more": ""}]))
    how = draw(st.sampled_from(["plain", *["good"] * 9, "forged", "other model", "elsewhere", "stranger", "old"]))
    return wait, (f"c{draw(st.integers(0, 40))}", what, model, actor, arguments, how)


FEW = st.tuples(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=2), st.sampled_from([["v1"], ["v1", "v2"], VERSIONS])
)
"""Few models and versions at a time, so that much happens to each."""
EVENTS = FEW.flatmap(lambda some: st.lists(events(*some), min_size=12, max_size=40))


def command_of(said, at):
    """A command as it is sent at a time; signed in one way or another where the model asks for that, and sometimes else."""
    command_id, kind, model, actor, arguments, how = said
    command = Command(f"{model} {command_id}", kind, model, actor, "why", arguments, at - 3_600_001 * (how == "old"))
    name = "stranger" if how == "stranger" else actor.strip().lower() or "eve"
    if how == "plain" or (not model.startswith("prov") and model != "proof" and how == "good"):
        return command
    found = signed(replace(command, model="x") if how == "other model" else command, name, "x" * (how == "elsewhere"))
    found = replace(found, model=model)
    return replace(found, reason="another") if how == "forged" else found


def log_of(drawn):
    """Records with their arrival times; a champion of an older release was there before."""
    at, log, sent = 4_000_000, [], {}
    by_hand = {record.model: (wait, record) for wait, record in drawn if isinstance(record, Rollout)}
    rest = [(wait, record) for wait, record in drawn if not isinstance(record, Rollout)]
    for wait, record in [*by_hand.values(), *rest]:
        at += wait
        if isinstance(record, tuple):
            record = sent.setdefault((record[2], record[0]), command_of(record, at))
        log.append((record, at))
    return log


TOPICS = {
    RetrainRequest: "retrain-requests", Candidate: "candidates", Verdict: "verdicts", Rollout: "rollouts", Command: "commands"
}  # fmt: skip


def publish(driver, record, at):
    topic = TOPICS[type(record)]
    driver.publish(topic, key_of(topic, record), value_of(record), at)


def work(driver, random):
    """Every task takes what there is, in any order, while workers die and lose their disks."""
    sources = [(partition, topic) for partition in range(driver.partitions) for topic in STEP.reads]
    while sum(take(driver, random, *source) for source in random.sample(sources, len(sources))):
        pass


def take(driver, random, partition, topic):
    if random.random() < 0.02:
        driver.kill(STEP, partition, disk_too=random.random() < 0.5)
    try:
        return driver.work(STEP, partition, topic, random.randint(1, 3))
    except Crash:
        return 1


def crash(random):
    if random.random() < 0.05:
        raise Crash


def of(driver, topic, model):
    return [each for each in driver.read(topic) if each.model == model]


@settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(EVENTS, st.integers(0, 2**32).map(Random), st.integers(1, 2))
def test_champions_and_answers_are_those_of_a_naive_reading(drawn, random, partitions):
    log = log_of(drawn)
    driver = Driver(MODELS, [STEP], partitions, on_effect=lambda _: crash(random))
    naive = {model: Naive(model) for model in NAMES}
    for record, at in log:
        publish(driver, record, at)
        work(driver, random)
        naive[record.model].take(record, at)
        if random.random() < 0.3:
            pass_time(driver, at)
    end = log[-1][1] + EXPIRES + 2 if log else 0
    pass_time(driver, end)
    for model in NAMES:
        naive[model].take(None, end)
        made = [each for each in of(driver, "rollouts", model) if each.revision]
        assert [(e.champion, e.before, e.actor, e.cause, e.event_time) for e in made] == naive[model].rollouts
        assert [each.revision for each in made] == list(range(1, len(made) + 1))
        answered = of(driver, "command-answers", model)
        assert [(each.command_id, each.answer) for each in answered] == naive[model].answers
        verdicts = [each for each in of(driver, "verdicts", model) if each.at == "approval" and each.checks == []]
        assert sum(each.verdict == "inconclusive" for each in verdicts) == naive[model].over


def pass_time(driver, now):
    while True:
        try:
            return driver.pass_time(now)
        except Crash:
            for partition in range(driver.partitions):
                driver.kill(STEP, partition)


@settings(max_examples=100, deadline=None)
@given(EVENTS, st.integers(0, 2**32).map(Random))
def test_however_the_topics_are_read_nobody_gets_in_without_leave(drawn, random):
    """The topics are read in any order of each other; then no order is right, and what is asked for holds all the same."""
    log = [(record, at) for record, at in log_of(drawn) if not isinstance(record, Rollout)]
    driver = Driver(MODELS, [STEP], 2, on_effect=lambda _: crash(random))
    for record, at in log:
        publish(driver, record, at)
        if random.random() < 0.3:
            work(driver, random)
    work(driver, random)
    commands = {(each.model, each.command_id): (each, at) for each, at in reversed(log) if isinstance(each, Command)}
    passed = {each.verdict_id: each for each, _ in log if isinstance(each, Verdict) and each.verdict == "promote"}
    for made in driver.read("rollouts"):
        needed = COUNT[POLICIES[made.model].policy]
        command, at = commands.get((made.model, made.cause), (None, 0))
        again = command is not None and command.kind == "promote" and made.before != made.champion
        assert command is not None or (needed == 0 and passed[made.cause].version == made.champion)
        if command is not None:
            assert command.arguments == {"version": made.champion}
            people = {each.strip().lower() for each in made.actor.split(",")}
            assert again or len(people) >= needed
            assert not POLICIES[made.model].keys or is_good(command, at) in KEYS
    for model in NAMES:
        said = {}
        for each in of(driver, "command-answers", model):
            assert said.setdefault(each.command_id, each) == each


def test_a_signed_command_counts_once_however_long_ago_its_answer_was_forgotten(monkeypatch):
    monkeypatch.setattr(answers, "REMEMBERED", 2)
    driver, at = Driver(MODELS, [STEP]), 4_000_000
    promote = [
        signed(Command(f"c{n}", "promote", "proven", "ann", "", {"version": f"v{n}"}, at), "ann") for n in range(6)
    ]
    for number, (command, later) in enumerate(
        [*((each, 0) for each in promote), (promote[0], 1), (promote[1], 3_600_001)]
    ):
        publish(driver, command, at + number + later)
    far = at + 3 * persons.FRESH_MS
    publish(driver, signed(Command("c9", "promote", "proven", "ann", "", {"version": "v9"}, far), "ann"), far)
    publish(driver, promote[2], at)  # the broker's time went back
    driver.settle()
    assert [each.champion for each in driver.read("rollouts")] == ["v0", "v1", "v2", "v3", "v4", "v5", "v9"]
    assert [each.answer for each in driver.read("command-answers")] == ["accepted"] * 6 + ["refused"] * 2 + [
        "accepted",
        "refused",
    ]


@pytest.mark.parametrize("topic", ["candidates", "verdicts", "retrain-requests"])
def test_a_record_under_another_key_is_a_dead_letter(topic):
    record = {
        "candidates": Candidate("auto", "v2", "", "", "", "trainer", {}, 0),
        "verdicts": Verdict("g", "auto", "v2", "", "gate", "promote", [], "", "", "", 0),
        "retrain-requests": RetrainRequest("r", "auto", "v1", 0, "", "", {}),
    }[topic]
    driver = Driver(MODELS, [STEP])
    driver.publish(topic, b"other", value_of(record), 1)
    driver.settle()
    [(_, _, headers, _)] = driver.topics["dead-letters", 0]
    assert dict(headers)["leadline-reason"] == b"key-mismatch"
