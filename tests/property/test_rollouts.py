"""Rollouts: whatever comes and however workers die, who answers is what a naive reading of docs/rollouts.md says."""

from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from leadline.core.release.evidence.columns import NUMBERS
from leadline.core.release.look import Look
from leadline.core.release.rollouts import looking
from leadline.records import Candidate, Command, PairCounts, PairPartial, Rollout, Verdict
from leadline.settings import ModelSettings
from leadline.settings.release import RolloutSettings
from leadline.testing.driver import Crash, Driver
from leadline.topology import step
from leadline.wire.codec import key_of, value_of
from stages import Models, version

STEP = step("rollout")
SECOND = 1000
SHADOW, BAKE, WATCH, DEADLINE, COOLDOWN = (each * SECOND for each in (100, 60, 200, 900, 1000))
STEPS = [0.1, 0.4]
PROOF = 30
SETTINGS = ModelSettings(
    name="m", window=SECOND, horizon=SECOND, grace=SECOND,
    rollout=RolloutSettings(
        begin="rollout", shadow=SHADOW, bake=BAKE, watch=WATCH, deadline=DEADLINE, cooldown=COOLDOWN, steps=STEPS
    ),
)  # fmt: skip
MODELS = Models({"m": SETTINGS}, {("m", each): version(SETTINGS, None, each) for each in ("v1", "v2", "v3")})
KINDS = ("start", "pause", "resume", "abort", "roll-back", "promote", "reject")


def look(columns, terms):
    """Evidence that anybody can count: how much more often the challenger was right alone."""
    won = (columns.rows["now"][:, NUMBERS.index("second")] - columns.rows["now"][:, NUMBERS.index("first")]).sum()
    verdict = "promote" if won >= PROOF else "roll-back" if won <= -PROOF else "hold"
    return Look(verdict, "*", 0, 0, 0, 0, 0, 1.0, 1.0, [], f"won {won}")


@dataclass
class Under:
    version: str
    champion: str
    before: str
    began: int
    since: int
    state: str = "shadow"
    step: int = 0
    held: str = ""
    won: dict = field(default_factory=dict)

    @property
    def proven(self):
        return sum(self.won.values()) >= PROOF


