"""``leadline replay``: back-test your own history."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from leadline.cli.common import check_places, duration, err, moment_ms, put_json, reach, say, wait_for
from leadline.settings import ModelSettings, load_model_settings, load_settings


def replay(
    predictions: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Log of predictions (CSV, may be gzipped).")
    ],
    outcomes: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Log of outcomes (CSV, may be gzipped).")],
    horizon: Annotated[
        str | None, typer.Option(help="How long after the event an outcome counts, such as 12h.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="Size of the windows, such as 1d.")] = None,
    policy: Annotated[
        Literal["first", "latest"] | None, typer.Option(help="Which of several outcomes counts. Default: first.")
    ] = None,
    grace: Annotated[
        str | None, typer.Option(help="How much longer a record may take to arrive. Default: for ever.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="The moment to answer for, ISO-8601. Default: the latest time in the logs.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model. Default: default.")] = None,
    task: Annotated[
        Literal["binary", "regression"] | None, typer.Option(help="What the scores are. Default: binary.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The label that counts as yes, where labels are not 0 and 1.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the metrics of each window go.")] = Path("metrics.csv"),
    summary: Annotated[Path, typer.Option(help="Where the counts go.")] = Path("summary.json"),
    settings: Annotated[
        Path | None, typer.Option(help="A model.toml, for what no option says: limits of alerts, features and so on.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Labelled and scored reference (CSV): drift and incidents are replayed too.")
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="Features by request_id (CSV), of the reference and of the predictions.")
    ] = None,
    incidents: Annotated[Path, typer.Option(help="Where the incidents go.")] = Path("incidents.csv"),
    snapshots: Annotated[
        Path | None, typer.Option(help="Where every revision of the metrics goes, with its stage time.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Where a page about it all goes (HTML).")] = None,
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of the topics.")] = 2,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave topics and state for you to look at.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the summary too, as one line of JSON.")] = False,
) -> None:
    """Replay two logs through the real pipeline on Kafka, and write what its live metrics say."""
    from leadline.embedded import progress_bar, servers
    from leadline.replay.errors import NothingCountedError
    from leadline.replay.logs import read_logs
    from leadline.replay.reference import Watched
    from leadline.replay.report import problem, told
    from leadline.replay.run import Replay, run

    installation = load_settings()
    durations = {"horizon": horizon, "window": window, "grace": grace}
    given = {name: duration(name, value) for name, value in durations.items() if value is not None}
    wanted = settings_from(settings, {"name": model, "task": task, "policy": policy} | given)
    as_of_ms = None if as_of is None else _moment(as_of)
    if features is not None and reference is None:
        raise typer.BadParameter("--features say what a --reference is compared by: name one")
    check_places(out, summary, incidents, *(each for each in (snapshots, report) if each is not None))
    watched = None if reference is None else Watched.read(reference, features, wanted, positive)
    known = wanted if watched is None else watched.settings(wanted)
    logs = read_logs(predictions, outcomes, known.name, known.task, positive, watched)
    asked = Replay(
        known, as_of_ms, partitions, workers, keep, [] if watched is None else watched.versions, report is not None
    )
    folder = Path(tempfile.mkdtemp(prefix="leadline-replay-"))
    with servers(installation, redis=False) as reached, progress_bar(err) as progress:
        wait_for(reach(reached.bootstrap))
        answer = run(asked, logs, installation, reached.bootstrap, folder, say, progress)
    files = {out: answer.metrics, summary: json.dumps(answer.summary, indent=2) + "\n"}
    files |= {incidents: answer.incidents} if watched is not None else {}
    files |= {snapshots: answer.snapshots} if snapshots is not None else {}
    files |= {report: answer.page} if report is not None else {}
    for file, text in files.items():
        file.write_text(text, "utf-8")
    say(f"wrote {', '.join(map(str, files))}")
    if json_:
        put_json(answer.summary)
    if nothing := problem(answer.counts, answer.letters):
        raise NothingCountedError(nothing)
    if answer.letters:
        say(told(answer.letters))


def settings_from(file: Path | None, given: Mapping[str, Any]) -> ModelSettings:
    """The settings of a file, with what the options say instead."""
    said = {name: value for name, value in given.items() if value is not None}
    if file is None:
        missing = [f"--{name}" for name in ("horizon", "window") if name not in said]
        if missing:
            raise typer.BadParameter(f"say {' and '.join(missing)}, or name --settings")
        return ModelSettings.model_validate({"name": "default", "grace": "never"} | said)
    there = load_model_settings(file).model_dump()
    return ModelSettings.model_validate(
        there | {"grace": there["grace"] if there["grace"] is not None else "never"} | said
    )


def _moment(value: str) -> int:
    try:
        return moment_ms(value)
    except ValueError as error:
        raise typer.BadParameter(f"--as-of: {error}") from None
