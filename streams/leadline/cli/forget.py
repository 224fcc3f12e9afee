"""``leadline forget``: remove a person's rows from the training sets on this disk."""

import time
from typing import Annotated

import typer

from leadline.cli.common import Json, models_of, put, put_json
from leadline.settings import Settings, SettingsError, load_settings

_TOPICS = ("prediction-requests", "predictions", "shadow-predictions", "labeled-predictions", "dead-letters")
"""Those that hold a user_id, or the record of one as it came."""


def forget(
    user: Annotated[str, typer.Option("--user", help="The user_id, as requests have it.")],
    reason: Annotated[
        str, typer.Option("--reason", help="Why; it is noted beside each file that changes.")
    ] = "asked for",
    json: Json = False,
) -> None:
    """Remove a user's rows from the training sets and held-out rows of all models on this disk, and say what is left where."""
    from leadline.learning.training.forget import forget as remove
    from leadline.wire.plan import DAY_MS, KEEP_MS

    if not user:
        raise SettingsError("--user is empty: rows without a user would be meant; name one")
    settings = load_settings()
    done = remove(models_of(settings, sets=True), user, reason, int(time.time() * 1000))
    _publish(settings, {each.model for each in done})
    versions = sorted({(each.model, version) for each in done for version in each.versions})
    topics = [f"{settings.prefix}.{name}" for name in _TOPICS]
    if json:
        files = [{"model": each.model, "file": str(each.file), "rows": each.rows} for each in done]
        left = {"topics": topics, "versions": [f"{model} {version}" for model, version in versions]}
        put_json({"files": files, "rows": sum(each.rows for each in done), "left": left})
        return
    for each in done:
        put(f"removed {each.rows:,} rows from {each.file}")
    if not done:
        put(f"no training set below {settings.store or settings.models} has rows of this user")
    put(
        f"left in topics until they expire, {KEEP_MS // DAY_MS} days if `topics apply` was told nothing else: {', '.join(topics)}"
    )
    put("left in the state of workers and its changelogs until the horizon and grace of the model are over")
    for model, version in versions:
        put(
            f"left in {model} {version}: what it learned from them, and maybe values in its golden sample: train anew, then remove it"
        )
    put("not looked at: other machines, copies, and the files that [training] base names")


def _publish(settings: Settings, models: set[str]) -> None:
    """Where models are in a store, the training sets there are replaced too."""
    from leadline.learning.store import store_of

    store = store_of(settings)
    if store is not None:
        for model in sorted(models):
            store.publish_sets(model, anew=True)
