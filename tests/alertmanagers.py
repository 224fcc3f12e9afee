"""An Alertmanager for tests: the real one where it is installed, and a strict stand-in for its route everywhere."""

import re
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime

from aiohttp import web

BINARY = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def problem(body):
    """What the API v2 says of a request body; None where it takes it."""
    if not isinstance(body, list):
        return "not a list"
    for alert in body:
        if set(alert) - {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}:
            return "unknown field"
        if not alert.get("labels"):
            return "no labels"
        for texts in (alert["labels"], alert.get("annotations", {})):
            if not all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in texts):
                return "a name is no label name"
            if not all(isinstance(value, str) for value in texts.values()):
                return "a value is no text"
        starts, ends = (datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt"))
        if starts.tzinfo is None or ends < starts:
            return "times are wrong"
    return None


class Standin:
    """Takes what the real one takes. ``answers``: status codes to give first. ``alerts``: by incident, the newest."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.alerts = {}
        self.requests = 0

    async def post(self, request):
        self.requests += 1
        if self.answers and (status := self.answers.pop(0)) != 200:
            return web.Response(status=status, text="not now")
        body = await request.json()
        if wrong := problem(body):
            return web.json_response({"code": 601, "message": wrong}, status=400)
        self.alerts |= {alert["labels"]["incident_id"]: alert for alert in body}
        return web.Response()


@asynccontextmanager
async def standing_in(*answers):
    """A stand-in, and its address."""
    standin, app = Standin(*answers), web.Application()
    app.router.add_post("/api/v2/alerts", standin.post)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield standin, f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()


@contextmanager
def real(folder):
    """The real one on a free port; its address."""
    (folder / "am.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    options = [f"--config.file={folder}/am.yml", f"--storage.path={folder}/data", "--cluster.listen-address="]
    with (folder / "am.log").open("wb") as log:
        process = subprocess.Popen([BINARY, *options, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"{url}/-/ready", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()
