"""``leadline rollout story``: a whole rollout as it was decided, in plain sentences."""

from typing import Annotated, Any

import typer

from leadline.cli.common import Json, broker, put_json, put_wrapped, wait_for
from leadline.cli.rollout_log import heard
from leadline.core.release.story import Story, Told, summary
from leadline.core.release.story import story as tell
from leadline.errors import LeadlineError
from leadline.foreign_text import shown
from leadline.records import iso


def show_story(
    model: Annotated[str, typer.Argument(help="The model.")],
    rollout_id: Annotated[str, typer.Argument(help="Of the rollout. Default: the newest one.")] = "",
    json: Json = False,
) -> None:
    """Tell a rollout from its beginning: who asked for it, each look at the evidence, each step, and how it ended."""
    settings, bootstrap = broker()
    known = wait_for(heard(bootstrap, settings.prefix, model))
    ids = known.ids()
    if not ids:
        raise LeadlineError(f"no rollout of {shown(model)} is in the log: begin one with `leadline rollout start`")
    found = tell(known, rollout_id or ids[-1])
    if found is None:
        some = ", ".join(shown(each) for each in ids[-5:])
        raise LeadlineError(f"{shown(model)} had no rollout {shown(rollout_id)}: the newest are {some}")
    if json:
        put_json(fields(found))
    else:
        put_story(found)


def put_story(found: Story) -> None:
    """Show a story to a person."""
    for line in summary(found):
        put_wrapped(line)
    for each in found.told:
        put_wrapped(f"{iso(each.at)}  {each.text}")
    for gap in found.missing:
        put_wrapped(f"Not told: {gap}.")


def fields(found: Story) -> dict[str, Any]:
    """A story, for `as_json`."""
    return {
        "model": found.model, "rollout_id": found.rollout_id, "champion": found.champion, "challenger": found.challenger,
        "state": found.state, "began": iso(found.began), "ended": None if found.ended is None else iso(found.ended),
        "pairs": found.tally.pairs, "better": found.tally.better, "same": found.tally.same, "worse": found.tally.worse,
        "events": [_event(each) for each in found.told], "missing": found.missing,
    }  # fmt: skip


def _event(each: Told) -> dict[str, Any]:
    from leadline.cli.record_fields import record_fields

    record = each.record and record_fields(each.record)
    return {"at": iso(each.at), "kind": each.kind, "text": each.text, "record": record}
