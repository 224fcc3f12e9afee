"""``leadline notify`` on a real broker: each target hears every incident, whatever ends and whoever is away."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import uuid
from dataclasses import replace

import pytest
from aiohttp import web

from alertmanagers import standing_in
from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import open_sender
from leadline.records import Alert
from leadline.wire.single import value_of

pytestmark = pytest.mark.integration
OPENED = Alert("i", "performance", "critical", "opened", "m", "v1", "*", 0, 1000, 1, {}, "", at=2000)


@pytest.fixture
async def prefix(kafka):
    name = f"test-{uuid.uuid4().hex[:8]}"
    await apply_topics(kafka, name, 2, 1, None, [])
    yield name
    await cluster.remove(kafka, name)


@contextlib.asynccontextmanager
async def hooked():
    """A web hook that keeps what it hears, and its address for apprise."""
    heard = []

    async def post(request):
        heard.append((await request.json())["title"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", post)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield heard, f"json://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/hook"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def notifying(kafka, prefix, config):
    environment = os.environ | {"KAFKA_BOOTSTRAP": kafka, "LEADLINE_PREFIX": prefix}
    command = [sys.executable, "-m", "leadline", "notify", "--config", str(config)]
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def send(kafka, prefix, *alerts):
    async with open_sender(kafka, prefix) as sender:
        rows = [(alert.model.encode(), value_of(alert), []) for alert in alerts]
        await sender.send_and_wait(f"{prefix}.alerts", 0, rows)


async def until(condition):
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("not within a minute")


async def test_each_target_hears_all_of_it_through_kills_and_absences(kafka, prefix, tmp_path):
    config = tmp_path / "notify.toml"
    async with hooked() as (heard, hook), standing_in(*[503] * 3) as (standin, url):
        lines = [("chat", "apprise", hook), ("am", "alertmanager", url)]
        config.write_text(
            "".join(
                f"[[targets]]\nname={json.dumps(n)}\nkind={json.dumps(k)}\nurl={json.dumps(u)}\n" for n, k, u in lines
            )
        )
        await send(kafka, prefix, OPENED, replace(OPENED, alert_id="j"))
        async with notifying(kafka, prefix, config) as process:
            await until(lambda: len(heard) == 2)
            await until(lambda: set(standin.alerts) == {"i", "j"})
            process.kill()
        await send(kafka, prefix, replace(OPENED, state="resolved", revision=2))
        standin.alerts.clear()
        async with notifying(kafka, prefix, config) as process:
            await until(lambda: len(heard) >= 3 and "j" in standin.alerts)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0
    assert [each.split()[0] for each in heard if "RESOLVED" in each] == ["RESOLVED"]
    assert len(heard) <= 4
