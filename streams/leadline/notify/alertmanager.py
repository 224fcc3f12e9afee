"""Alertmanager by its API v2.

An incident is one alert there: the same labels from opened to resolved, so that a repeat is the same alert. Where its severity changes
it has other labels, and the one with the old labels is ended. Alertmanager takes an alert
as over when nobody repeats it until its end, so the end of an open one lies a day ahead and is moved on every minute: a notifier that is
away for some hours resolves nothing. What is silenced is not sent; where it was sent before, it is ended, and comes again when the silence
is over.
"""

import time
from collections.abc import Callable
from typing import Any

import aiohttp

from leadline.foreign_text import shown
from leadline.notify.target import UndeliveredError
from leadline.notify.texts import acknowledged, body, title
from leadline.records import Alert, iso

AHEAD_MS = 86_400_000
AGAIN_MS = 60_000
_ANSWERS_S = 10.0
OVER = ("resolved", "withdrawn")


def payload(alert: Alert, began_ms: int, now_ms: int) -> dict[str, Any]:
    """An incident as Alertmanager takes it: open until a day from now, or over since ``alert.at``."""
    ended, by = alert.state in OVER, acknowledged(alert)
    return {
        "labels": {
            "alertname": f"Leadline {alert.kind}",
            "incident_id": alert.alert_id,
            "model": shown(alert.model),
            "model_version": shown(alert.model_version),
            "severity": alert.severity,
            "early": "true" if alert.early else "false",
        },
        "annotations": {
            "summary": title(alert),
            "description": body(alert),
            "runbook": shown(alert.runbook, 1000),
            **({"acknowledged": by} if by else {}),
        },
        "startsAt": iso(began_ms),
        "endsAt": iso(max(began_ms, min(alert.at, now_ms)) if ended else now_ms + AHEAD_MS),
    }


class Alertmanager:
    """A sink that holds the incidents that are open, tells what changed, and repeats them. It wants the topic from its beginning.

    It tells nothing while it is handed the past: an incident that was opened and resolved long ago wakes nobody.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        self._url = url.rstrip("/") + "/api/v2/alerts"
        self._clock = clock
        self._held: dict[str, Alert] = {}
        self._began: dict[str, int] = {}
        self._changed: set[str] = set()
        self._told: dict[str, dict[str, Any]] = {}
        self._again_ms = 0
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, alert: Alert) -> None:
        self._began.setdefault(alert.alert_id, alert.at or alert.window_end)
        self._held[alert.alert_id] = alert
        self._changed.add(alert.alert_id)

    async def tend(self) -> None:
        now_ms = self._now_ms()
        if now_ms >= self._again_ms:
            self._changed.update(self._held)
            self._again_ms = now_ms + AGAIN_MS
        for incident in sorted(self._changed):
            alert = self._held[incident]
            is_news = alert.state not in OVER or alert.at > now_ms - AHEAD_MS or incident in self._told
            if alert.silenced_until is not None:
                await self._hush(alert, now_ms)
            elif is_news:
                await self._tell(alert, now_ms)
            self._done(alert)

    async def _hush(self, alert: Alert, now_ms: int) -> None:
        """End what was sent of an incident that is silenced."""
        if (before := self._told.get(alert.alert_id)) is not None:
            await self._post([self._ended(before, alert, now_ms)])
            del self._told[alert.alert_id]

    def _ended(self, before: dict[str, Any], alert: Alert, now_ms: int) -> dict[str, Any]:
        return before | {"endsAt": iso(max(now_ms, self._began[alert.alert_id]))}

    async def _tell(self, alert: Alert, now_ms: int) -> None:
        made = payload(alert, self._began[alert.alert_id], now_ms)
        before = self._told.get(alert.alert_id, made)
        others = [self._ended(before, alert, now_ms)] if before["labels"] != made["labels"] else []
        try:
            await self._post([*others, made])
            self._told[alert.alert_id] = made
        except UndeliveredError as error:
            if error.refused:
                self._done(alert)
            raise

    def _done(self, alert: Alert) -> None:
        self._changed.discard(alert.alert_id)
        if alert.state in OVER:
            for kept in (self._held, self._began, self._told):
                kept.pop(alert.alert_id, None)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    async def _post(self, alerts: list[dict[str, Any]]) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWERS_S))
        try:
            async with self._session.post(self._url, json=alerts) as response:
                if response.status >= 300:
                    said = shown((await response.content.read(500)).decode("utf-8", "replace"))
                    refused = 400 <= response.status < 500 and response.status not in (401, 403, 404, 408, 429)
                    raise UndeliveredError(f"Alertmanager answers {response.status}: {said}", refused)
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise UndeliveredError(f"Alertmanager does not answer: {type(error).__name__}") from None