class Naive:
    """The rules, told once more and without a table."""

    def __init__(self):
        self.champion, self.before, self.under = "v1", "", None
        self.waiting, self.cooling, self.answers, self.gates, self.made = [], {}, {}, {}, [("v1", "", {})]
        self.states = {"v1": "serving", "v2": "idle", "v3": "idle"}

    # -- what comes

    def command(self, command_id, kind, name, now):
        if command_id not in self.answers:
            self.answers[command_id] = ("refused", "accepted")[bool(getattr(self, kind.replace("-", "_"))(name, now))]

    def gate(self, name, verdict, against, now):
        self.gates[name] = verdict
        state = self.states[name]
        if state in ("serving", "retired", "rejected") or (state == "rolling" and verdict != "reject"):
            return
        if verdict == "reject":
            self.states[name] = "rejected"
            if state == "rolling":
                self.end("rejected", now)
        elif verdict == "hold":
            self.states[name] = "idle"
        elif state == "idle" and against == self.champion:
            self.let_in(name, "gate", now)

    def pair(self, first, second, won, now):
        under = self.under
        if under and {first, second} == {under.champion, under.version}:
            under.won[now] = won if under.version == second else -won
            self.look(now)

    def look(self, now):
        under = self.under
        if under is None:
            return
        if sum(under.won.values()) <= -PROOF:
            self.end("rolled-back", now)
        elif under.state == "watched":
            if now > under.since + WATCH:
                self.end("settled", now)
        elif under.state == "paused":
            return
        elif now > under.began + DEADLINE:
            self.end("aborted", now)
        elif now > under.since + (SHADOW if under.state == "shadow" else BAKE):
            following = 0 if under.state == "shadow" else under.step + 1
            if following < len(STEPS):
                under.state, under.step, under.since = "canary", following, now
                self.write()
            elif under.proven:
                self.crown(now)

    # -- persons

    def start(self, name, now):
        if not name or self.under or name == self.champion or self.states[name] == "rejected" or not self.may(name):
            return False
        return self.begin(name, now)

    def pause(self, name, now):
        under = self.under
        if not under or name not in ("", under.version) or under.state not in ("shadow", "canary"):
            return False
        under.held, under.state, under.since = under.state, "paused", now
        return self.write()

    def resume(self, name, now):
        under = self.under
        if not under or name not in ("", under.version) or under.state != "paused":
            return False
        under.state, under.since = under.held, now
        return self.write()

    def abort(self, name, now):
        under = self.under
        if not under or name not in ("", under.version):
            return False
        return self.end("settled" if under.state == "watched" else "aborted", now)

    def roll_back(self, name, now):
        if self.under:
            return name in ("", self.under.version) and self.end("rolled-back", now)
        return bool(self.before) and name in ("", self.champion) and self.promote(self.before, now)

    def promote(self, name, now):
        under = self.under
        if not name:
            return False
        if under and name == under.version and under.state != "watched":
            return self.crown(now)
        if self.states[name] == "approved" or not (name == self.champion or self.may(name)):
            return False
        return self.let_in(name, "ann", now)

    def reject(self, name, now):
        if not name or self.states[name] not in ("idle", "approved", "rolling"):
            return False
        was, self.states[name] = self.states[name], "rejected"
        if was == "rolling":
            self.end("rejected", now)
        return True

    # -- what comes of it

    def may(self, name):
        return self.gates.get(name) == "promote" or name == self.before or (name == "v1" and name not in self.gates)

    def let_in(self, name, who, now):
        if name == self.champion:
            return self.write() if self.under else self.make("")
        if who == "gate" and name != self.before and self.cooling.get(name, now) > now:
            return True
        if self.under:
            self.waiting = [each for each in self.waiting if each[0] != name] + [(name, self.champion, who)]
            self.states[name] = "approved"
            return True
        if name == self.before:
            self.champion, self.before = name, self.champion
            self.serve()
            return self.make("")
        return self.begin(name, now)

    def begin(self, name, now):
        self.under = Under(name, self.champion, self.before, now, now)
        self.states[name] = "rolling"
        self.waiting = [each for each in self.waiting if each[0] != name]
        return self.write()

    def crown(self, now):
        self.champion, self.before = self.under.version, self.under.champion
        self.under.state, self.under.since = "watched", now
        self.serve()
        return self.write()

    def end(self, state, now):
        under, self.under = self.under, None
        if state == "rolled-back":
            self.cooling[under.version] = now + COOLDOWN
        if self.champion != under.champion and state != "settled":
            self.champion, self.before = under.champion, under.before
        self.serve()
        if self.states[under.version] == "rolling":
            self.states[under.version] = "idle"
        self.make(state)
        champion, waiting = self.champion, self.waiting
        for number, (name, then, who) in enumerate(waiting):
            if self.under:
                break
            self.waiting = waiting[number + 1 :]
            if self.states[name] == "approved":
                self.states[name] = "idle"
                if then == champion == self.champion:
                    self.let_in(name, who, now)
        return True

    def serve(self):
        self.states = {name: "retired" if state == "serving" else state for name, state in self.states.items()}
        self.states[self.champion] = "serving"

    def write(self):
        under = self.under
        if under.state == "watched":
            return self.make("watched", {under.champion: 0.0})
        share = STEPS[under.step] if "canary" in (under.state, under.held if under.state == "paused" else "") else 0.0
        return self.make(under.state, {under.version: share})

    def make(self, state, shares=None):
        self.made.append((self.champion, state, shares or {}))
        return True


WAITS = st.sampled_from([11, 11, 30, 70, 110, 110, 210, 400]).map(lambda seconds: seconds * SECOND)
COMMANDS = st.tuples(
    st.just("command"), st.integers(0, 60), st.sampled_from([*KINDS, *KINDS[1:3], *KINDS[1:3], "promote"]),
    st.sampled_from(["", "", "v2", "v2", "v2", "v1", "v3"]),
)  # fmt: skip
GATES = st.tuples(
    st.just("gate"), st.sampled_from(["v2", "v3"]), st.sampled_from(["promote"] * 5 + ["hold", "reject"]),
    st.sampled_from(["v1", "v1", "v2"]),
)  # fmt: skip
PAIRS = st.tuples(
    st.just("pair"), st.sampled_from([*[("v1", "v2")] * 4, ("v1", "v3"), ("v2", "v3")]),
    st.sampled_from([-40, -10, 10, 40, 40]),
)  # fmt: skip
LISTS = st.lists(
    st.tuples(WAITS, st.one_of(COMMANDS, COMMANDS, GATES, PAIRS, st.just(("nothing",)))), min_size=8, max_size=25
)
BEGUN = (11 * SECOND, ("gate", "v2", "promote", "v1"))
CANARY = (110 * SECOND, ("pair", ("v1", "v2"), 20))
PROVEN = [CANARY, *[(70 * SECOND, ("pair", ("v1", "v2"), 20))] * 3]
EVENTS = st.tuples(st.sampled_from([[], [BEGUN], [BEGUN, CANARY], [BEGUN, *PROVEN]]), LISTS).map(
    lambda two: two[0] + two[1]
)
"""What happens, often to a rollout that has come far already."""


