"""The health of this worker over HTTP, for whoever starts and stops it: an orchestrator, a health check of a container.

``/healthz``: 200 while the process works; what is stuck stands in its JSON and changes nothing, since a restart does not mend it.
``/readyz``: 503 until all stages are members of their groups and have read tables, models and state.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from leadline.foreign_text import as_json
from leadline.hosts.health import Health
from leadline.records import iso
from leadline.settings import Address, SettingsError

log = structlog.get_logger("leadline.health")

_PORTS = 100
"""So many are tried, from the one that is set on: several workers may share a machine."""
_CONNECTIONS = 64
_IDLE_S = 5.0
_END_S = 1.0
_LINE_BYTES = 2048


class _Server(web.Server):
    """Keeps so many connections; one more closes the oldest, so that nobody who holds many keeps others out."""

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > _CONNECTIONS:
            self.connections[0].force_close()


@asynccontextmanager
async def served(health: Health, address: Address | None, is_alive: Callable[[], bool]) -> AsyncIterator[int | None]:
    """Answer during the context; gives the port (None: no address is set). ``is_alive`` says whether all lanes still work."""
    if address is None:
        yield None
        return
    runner = web.ServerRunner(_server(health, is_alive), shutdown_timeout=_END_S)
    await runner.setup()
    try:
        port = await _listen(runner, address)
        log.info("health is told", url=f"http://{address.host}:{port}/healthz")
        yield port
    finally:
        await runner.cleanup()


def _server(health: Health, is_alive: Callable[[], bool]) -> web.Server:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        if request.path not in ("/healthz", "/readyz"):
            return web.Response(status=404, text="ask /healthz or /readyz\n")
        fine = is_alive() and (request.path == "/healthz" or health.is_ready)
        return web.Response(status=200 if fine else 503, text=body(health) + "\n", content_type="application/json")

    return _Server(
        answer, keepalive_timeout=_IDLE_S, lingering_time=1.0, access_log=None, max_line_size=_LINE_BYTES,
        max_field_size=_LINE_BYTES, max_headers=64, read_bufsize=4 * _LINE_BYTES,
    )  # fmt: skip


def body(health: Health) -> str:
    """The stages and troubles as JSON."""
    stages = {
        stage.name: {"state": stage.state.value, "partitions": stage.partitions, "since": iso(stage.since_ms)}
        for stage in health.stages()
    }
    troubles = [
        {"stage": each.step, "what": each.what, "message": each.message, "since": iso(each.since_ms)}
        for each in health.troubles()
    ]
    return as_json({"ready": health.is_ready, "stages": stages, "troubles": troubles})


async def _listen(runner: web.ServerRunner, address: Address) -> int:
    """Listen at the address, or at the next port that is free. Raises SettingsError where that cannot be."""
    last = min(address.port + (_PORTS if address.port else 1), 65_536)
    for port in range(address.port, last):
        site = web.TCPSite(runner, address.host, port, backlog=16)
        try:
            await site.start()
        except OSError as error:
            await site.stop()
            if error.errno == errno.EADDRINUSE and port + 1 < last:
                continue
            raise SettingsError(
                f"health cannot be told at {address.host}:{port} ({error.strerror}): set LEADLINE_HEALTH to another "
                "host:port, or to none"
            ) from None
        return int(runner.addresses[0][1])
    raise AssertionError("a range of ports is never empty")
