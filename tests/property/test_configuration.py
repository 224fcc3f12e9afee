"""Configuration decides by its log alone: however commands are read and repeated, answers and settings are those of a naive reading."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.core.processor import Effects
from leadline.core.tables import Table
from leadline.core.watch import answering
from leadline.core.watch.answering import REMEMBERED
from leadline.core.watch.configuration import Configuration
from leadline.core.watch.live_settings import LiveModels
from leadline.records import Command
from leadline.settings import AlertLimits, DriftLimits, ModelSettings
from leadline.testing.driver import Crash, Driver
from leadline.topology import step
from leadline.wire.codec import key_of, value_of
from stages import Host, Models, records_batch

MODELS = Models({name: ModelSettings(name=name) for name in "mn"})
STEP = step("configuration")
GOOD = {
    "alerts.margin": {"0.1": 0.1, "0": 0.0}, "drift.psi": {"0.5": 0.5, "1": 1.0}, "retrain_cooldown": {"2d": 172_800_000, "5": 5},
    "runbook": {"ask Ada": "ask Ada", '"7"': "7"},
}  # fmt: skip
BAD = [
    ("alerts.margin", "-1"),
    ("drift.psi", "x"),
    ("window", "1d"),
    ("threshold", "0.5"),
    ("alerts", "0.1"),
    ("nothing", "1"),
]


@st.composite
def commands(draw):
    """A command with its arrival time; few ids, so that some come again, also with other contents."""
    pairs = [(key, text) for key, texts in GOOD.items() for text in [*texts, ""]]
    arguments = draw(st.lists(st.sampled_from(pairs), max_size=3)) + draw(
        st.lists(st.sampled_from(BAD), max_size=1)
    ) * draw(st.sampled_from([0, 0, 1]))
    model, kind = draw(st.sampled_from("mmnx")), draw(st.sampled_from(["configure"] * 4 + ["silence"]))
    return Command(f"c{draw(st.integers(0, 9))}", kind, model, draw(st.sampled_from("ab")), "why", dict(arguments), 0)


def naive(log):
    """Of each model: the answers to its commands, and what each accepted one left behind."""
    answers, held, seen = {}, {}, {}
    for at, command in enumerate(log):
        model, key = command.model, (command.model, command.command_id)
        if command.kind != "configure":
            continue
        if key not in seen:
            good = all(not text or text in GOOD.get(name, {}) for name, text in command.arguments.items())
            accepted = bool(command.arguments) and good and all(n in GOOD for n in command.arguments) and model in "mn"
            seen[key] = "accepted" if accepted else "refused", at
            if accepted:
                before = held.get(model, [{}])[-1]
                told = {name: (text, command.actor, command.command_id, at) for name, text in command.arguments.items()}
                held.setdefault(model, [{}]).append({n: each for n, each in (before | told).items() if each[0]})
        answers.setdefault(model, []).append((command.command_id, *seen[key]))
    return answers, {model: states[1:] for model, states in held.items()}


def replay(log, random, partitions):
    """Read the commands in runs of any length, while workers die and lose their disks."""
    driver = Driver(MODELS, [STEP], partitions, on_effect=lambda _: crash(random))
    for at, command in enumerate(log):
        driver.publish("commands", key_of("commands", command), value_of(command), at)
        if random.random() < 0.5:
            work(driver, random)
    while any(work(driver, random) for _ in range(20 * partitions)):
        pass
    return driver


def crash(random):
    if random.random() < 0.1:
        raise Crash


def work(driver, random):
    partition = random.randrange(driver.partitions)
    if random.random() < 0.1:
        driver.kill(STEP, partition, disk_too=random.random() < 0.5)
    try:
        return driver.work(STEP, partition, "commands", random.randint(1, 5))
    except Crash:
        return 1


@settings(max_examples=200, deadline=None)
@given(st.lists(commands(), max_size=25), st.integers(0, 2**32).map(Random), st.integers(1, 3))
def test_every_reading_of_the_log_gives_the_naive_answers_and_settings(log, random, partitions):
    driver = replay(log, random, partitions)
    answers, held = naive(log)
    for model in "mnx":
        found = [each for each in driver.read("command-answers") if each.model == model]
        assert [(each.command_id, each.answer, each.as_of) for each in found] == answers.get(model, [])
        assert all(each.reason for each in found)
        live = [each for each in driver.read("model-settings") if each.model == model]
        assert [each.revision for each in live] == list(range(1, len(live) + 1))
        states = [{s.key: (s.value, s.actor, s.command_id, s.as_of) for s in each.settings} for each in live]
        assert states == held.get(model, [])
    in_force_is_naive(driver, held)


def in_force_is_naive(driver, held):
    """The settings that a stage gets through the table, worked out by hand."""
    table = Table()
    for partition in range(driver.partitions):
        table.apply(driver._batch("model-settings", partition))
    for model in "mn":
        said = {key: GOOD[key][text] for key, (text, *_) in held.get(model, [{}])[-1].items()}
        wanted = ModelSettings(
            name=model,
            alerts=AlertLimits(margin=said.get("alerts.margin", 0.02)),
            drift=DriftLimits(psi=said.get("drift.psi", 0.1)),
            retrain_cooldown=said.get("retrain_cooldown", 7 * 86_400_000),
            runbook=said.get("runbook", ""),
        )
        assert LiveModels(MODELS, table).settings(model) == wanted


def test_so_many_answers_are_remembered_and_no_more(monkeypatch):
    monkeypatch.setattr(answering, "REMEMBERED", 3)
    host = Host(lambda store: Configuration(store, MODELS), fresh=True, topic="model-settings")
    for number in [*range(5), 2, 0]:
        command = Command(f"c{number}", "configure", "m", "ada", "why", {"drift.psi": "0.5"}, 0)
        host.feed(records_batch("commands", [command]))
    assert [each.command_id for each in host.emitted] == ["c0", "c1", "c2", "c3", "c4", "c0"]
    size = len(list(host.store.scan(b"\0", b"\xff")))
    host.feed(records_batch("commands", [Command("c9", "configure", "m", "ada", "why", {"drift.psi": "0.5"}, 0)]))
    assert len(list(host.store.scan(b"\0", b"\xff"))) == size
    assert REMEMBERED >= 1000


def test_commands_of_other_kinds_are_left_to_the_stages_that_own_them():
    host = Host(lambda store: Configuration(store, MODELS))
    silence = Command("c", "silence", "m", "ada", "why", {}, 0)
    assert host.stage.on_batch(records_batch("commands", [silence])) == Effects()
    assert not list(host.store.scan(b"\0", b"\xff"))
