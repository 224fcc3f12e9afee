"""The gate of a new version: both versions score the held-out rows as they would score requests, and the core judges."""

import json
import time
from collections.abc import Iterator
from hashlib import file_digest, sha256
from pathlib import Path

import numpy as np

from leadline.core.models import LoadedVersion
from leadline.core.release.gate import FIRST, comparisons, decided, own_checks
from leadline.core.release.lead import FAILED, NO_EVIDENCE, PASSED
from leadline.core.release.segments import NOT_WORSE
from leadline.core.release.soundness import at_most, signature_check
from leadline.core.scoring.features import Inputs
from leadline.learning.errors import NotHereError, RegistryError
from leadline.learning.held_out import Held, answers, read_held
from leadline.learning.limits import GOLDEN, MODELS
from leadline.learning.model_files import ModelFiles
from leadline.learning.plug_ins import plugged_in
from leadline.records import Check, Verdict, identity
from leadline.settings import ModelSettings

GATE = "gate"
_ROWS, _ROUNDS = 1_000, 5


def gate_version(
    root: Path,
    settings: ModelSettings,
    champion: str | None,
    challenger: str,
    held_out: Path,
    candidates: int,
    now_ms: int,
    *,
    outcome: str = "outcome",
    time_column: str = "event_time",
) -> Verdict:
    """What is to become of a challenger, by rows that it was not trained on.

    ``champion``: None where no version answers. ``held_out``: a file of rows with the features by name, categories as text, the truth in
    the column ``outcome``, the event time in ``time_column``, and the segments. ``candidates``: how many there were since the last
    promotion, this one included. The same question gets the same answer, and its verdict the same id. Raises RegistryError where the
    rows cannot be read, or the challenger is not on this disk.
    """
    name = settings.name
    question = _question(settings, champion, challenger, held_out, candidates)
    loaded, why = _loaded(root, settings, challenger)
    if loaded is None:
        checks = [Check("golden", "*", None, None, FAILED, f"it cannot be served: {why}")]
    else:
        held = read_held(held_out, settings, loaded, outcome, time_column)
        chance = np.random.default_rng(int(question[:16], 16))
        checks = list(_checks(root, settings, champion, loaded, held, max(1, candidates), chance))
    verdict, reason = decided(checks)
    verdict_id = f"{GATE}-{question[:32]}"
    return Verdict(verdict_id, name, challenger, champion or "", GATE, verdict, checks, reason, "", "", now_ms)


def _question(settings: ModelSettings, champion: str | None, challenger: str, held_out: Path, candidates: int) -> str:
    """A digest of all that is asked."""
    try:
        with held_out.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RegistryError(f"{held_out} cannot be read: {error.strerror}") from None
    said = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    return sha256(identity(settings.name, champion or "", challenger, digest, candidates, said)).hexdigest()


def _loaded(root: Path, settings: ModelSettings, version: str) -> tuple[LoadedVersion | None, str]:
    """A version ready to score, or why it cannot be. Raises NotHereError."""
    try:
        found = ModelFiles(root).load(settings.name, version)
    except NotHereError:
        raise
    except RegistryError as error:
        return None, str(error)
    return found, ""


def _checks(
    root: Path,
    settings: ModelSettings,
    champion: str | None,
    challenger: LoadedVersion,
    held: Held,
    candidates: int,
    chance: np.random.Generator,
) -> Iterator[Check]:
    folder = root / settings.name / challenger.version
    inputs = held.inputs(challenger)
    after = answers(challenger, inputs)
    yield _golden(folder)
    before = None
    if champion is None:
        yield FIRST
    else:
        loaded, why = _loaded(root, settings, champion)
        if loaded is None:
            yield Check(NOT_WORSE, "*", None, None, NO_EVIDENCE, f"the champion {champion} cannot be served: {why}")
        else:
            before = answers(loaded, held.inputs(loaded))
            yield signature_check(loaded.signature, challenger.signature)
            yield from comparisons(settings, held.rows, before, after, candidates, chance)
        for name in held.lacking:
            yield Check(
                NOT_WORSE, name, None, None, NO_EVIDENCE, f"the rows have no column {name}, a segment of the model"
            )
    yield from own_checks(settings, held.rows, after)
    yield from _costs(settings, challenger, inputs, folder)
    for named in settings.gate.checks:
        scores = None if before is None else before.scores
        yield from plugged_in(named, held.table, scores, after.scores, settings.training.timeout / 1000)


def _golden(folder: Path) -> Check:
    """The golden sample was scored again when the version was loaded."""
    if (folder / GOLDEN).is_file():
        return Check(
            "golden", "*", None, None, PASSED, "its golden sample has the scores that it had when it was added"
        )
    return Check("golden", "*", None, None, NO_EVIDENCE, "it has no golden sample: add it again")


def _costs(settings: ModelSettings, version: LoadedVersion, inputs: Inputs, folder: Path) -> Iterator[Check]:
    gate = settings.gate
    file = next(folder / each for each in MODELS if (folder / each).is_file())
    size = float(file.stat().st_size)
    found = [at_most("size", size, gate.size, "{:,.0f} bytes")]
    if gate.latency is not None:
        found.append(at_most("latency", latency_ms(version, inputs), gate.latency, "{:.3g} ms for 1,000 rows"))
    yield from (each for each in found if each is not None)


def latency_ms(version: LoadedVersion, inputs: Inputs) -> float:
    """Milliseconds to score 1,000 rows, the least of some rounds: what it costs, and not what else the machine does."""
    some = inputs.take(np.resize(np.arange(len(inputs.matrix)), _ROWS))
    spent = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        version.predictor.predict(*some)
        spent.append(time.perf_counter() - began)
    return 1000 * min(spent)
