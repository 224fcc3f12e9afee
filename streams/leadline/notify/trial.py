"""One made-up incident to every target: does it arrive?"""

import time
from collections.abc import Callable

from leadline.errors import LeadlineError
from leadline.notify.run import sink_of
from leadline.notify.target import UndeliveredError
from leadline.records import Alert
from leadline.settings.notify import NotifySettings


async def trial(wanted: NotifySettings, say: Callable[[str], None]) -> None:
    """Open and resolve the incident at every target; raises LeadlineError where one did not take it."""
    failed = []
    for target in wanted.targets:
        sink = sink_of(target)
        try:
            for state in ("opened", "resolved"):
                await sink.deliver(_made_up(state))
                await sink.tend()
            say(f"{target.name}: took it")
        except UndeliveredError as error:
            failed.append(target.name)
            say(f"{target.name}: {error}")
        finally:
            await sink.close()
    if failed:
        raise LeadlineError(f"not delivered to {', '.join(failed)}: look at the lines above")


def _made_up(state: str) -> Alert:
    now_ms = time.time_ns() // 1_000_000
    return Alert(
        alert_id="leadline-trial",
        kind="trial",
        severity="warning",
        state=state,
        model="no model",
        model_version="v0",
        segment="*",
        window_start=now_ms - 60_000,
        window_end=now_ms,
        revision=1 if state == "opened" else 2,
        evidence={},
        runbook="",
        cause="somebody tries the notifier: nothing is wrong",
        at=now_ms,
    )
