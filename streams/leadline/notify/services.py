"""Chat, pager and mail by the library apprise."""

import asyncio
from importlib import import_module
from typing import Any

from leadline.notify.target import UndeliveredError
from leadline.notify.texts import body, title
from leadline.records import Alert
from leadline.settings import SettingsError

_SHOWN_AS = {"opened": "failure", "updated": "warning", "resolved": "success", "withdrawn": "info"}


class Services:
    """A sink for one address of apprise. Raises SettingsError where apprise is not there, or does not know the address."""

    def __init__(self, name: str, url: str) -> None:
        self._name = name
        self._apprise = _apprise(name)()
        if not self._apprise.add(url):
            raise SettingsError(f"apprise does not know the address of the target {name}: see its list of services")

    async def deliver(self, alert: Alert) -> None:
        if alert.silenced_until is not None:
            return
        shown_as = _SHOWN_AS.get(alert.state, "warning")
        taken = await asyncio.to_thread(
            self._apprise.notify, body=body(alert), title=title(alert), notify_type=shown_as, body_format="text"
        )
        if not taken:
            raise UndeliveredError(f"{self._name} did not take it: is it there, and is its address right?")

    async def tend(self) -> None:
        """Nothing is ever due: a message once taken stays."""

    async def close(self) -> None:
        """Nothing is held open."""


def _apprise(name: str) -> Any:
    try:
        return import_module("apprise").Apprise
    except ImportError:
        raise SettingsError(f"the target {name} needs apprise: pip install 'leadline[notify]'") from None
