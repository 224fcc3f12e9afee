"""``leadline trainer``: trains models again, in this process."""

from leadline.cli.common import broker, keep_private, until_stopped, wait_for


def trainer() -> None:
    """Answer retrain requests with candidates until stopped (SIGTERM or Ctrl-C); what is under way then is left to the next trainer."""
    from leadline.logs import configure_logs

    settings, bootstrap = broker()
    configure_logs()
    keep_private()
    from leadline.hosts.trainer.run import train
    from leadline.hosts.trainer.work import Steps
    from leadline.learning.gate import gate_version
    from leadline.learning.training import make_candidate

    wait_for(until_stopped(train(settings, bootstrap, Steps(make_candidate, gate_version))))
