"""``leadline replay``: back-test your own history."""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from leadline.cli.common import duration, err, moment_ms, put_json, reach, say, wait_for
from leadline.settings import load_settings


def replay(
    predictions: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Log of predictions (CSV, may be gzipped).")
    ],
    outcomes: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Log of outcomes (CSV, may be gzipped).")],
    horizon: Annotated[str, typer.Option(help="How long after the event an outcome counts, such as 12h.")],
    window: Annotated[str, typer.Option(help="Size of the windows, such as 1d.")],
    policy: Annotated[Literal["first", "latest"], typer.Option(help="Which of several outcomes counts.")] = "first",
    grace: Annotated[
        str | None, typer.Option(help="How much longer a record may take to arrive. Default: for ever.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="The moment to answer for, ISO-8601. Default: the latest time in the logs.")
    ] = None,
    model: Annotated[str, typer.Option(help="Name of the model.")] = "default",
    task: Annotated[Literal["binary", "regression"], typer.Option(help="What the scores are.")] = "binary",
    positive: Annotated[
        str | None, typer.Option(help="The label that counts as yes, where labels are not 0 and 1.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the metrics of each window go.")] = Path("metrics.csv"),
    summary: Annotated[Path, typer.Option(help="Where the counts go.")] = Path("summary.json"),
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of the topics.")] = 2,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave topics and state for you to look at.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the summary too, as one line of JSON.")] = False,
) -> None:
    """Replay two logs through the real pipeline on Kafka, and write what its live metrics say."""
    from leadline.embedded import progress_bar, servers
    from leadline.replay.errors import NothingCountedError
    from leadline.replay.logs import read_logs
    from leadline.replay.report import problem, told
    from leadline.replay.run import Replay, run

    settings = load_settings()
    asked = Replay(
        model, task, duration("horizon", horizon), duration("window", window), policy,
        None if grace is None else duration("grace", grace), None if as_of is None else _moment(as_of), partitions, workers, keep,
    )  # fmt: skip
    _check_places(out, summary)
    logs = read_logs(predictions, outcomes, model, task, positive)
    folder = Path(tempfile.mkdtemp(prefix="leadline-replay-"))
    with servers(settings, redis=False) as reached, progress_bar(err) as progress:
        wait_for(reach(reached.bootstrap))
        answer = run(asked, logs, settings, reached.bootstrap, folder, say, progress)
    out.write_text(answer.metrics, "utf-8")
    summary.write_text(json.dumps(answer.summary, indent=2) + "\n", "utf-8")
    say(f"wrote {out} and {summary}")
    if json_:
        put_json(answer.summary)
    if nothing := problem(answer.counts, answer.letters):
        raise NothingCountedError(nothing)
    if answer.letters:
        say(told(answer.letters))


def _check_places(*files: Path) -> None:
    for file in files:
        if file.is_dir() or not file.absolute().parent.is_dir():
            raise typer.BadParameter(f"{file} cannot be written: name a file in a folder that is there")


def _moment(value: str) -> int:
    try:
        return moment_ms(value)
    except ValueError as error:
        raise typer.BadParameter(f"--as-of: {error}") from None
