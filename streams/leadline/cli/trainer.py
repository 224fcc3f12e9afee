"""``leadline trainer``: trains models again, in this process."""

from leadline.cli.common import broker, keep_private, until_stopped, wait_for


def trainer() -> None:
    """Answer retrain requests with candidates until stopped (SIGTERM or Ctrl-C); what is under way then is left to the next trainer."""
    from leadline.logs import configure_logs

    settings, bootstrap = broker()
    configure_logs()
    keep_private()
    from leadline.hosts.trainer.run import train

    wait_for(until_stopped(train(settings, bootstrap)))
