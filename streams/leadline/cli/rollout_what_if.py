"""``leadline rollout simulate``: what the policy would have decided about logged predictions, and when."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from leadline.cli.common import Json, duration, err, put_json, put_wrapped, say
from leadline.records import iso
from leadline.settings import ApprovalSettings, ModelSettings, RolloutSettings, SettingsError, explain

if TYPE_CHECKING:
    from leadline.replay.what_if import Decided, Question, Seen

_VERDICTS = {"roll-back": "rollback"}


def simulate(
    predictions: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="Log of predictions of both versions (CSV, may be gzipped)."),
    ],
    outcomes: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Log of outcomes (CSV, may be gzipped).")],
    champion: Annotated[str, typer.Option(help="The version that answers.")],
    challenger: Annotated[str, typer.Option(help="The version that is brought in.")],
    horizon: Annotated[
        str | None, typer.Option(help="How long after the event an outcome counts, such as 12h.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="Size of the windows, such as 1d.")] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="How much worse the challenger may be, such as 0.01. Default: 0, it has to be better."),
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="How often a verdict may be wrong. Default: 0.05.")] = None,
    settings: Annotated[
        Path | None, typer.Option(help="A model.toml, for what no option says: steps, segments, deadline and so on.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The label that counts as yes, where labels are not 0 and 1.")
    ] = None,
    json: Json = False,
) -> None:
    """Let two logs decide: what the rollout policy would have said about a challenger, and when. No Kafka is needed.

    The pairs are the requests that both versions scored. Exit code 0, whatever the verdict is.
    """
    from leadline.embedded import progress_bar
    from leadline.replay.pairs import read_pairs
    from leadline.replay.report import told
    from leadline.replay.what_if import Question, decide

    if champion == challenger:
        raise typer.BadParameter(f"--champion and --challenger are both {champion}: name two versions")
    known = _settings(settings, horizon, window, margin, alpha)
    if known.task == "regression":
        raise SettingsError(
            f"{settings}: task is regression: its errors have no bound without a reference, so classes alone are compared"
        )
    logs = read_pairs(predictions, outcomes, known, champion, challenger, positive)
    question = Question(known, champion, challenger)
    with progress_bar(err) as progress:
        decided = decide(question, logs, progress)
    found = fields(question, decided, logs.requests())
    if json:
        put_json(found)
    else:
        _put(question, decided, found)
    if decided.letters:
        say(told(decided.letters))
    if decided.late:
        say(f"{decided.late:,} pairs count for nothing: a prediction of them came after their window was due")


def _settings(
    file: Path | None, horizon: str | None, window: str | None, margin: float | None, alpha: float | None
) -> ModelSettings:
    """The settings of a file, with what the options say instead. No person has to agree, and no budget is spent."""
    from leadline.cli.replay import settings_from

    durations = {"horizon": horizon, "window": window}
    given = {name: duration(name, value) for name, value in durations.items() if value is not None}
    try:
        known = settings_from(file, given)
        said = {name: value for name, value in (("margin", margin), ("alpha", alpha)) if value is not None}
        values = known.rollout.model_dump() | said
        values |= {"automatic": True, "budget": max(values["budget"], values["margin"])}
        policy = RolloutSettings.model_validate(values)
        return known.model_copy(update={"rollout": policy, "approval": ApprovalSettings()})
    except ValidationError as error:
        raise SettingsError(explain(error)) from None


def fields(question: "Question", decided: "Decided", requests: dict[str, int]) -> dict[str, Any]:
    """What was decided, for `as_json`; ``requests``: the event time of each."""
    from leadline.replay.harm import harmed

    last = decided.looks[-1] if decided.looks else None
    verdict = decided.verdict.verdict if decided.verdict else last.look.verdict if last else "no-labels"
    at = decided.at if decided.verdict else None
    return {
        "verdict": _VERDICTS.get(verdict, verdict), "decided_at": None if at is None else iso(at), **_counts(last),
        "harmed": harmed(question, decided, requests), "looks": [_look(each) for each in decided.looks],
    }  # fmt: skip


def _look(seen: "Seen") -> dict[str, Any]:
    said = _VERDICTS.get(seen.look.verdict, seen.look.verdict)
    return {"at": iso(seen.at), "verdict": said, **_counts(seen)}


def _counts(seen: "Seen | None") -> dict[str, Any]:
    if seen is None:
        none = dict.fromkeys(("pairs", "better", "same", "worse"), 0)
        return {**none, "evidence_promote": 1.0, "evidence_rollback": 1.0, "segment": "*"}
    look = seen.look
    return {
        "pairs": look.pairs, "better": look.better, "same": look.same, "worse": look.worse,
        "evidence_promote": look.promote, "evidence_rollback": look.roll_back, "segment": look.segment,
    }  # fmt: skip


def _put(question: "Question", decided: "Decided", found: dict[str, Any]) -> None:
    """For a person: the verdict, then the rollout as it would have gone."""
    from leadline.cli.rollout_story import put_story
    from leadline.core.release.story import Heard, story

    when = f" at {found['decided_at']}" if found["decided_at"] else " until the end of the logs"
    put_wrapped(f"{found['verdict']}{when}: {_why(decided)}")
    put_wrapped(f"{found['harmed']:,} requests were answered by the version that is worse.")
    heard = Heard(question.settings.name)
    for record in decided.records:
        heard.add(record)
    for each in heard.ids()[:1]:
        if (told := story(heard, each)) is not None:
            put_story(told)


def _why(decided: "Decided") -> str:
    if decided.verdict is not None:
        return decided.verdict.reason
    return decided.looks[-1].look.reason if decided.looks else "no pair was due before the logs ended"
