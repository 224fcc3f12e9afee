"""Incidents on their way to people: what is said, to whom, how often, and what happens where nobody listens."""

import json
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from alertmanagers import BINARY, problem, real, standing_in
from leadline.hosts.health import Health
from leadline.notify.alertmanager import AGAIN_MS, AHEAD_MS, Alertmanager, payload
from leadline.notify.deliver import Delivery
from leadline.notify.services import Services
from leadline.notify.target import UndeliveredError
from leadline.notify.texts import body, title
from leadline.notify.trial import trial
from leadline.records import Alert
from leadline.settings import SettingsError
from leadline.settings.notify import NotifySettings, Target, load_notify_settings

GOLDEN = Path(__file__).parent.parent / "data" / "notified.json"
NOW_MS = 1_700_000_000_000
OPENED = Alert(
    alert_id="5e08af5437917311",
    kind="performance",
    severity="critical",
    state="opened",
    model="fraud",
    model_version="v3",
    segment="country=de",
    window_start=NOW_MS - 7_200_000,
    window_end=NOW_MS - 3_600_000,
    revision=1,
    evidence={"accuracy": "0.81 (0.78 to 0.84)", "limit": "0.88"},
    runbook="look at the features first",
    cause="accuracy fell after amount drifted",
    segments=["country=de"],
    features=["amount"],
    error_rate="calibrated",
    at=NOW_MS,
)
HOSTILE = replace(
    OPENED, alert_id="other", model="\u202eevil", model_version="", evidence={"\n": "\x07" * 5000}, cause="a\nb"
)
STATES = [
    OPENED,
    replace(OPENED, state="updated", revision=2, severity="warning"),
    replace(OPENED, state="resolved", revision=3, at=NOW_MS + 60_000),
    replace(OPENED, state="withdrawn", revision=3, early=True, segment="*"),
]


class Clock:
    def __init__(self):
        self.now_ms = NOW_MS + 120_000

    def __call__(self):
        return self.now_ms / 1000


def test_what_is_said_is_as_it_was():
    said = [
        {
            "title": title(alert),
            "body": body(alert).split("\n"),
            "alertmanager": payload(alert, NOW_MS, NOW_MS + 120_000),
        }
        for alert in STATES
    ]
    assert said == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("alert", [*STATES, HOSTILE])
def test_alertmanager_takes_every_incident_and_no_text_obeys(alert):
    made = payload(alert, NOW_MS, NOW_MS)
    assert problem([made]) is None
    assert not any(char in text for text in made["annotations"].values() for char in "\x1b\x07\u202e")


async def test_an_open_incident_is_told_again_each_minute_and_ends_once():
    clock = Clock()
    async with standing_in() as (standin, url):
        sink = Alertmanager(url, clock)
        await sink.deliver(OPENED)
        await sink.tend()
        assert standin.alerts[OPENED.alert_id]["endsAt"] > "2023-11-15T22"
        await sink.tend()
        assert standin.requests == 1
        clock.now_ms += AGAIN_MS
        await sink.tend()
        assert standin.requests == 2
        await sink.deliver(STATES[2])
        await sink.tend()
        clock.now_ms += AGAIN_MS
        await sink.tend()
        assert standin.requests == 3
        assert standin.alerts[OPENED.alert_id]["endsAt"] == "2023-11-14T22:14:20Z"
        await sink.close()


async def test_another_severity_ends_the_alert_with_the_old_one():
    sent = []

    async def post(alerts):
        sent.extend((each["labels"]["severity"], each["endsAt"] > "2023-11-15") for each in alerts)

    sink = Alertmanager("http://nobody", Clock())
    sink._post = post
    for alert in STATES[:3]:
        await sink.deliver(alert)
        await sink.tend()
    assert sent == [("critical", True), ("critical", False), ("warning", True), ("warning", False), ("critical", False)]


SILENCED = replace(OPENED, state="updated", revision=2, silenced_until=NOW_MS + AHEAD_MS)


