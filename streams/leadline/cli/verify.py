"""``leadline verify``: train a version again, and compare."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from leadline.cli.common import Json, models_of, put, put_json, say
from leadline.cli.named import Model, Version, named
from leadline.settings import Settings, load_settings

if TYPE_CHECKING:
    from leadline.learning.training.verify import LogNow

DIFFERS, ERASED = 1, 3
_MEANS = {
    "reproduced": "reproduced: the model trained again has the same content",
    "differs": "differs: the model trained again has another content",
    "erased": "not trained again: rows of its training set were erased, so that another model would come of it",
}


def verify(
    model: Model,
    version: Version = "",
    json: Json = False,
) -> None:
    """Train a version again from its stored training set, and compare what comes of it with its receipt.

    Exit code 0: the same model; 1: another one, and which input differs; 3: rows were erased since.
    """
    from leadline.learning.training.verify import verify as train_again

    model, version = named(model, version)
    settings = load_settings()
    found = train_again(models_of(settings, model, sets=True), model, version, _log(settings), say)
    if settings.kafka_bootstrap is None:
        say("the log is not compared: KAFKA_BOOTSTRAP names no broker")
    if json:
        put_json(asdict(found))
    else:
        put(f"{model} {version} {_MEANS[found.outcome]} ({found.digest[:16]})")
        effect = ", without effect" if found.outcome == "reproduced" else ""
        for line in [*(f"differs{effect}: {each}" for each in found.differs), *found.erased, f"log: {found.log}"]:
            put(f"  {line}")
    code = {"reproduced": 0, "differs": DIFFERS, "erased": ERASED}[found.outcome]
    if code:
        raise SystemExit(code)


def _log(settings: Settings) -> "LogNow | None":
    """The log, where a broker is named."""
    if settings.kafka_bootstrap is None:
        return None
    from leadline.hosts.contract import Installation
    from leadline.hosts.trainer.rows import LogAgain
    from leadline.learning.cached import CachedModels

    return LogAgain(Installation(settings, settings.kafka_bootstrap, CachedModels(settings.models)))
