"""``leadline ready``: whether a model may go into production."""

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.common import JsonLines, wait_for
from leadline.cli.named import split, version_of
from leadline.settings import load_settings


def ready(
    model: Annotated[str, typer.Argument(help="The model.")],
    version: Annotated[str, typer.Option(help="The version. Default: the champion, else the newest one here.")] = "",
    notify: Annotated[Path, typer.Option(help="The file of targets of `leadline notify`.")] = Path("notify.toml"),
    json: JsonLines = False,
) -> None:
    """Say whether a model is ready for production, line by line and what to do; exit code 0 only where all holds.

    A version with a receipt is trained again, which takes as long as its training.
    """
    from leadline.cli.checkup.findings import Level
    from leadline.cli.checkup.look_at_model import look_at_model
    from leadline.cli.checkup.readiness import judge_readiness
    from leadline.cli.checkup.tell import tell, tell_json

    model, named = split(model, version)
    seen = wait_for(look_at_model(load_settings(), model, version_of(model, named), notify))
    findings = list(judge_readiness(seen))
    for finding in findings:
        (tell_json if json else tell)(finding)
    if any(each.level is not Level.FINE for each in findings):
        raise SystemExit(1)
