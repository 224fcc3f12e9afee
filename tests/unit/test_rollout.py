"""The rollout stage beside the table of rollouts, its page, and the keys of persons."""

from dataclasses import replace
from pathlib import Path

import pytest

from commands import run
from leadline.cli.keys import key_file, private_key
from leadline.core.release.rollout import Rollouts
from leadline.core.release.signatures import public_key
from leadline.core.release.states import TABLE, State, as_lines
from leadline.core.scoring.routing import Deployments
from leadline.core.tables import Table
from leadline.records import Candidate, Command, RetrainRequest, Rollout, Verdict
from leadline.settings import ApprovalSettings, ModelSettings, SettingsError
from leadline.wire.topics import key_of
from stages import Host, Models, records_batch


def test_the_page_has_the_table_of_states():
    page = (Path(__file__).parents[2] / "docs" / "approval.md").read_text("utf-8")
    assert "\n".join(as_lines()) in page


def test_every_state_can_be_come_to_and_each_event_leads_one_way():
    assert {row.to for row in TABLE} | {State.UNKNOWN} == set(State)
    pairs = [(state, row.event) for row in TABLE for state in row.states]
    assert len(pairs) == len(set(pairs))


def batch(topic, record, arrival_ms):
    return replace(records_batch(topic, [record], arrival_ms), keys=[key_of(topic, record)])


def promote(host, version, arrival_ms):
    command = Command(f"{version} {arrival_ms}", "promote", "m", "ann", "why", {"version": version}, 0)
    return [each for each in host.feed(batch("commands", command, arrival_ms)) if isinstance(each, Rollout)]


def test_a_rollout_counts_before_the_table_shows_it_and_one_by_hand_as_soon_as_it_does():
    table = Table()
    models = Models({"m": ModelSettings(name="m")})
    host = Host(lambda store: Rollouts(store, models, Deployments(table), ""), fresh=True)

    def shows(rollout):
        table.apply(batch("rollouts", rollout, rollout.event_time))

    shows(Rollout("m", "v1", 1, "ann", "by hand, before this stage was there"))
    [second] = promote(host, "v2", 2)
    [third] = promote(host, "v3", 3)
    assert [(each.before, each.revision) for each in (second, third)] == [("v1", 1), ("v2", 2)]
    shows(second)
    [again] = promote(host, "v3", 4)
    assert (again.before, again.revision) == ("v2", 3), "the table is behind"
    shows(third)
    shows(again)
    shows(Rollout("m", "v9", 5, "ann", "by hand, by an older release"))
    [back] = promote(host, "v3", 6)
    assert (back.before, back.revision) == ("v9", 4)


def test_an_approval_beside_a_champion_of_before_is_over_when_its_version_is_judged_or_promoted_again():
    """Though the rollout in between was written by hand, of which the stage gets no event."""
    table = Table()
    models = Models({"m": ModelSettings.model_validate({"name": "m", "approval": {"policy": "one"}})})
    host = Host(lambda store: Rollouts(store, models, Deployments(table), ""), fresh=True)

    def shows(rollout):
        table.apply(batch("rollouts", rollout, rollout.event_time))

    def gated(against, at):
        verdict = Verdict(f"g{at}", "m", "v2", against, "gate", "promote", [], "better", "", "", at)
        return [(each.verdict, each.reason) for each in host.feed(batch("verdicts", verdict, at))]

    shows(Rollout("m", "v1", 1, "ann", "the first"))
    host.feed(batch("candidates", Candidate("m", "v2", "v1", "", "", "trainer", {}, 2), 2))
    [(said, reason)] = gated("v1", 3)
    assert (said, "waits for" in reason) == ("hold", True)
    shows(Rollout("m", "v3", 4, "ann", "by hand, by an older release"))
    over, (said, reason) = gated("v3", 5)
    assert over == ("inconclusive", "the approval is over: another version became champion meanwhile")
    assert (said, "waits for" in reason) == ("hold", True), "it was compared with the one that answers now"
    shows(Rollout("m", "v4", 6, "ann", "by hand once more"))
    command = Command("c", "approve", "m", "bob", "fine", {"version": "v2"}, 0)
    over, answer = host.feed(batch("commands", command, 7))
    assert (over.verdict, answer.answer) == ("inconclusive", "refused")
    assert answer.reason == "another version became champion meanwhile: have it compared and promoted again"


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_a_key_is_for_its_user_alone_and_never_shown(home, capsys):
    assert private_key() is None
    assert run(["keys", "new"]) == 0
    made, private = capsys.readouterr().out, private_key()
    assert (key_file().stat().st_mode & 0o777, key_file().parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert public_key(private) in made
    assert private.hex() not in made
    assert run(["keys", "show"]) == 0
    assert public_key(private) in capsys.readouterr().out
    key_file().chmod(0o640)
    with pytest.raises(SettingsError, match="may be read by others"):
        private_key()
    key_file().write_text("no key")
    key_file().chmod(0o600)
    with pytest.raises(SettingsError, match="is no ed25519 key"):
        private_key()


def test_one_person_counts_once_and_an_unknown_requester_counts_for_nobody():
    models = Models({"m": ModelSettings(name="m", approval=ApprovalSettings(policy="two"))})
    host = Host(lambda store: Rollouts(store, models, Deployments(Table()), ""), fresh=True)
    host.feed(batch("candidates", Candidate("m", "v2", "", "r1", "", "trainer", {}, 0), 1))
    host.feed(batch("verdicts", Verdict("g", "m", "v2", "", "gate", "promote", [], "better", "", "", 0), 2))

    def approve(person, number):
        command = Command(f"c{number}", "approve", "m", person, "why", {"version": "v2"}, 0)
        return [getattr(each, "answer", "rollout") for each in host.feed(batch("commands", command, 3))]

    assert approve("bob", 0) == ["refused"]
    host.feed(batch("retrain-requests", RetrainRequest("r1", "m", "v1", 0, "", "", {}, actor="ann"), 3))
    said = [approve(person, number) for number, person in enumerate(("Ann", "bob", "Bob ", "eve"), 1)]
    assert said[:3] == [["refused"], ["accepted"], ["refused"]]
    assert sorted(said[3]) == ["accepted", "rollout", "rollout"], "the rollout, its verdict and the answer"