async def test_what_is_silenced_is_not_sent_and_what_was_sent_before_is_ended_until_the_silence_is_over():
    clock = Clock()
    async with standing_in() as (standin, url):
        sink = Alertmanager(url, clock)
        await sink.deliver(replace(SILENCED, alert_id="never told", revision=1, state="opened"))
        await sink.tend()
        assert standin.requests == 0
        for alert, is_open in ((OPENED, True), (SILENCED, False), (replace(SILENCED, silenced_until=None), True)):
            await sink.deliver(alert)
            for _ in range(2):
                await sink.tend()
                clock.now_ms += AGAIN_MS
            assert (standin.alerts[OPENED.alert_id]["endsAt"] > "2023-11-15") == is_open
        await sink.deliver(replace(SILENCED, state="resolved"))
        await sink.tend()
        assert set(standin.alerts) == {OPENED.alert_id}
        await sink.close()


async def test_chat_hears_nothing_of_what_is_silenced(hook):
    listener, url = hook
    delivery = Delivery(Target(name="chat", kind="apprise", url=url), Services("chat", url), Health())
    for alert in (OPENED, SILENCED, replace(STATES[2], silenced_until=None)):
        await delivery.hand_over(alert)
    assert [each["title"].split()[0] for each in listener.heard] == ["OPENED", "RESOLVED"]


def test_who_looks_at_an_incident_is_an_annotation_and_no_label():
    seen = replace(OPENED, state="updated", revision=2, acknowledged_by="ada\x1b", acknowledged_at=NOW_MS)
    made, before = (payload(each, NOW_MS, NOW_MS) for each in (seen, OPENED))
    assert made["labels"] == before["labels"]
    assert made["annotations"]["acknowledged"].startswith("ada")
    assert "\x1b" not in made["annotations"]["acknowledged"]
    assert "acknowledged by ada" in body(seen)
    assert problem([made]) is None


async def test_what_was_over_long_ago_is_not_told():
    clock = Clock()
    clock.now_ms += 2 * AHEAD_MS
    async with standing_in() as (standin, url):
        sink = Alertmanager(url, clock)
        for alert in (OPENED, STATES[2], replace(OPENED, alert_id="still open")):
            await sink.deliver(alert)
        await sink.tend()
        assert set(standin.alerts) == {"still open"}
        await sink.close()


async def test_a_target_that_is_away_gets_it_when_it_is_back_and_one_that_refuses_holds_nobody_up():
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    async with standing_in(503, 500, 429, 200, 400) as (standin, url):
        target = Target(name="am", kind="alertmanager", url=url)
        delivery = Delivery(target, Alertmanager(url, Clock()), health := Health(), sleep)
        await delivery.hand_over(OPENED)
        await delivery.tend()
        assert waits == [1.0, 2.0, 4.0]
        assert set(standin.alerts) == {OPENED.alert_id}
        assert not health.troubles()
        await delivery.hand_over(replace(OPENED, alert_id="refused"))
        await delivery.tend()
        await delivery.hand_over(replace(OPENED, alert_id="next"))
        await delivery.tend()
        assert set(standin.alerts) == {OPENED.alert_id, "next"}


class Listener:
    """A web hook, as apprise calls one."""

    def __init__(self):
        self.heard = []
        self.status = 200

    async def post(self, request):
        if self.status == 200:
            self.heard.append(await request.json())
        return web.Response(status=self.status)


@pytest.fixture
async def hook():
    listener, app = Listener(), web.Application()
    app.router.add_post("/hook", listener.post)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    yield listener, f"json://127.0.0.1:{port}/hook"
    await runner.cleanup()


async def test_chat_hears_each_state_once_in_order(hook):
    listener, url = hook
    delivery = Delivery(Target(name="chat", kind="apprise", url=url), Services("chat", url), Health())
    for alert in (*STATES[:3], STATES[1], STATES[0]):
        await delivery.hand_over(alert)
    assert [each["title"].split()[0] for each in listener.heard] == ["OPENED", "UPDATED", "RESOLVED"]
    assert [each["type"] for each in listener.heard] == ["failure", "warning", "success"]
    assert listener.heard[0]["message"].split("\n")[0] == OPENED.cause