class World:
    """The stage in the driver, where workers die, beside the naive reading."""

    def __init__(self, random):
        self.random, self.now, self.number, self.sent = random, 1_000_000, 0, {}
        self.driver = Driver(MODELS, [STEP], 1, on_effect=self.crash)
        self.naive = Naive()
        self.publish(Command("first", "promote", "m", "ann", "why", {"version": "v1"}, 0), "commands")
        for each in ("v2", "v3"):
            self.publish(Candidate("m", each, "v1", "", "", "trainer", {}, 0), "candidates")

    def crash(self, _):
        if self.random.random() < 0.05:
            raise Crash

    def publish(self, record, topic):
        self.driver.publish(topic, key_of(topic, record), value_of(record), self.now)
        self.work()

    def work(self):
        """Read what there is, also what the stage itself has written."""
        while True:
            if self.random.random() < 0.1:
                self.driver.kill(STEP, 0, disk_too=self.random.random() < 0.5)
            try:
                return self.driver.settle()
            except Crash:
                pass

    def wait(self, ms):
        self.now += ms
        self.naive.look(self.now)
        self.work()
        while True:
            try:
                return self.driver.pass_time(self.now)
            except Crash:
                self.driver.kill(STEP, 0)

    def happen(self, what, *said):
        match what:
            case "command":
                command_id, kind, name = self.sent.setdefault(said[0], said)
                arguments = {"version": name} if name else {}
                self.publish(Command(f"c{command_id}", kind, "m", "ann", "why", arguments, 0), "commands")
                self.naive.command(f"c{command_id}", kind, name, self.now)
            case "gate":
                self.number += 1
                name, verdict, against = said
                record = Verdict(f"g{self.number}", "m", name, against, "gate", verdict, [], "so", "", "", 0)
                self.publish(record, "verdicts")
                self.naive.gate(name, verdict, against, self.now)
            case "pair":
                (first, second), won = said
                counts = PairCounts(0, max(-won, 0), max(won, 0), 0, 0, 0, 0, 0)
                start = self.now // SECOND * SECOND
                pair = PairPartial(
                    "m", first, second, "*", start, start + SECOND, 0, 1.0, 1, 0, "mature", "binary", counts, counts
                )
                self.publish(pair, "pair-partials")
                self.naive.pair(first, second, won, self.now)


@settings(
    max_examples=120, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(EVENTS, st.integers(0, 2**32).map(Random))
def test_who_answers_is_what_a_naive_reading_says(drawn, random):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looking, "look", look)
        world = World(random)
        for ms, event in drawn:
            world.wait(ms)
            world.happen(*event)
        world.wait(COOLDOWN)
    made = [each for each in world.driver.read("rollouts") if isinstance(each, Rollout)]
    assert [(each.champion, each.state, each.shares) for each in made] == world.naive.made
    answered = {each.command_id: each.answer for each in world.driver.read("command-answers")}
    assert answered == world.naive.answers | {"first": "accepted"}
    assert [each.revision for each in made] == list(range(1, len(made) + 1))
    assert_they_follow(made)
    ids = [each.verdict_id for each in world.driver.read("verdicts")]
    assert len(ids) == len(set(ids))


def assert_they_follow(made):
    """Each rollout carries what held before, from rising times; shares are those of the steps; a rollout ends before the next begins."""
    for before, each in pairwise(made):
        assert each.effective_at >= before.effective_at
        if each.effective_at > before.effective_at:
            assert (each.earlier[0].champion, each.earlier[0].effective_at) == (before.champion, before.effective_at)
        else:
            assert (each.shares, each.champion, each.earlier) == (before.shares, before.champion, before.earlier)
        assert before.rollout_id in ("", each.rollout_id) or not each.rollout_id
        assert before.champion == each.champion or each.state in ("watched", "rolled-back", "")
    assert {share for each in made for share in each.shares.values()} <= {0.0, *STEPS}
