"""``leadline notify``: incidents to people, in this process."""

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.common import broker, say, until_stopped, wait_for

Config = Annotated[Path, typer.Option("--config", help="TOML file with the targets; see docs/notify.md.")]


def notify(
    config: Config = Path("notify.toml"),
    test: Annotated[bool, typer.Option("--test", help="Send one made-up incident to every target, and end.")] = False,
) -> None:
    """Tell people of incidents (Alertmanager, chat, pager, mail) until stopped: at least once, each target by itself."""
    from leadline.logs import configure_logs
    from leadline.settings.notify import load_notify_settings

    wanted = load_notify_settings(config)
    if test:
        from leadline.notify.trial import trial

        wait_for(trial(wanted, say))
        return
    settings, bootstrap = broker()
    configure_logs()
    from leadline.notify.run import notify as run

    wait_for(until_stopped(run(bootstrap, settings, wanted)))