async def test_chat_that_is_away_is_asked_again(hook):
    listener, url = hook
    listener.status = 500
    waits = []

    async def sleep(seconds):
        waits.append(seconds)
        listener.status = 500 if len(waits) < 2 else 200

    await Delivery(Target(name="c", kind="apprise", url=url), Services("c", url), Health(), sleep).hand_over(OPENED)
    assert (len(waits), len(listener.heard)) == (2, 1)


async def test_a_target_hears_only_what_it_wants(hook):
    listener, url = hook
    target = Target(name="c", kind="apprise", url=url, severities=["critical"], models=["fraud"], early=False)
    delivery = Delivery(target, Services("c", url), Health())
    for other in ({"severity": "warning"}, {"model": "other"}, {"early": True}, {}):
        await delivery.hand_over(replace(OPENED, alert_id=str(other), **other))
    assert len(listener.heard) == 1


async def test_a_trial_says_who_took_it(hook):
    listener, url = hook
    said = []
    await trial(NotifySettings(targets=[Target(name="c", kind="apprise", url=url)]), said.append)
    assert said == ["c: took it"]
    assert len(listener.heard) == 2
    away = Target(name="am", kind="alertmanager", url="http://127.0.0.1:1")
    with pytest.raises(Exception, match="not delivered to am"):
        await trial(NotifySettings(targets=[away]), said.append)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "targets"),
        ("targets = []", "targets"),
        ('[[targets]]\nname = "a b"\nkind = "apprise"\nurl = "x"', "name"),
        ('[[targets]]\nname = "a"\nkind = "carrier-pigeon"\nurl = "x"', "kind"),
        ('[[targets]]\nname = "a"\nkind = "apprise"', "either url or url_env"),
        ('[[targets]]\nname = "a"\nkind = "apprise"\nurl_env = "NOT_SET_AT_ALL"', "NOT_SET_AT_ALL is not set"),
        ('[[targets]]\nname = "a"\nkind = "apprise"\nurl = "x"\n' * 2, "two targets are called a"),
        ("[[", "not valid TOML"),
    ],
)
def test_wrong_settings_are_one_line(tmp_path, text, said):
    file = tmp_path / "notify.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=said) as found:
        load_notify_settings(file)
    assert "\n" not in str(found.value)


def test_no_address_is_shown(tmp_path):
    file = tmp_path / "notify.toml"
    file.write_text('[[targets]]\nname = "a"\nkind = "apprise"\nurl = "slack://s3cret"\nurl_env = "X"')
    with pytest.raises(SettingsError) as found:
        load_notify_settings(file)
    assert "s3cret" not in str(found.value)
    with pytest.raises(SettingsError) as found:
        Services("a", "nosuch://s3cret")
    assert "s3cret" not in str(found.value)


async def listed(url):
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v2/alerts") as response:
        return await response.json()


@pytest.mark.skipif(BINARY is None, reason="no Alertmanager is installed")
async def test_a_real_alertmanager_takes_it(tmp_path):
    with real(tmp_path) as url:
        sink = Alertmanager(url)
        for alert in (OPENED, HOSTILE):
            await sink.deliver(alert)
        await sink.tend()
        held = await listed(url)
        assert {each["labels"]["incident_id"] for each in held} == {
            OPENED.alert_id,
            payload(HOSTILE, 0, 0)["labels"]["incident_id"],
        }
        assert {each["status"]["state"] for each in held} <= {"active", "unprocessed"}
        await sink.deliver(replace(OPENED, state="resolved", at=time.time_ns() // 1_000_000))
        await sink.tend()
        held = await listed(url)
        assert OPENED.alert_id not in {each["labels"]["incident_id"] for each in held}
        with pytest.raises(UndeliveredError) as found:
            await sink._post([{"labels": {}}])
        assert found.value.refused
        await sink.close()
