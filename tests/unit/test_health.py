import asyncio
import json
from contextlib import AbstractAsyncContextManager

import pytest

from leadline.hosts.contract import Installation
from leadline.hosts.health import Health, StageState
from leadline.hosts.health_http import served
from leadline.hosts.health_record import Teller, worker_id
from leadline.learning.cached import CachedModels
from leadline.settings import Address, SettingsError, load_settings


def test_a_trouble_that_is_said_again_keeps_the_time_at_which_it_was_said_first() -> None:
    health = Health()
    health.stuck("join", "outcomes/1", "a batch cannot be read")
    [first] = health.troubles()
    health.stuck("join", "outcomes/1", "a batch still cannot be read")
    assert health.troubles() == [first._replace(message="a batch still cannot be read")]


def test_what_goes_on_is_no_trouble_any_more() -> None:
    health = Health()
    health.stuck("join", "outcomes/1", "a batch cannot be read")
    health.freed("join", "outcomes/1")
    health.freed("join", "predictions/0")
    assert health.troubles() == []


def test_a_stage_says_what_it_does_and_how_often_it_joined_again(monkeypatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr("leadline.hosts.health.time.time", lambda: now[0])
    health = Health()
    health.expect(["join"])
    assert not health.is_ready
    health.is_now("join", StageState.RUNNING, [1, 0])
    assert health.is_ready
    for _ in range(3):
        now[0] += 60
        health.joins_again("join", "a broker\x1b is away")
        assert not health.is_ready
        health.is_now("join", StageState.RUNNING, [0, 1])
    health.round("join", moved=True, lag=7)
    now[0] += 1
    health.round("join", moved=False)
    [stage] = health.stages()
    assert (stage.partitions, stage.lag, stage.since_ms) == ([0, 1], 7, 1_180_000)
    assert (stage.moved_ms, stage.round_ms) == (1_180_000, 1_181_000)
    assert (stage.joined_again(1_181_000), stage.reason) == ([1_060_000, 1_120_000, 1_180_000], "a broker\\x1b is away")
    assert stage.joined_again(1_721_000) == [1_180_000]


def test_only_what_changes_is_counted_as_a_change() -> None:
    health = Health()
    health.is_now("join", StageState.RUNNING, [0])
    before = health.changes
    for _ in range(2):
        health.is_now("join", StageState.RUNNING, [0])
        health.round("join", moved=True, lag=1)
        health.freed("join", "outcomes/0")
    assert health.changes == before
    health.stuck("join", "outcomes/0", "a batch cannot be read")
    health.stuck("join", "outcomes/0", "a batch cannot be read")
    health.freed("join", "outcomes/0")
    assert health.changes == before + 2


def test_a_worker_keeps_its_name_and_shares_it_with_nobody(tmp_path) -> None:
    with worker_id(tmp_path) as first, worker_id(tmp_path) as second:
        assert first != second
    with worker_id(tmp_path) as again:
        assert again in (first, second)


async def ask(port: int, path: str, head: bytes = b"GET") -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b" " + path.encode() + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    answer = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    return int(answer.split()[1]), answer.partition("\r\n\r\n")[2]


async def test_the_health_of_a_worker_over_http() -> None:
    health, alive = Health(), [True]
    health.expect(["join"])
    async with served(health, Address("127.0.0.1", 0), lambda: alive[0]) as port:
        assert [(await ask(port, path))[0] for path in ("/healthz", "/readyz", "/etc")] == [200, 503, 404]
        health.is_now("join", StageState.RUNNING, [0])
        health.stuck("join", "outcomes/0", "\x1b[31mno batch\u202e")
        status, told = await ask(port, "/readyz")
        assert status == 200
        assert "\x1b" not in told
        assert "\u202e" not in told
        [trouble] = json.loads(told)["troubles"]
        assert (trouble["stage"], trouble["what"]) == ("join", "outcomes/0")
        alive[0] = False
        assert [(await ask(port, path))[0] for path in ("/healthz", "/readyz")] == [503, 503]
        assert [(await ask(port, "/healthz", each))[0] for each in (b"POST", b"PUT")] == [405, 405]
        assert (await ask(port, "/" + "a" * 100_000))[0] == 400


async def test_nobody_keeps_others_from_asking() -> None:
    async with served(Health(), Address("127.0.0.1", 0), lambda: True) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
        assert (await ask(port, "/healthz"))[0] == 200
        for _, writer in held:
            writer.close()


async def test_a_port_that_is_taken_leaves_the_next_one() -> None:
    def on(port: int) -> AbstractAsyncContextManager[int | None]:
        return served(Health(), Address("127.0.0.1", port), lambda: True)

    async with on(0) as first, on(first or 0) as second:
        assert (second or 0) > (first or 0)
        assert (await ask(second or 0, "/healthz"))[0] == 200
    async with served(Health(), None, lambda: True) as none:
        assert none is None


async def test_an_address_that_is_not_this_machines_is_refused_in_one_line() -> None:
    with pytest.raises(SettingsError, match="set LEADLINE_HEALTH to another host:port, or to none"):
        async with served(Health(), Address("192.0.2.1", 8088), lambda: True):
            pass


@pytest.mark.parametrize("value", ["", "8088", "127.0.0.1", "a b:1", "127.0.0.1:99999", ":8088"])
def test_what_is_no_address_is_refused(value, monkeypatch) -> None:
    monkeypatch.setenv("LEADLINE_HEALTH", value)
    with pytest.raises(SettingsError, match="health: "):
        load_settings()


class Unreadable(CachedModels):
    """Models whose folder has become unreadable."""

    def names(self) -> list[str]:
        raise OSError("no right to look")


async def test_what_goes_wrong_with_telling_ends_no_worker(tmp_path) -> None:
    models = Unreadable(tmp_path)
    teller = Teller("w", Installation(load_settings(), "127.0.0.1:1", models), models)

    def refresh() -> None:
        models.names()

    telling = asyncio.create_task(teller.run(refresh))
    assert await asyncio.wait([telling], timeout=1.5) == (set(), {telling})
    telling.cancel()
    await asyncio.wait([telling])
    assert telling.cancelled()
