"""A trainer whose trainings do what the cause of their request says: ``python tests/trainers.py``. All else of it is the real one."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

from leadline.cli.common import until_stopped
from leadline.errors import LeadlineError
from leadline.hosts.trainer import work
from leadline.hosts.trainer.run import train
from leadline.logs import configure_logs
from leadline.records import Verdict
from leadline.settings import load_settings


class Made(NamedTuple):
    version: str
    receipt: str
    metrics: dict[str, float]
    held_out: Path


def make(root, settings, champion, request, rows, log, now_ms, tell, stop):
    """Count the rows, then succeed (``large``: with a version that no topic takes), fail, hang until it is stopped, or kill this process
    where ``die`` says so.
    """
    found = sum(len(batch) for batch in rows)
    tell(f"{found} rows")
    what = request.cause
    if what == "raise":
        raise LeadlineError("the recipe raises, twice\nas said")
    if what == "break":
        raise KeyError("x")
    if what == "die" or (what == "die once" and not (root / "died").exists()):
        (root / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    while what == "hang" and not stop():
        time.sleep(0.05)
    return Made(
        f"{request.retrain_id}-{champion}" + "x" * 5_000_000 * (what == "large"),
        "digest",
        {"rows": float(found)},
        root / "held",
    )


def judge(root, settings, champion, challenger, held_out, candidates, now_ms):
    return Verdict(
        f"gate {challenger}",
        settings.name,
        challenger,
        champion or "",
        "gate",
        "promote",
        [],
        f"number {candidates}",
        "gate",
        "",
        now_ms,
    )


if __name__ == "__main__":
    configure_logs()
    settings = load_settings()
    work.make_candidate, work.gate_version = make, judge
    asyncio.run(until_stopped(train(settings, settings.kafka_bootstrap)))
