"""What the process of a training does: it reads its job, fits, and leaves a model and an answer in its folder.

A recipe is its user's own code and no enemy: it may hang, raise, print and take memory, and each ends in one line. Of the network it gets
nothing, since a training that asks somebody cannot be repeated.
"""

import json
import os
import random
import resource
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from leadline.learning.children import end_with_parent

JOB, ROWS, ANSWER, MODEL = "job.json", "rows.parquet", "answer.json", "model.skops"
_UNIT = 1 << 20
_GIVES_WAY = 10
"""The priority of the process is so much below that of others (`nice`): scoring goes first."""


def main(folder: Path) -> None:
    """Do the job in a folder, and end at once."""
    tell = _own_output()
    threading.Thread(target=end_with_parent, daemon=True).start()
    job = json.loads((folder / JOB).read_bytes())
    answer = _answer(folder, job, tell)
    new = folder / f".{ANSWER}"
    new.write_text(json.dumps(answer))
    new.replace(folder / ANSWER)
    os._exit(0)


def _own_output() -> Callable[[str], None]:
    """Where progress is said: a recipe may print."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return lambda line: print(line, file=out, flush=True)


def _answer(folder: Path, job: dict[str, Any], tell: Callable[[str], None]) -> dict[str, Any]:
    from leadline.learning.errors import RegistryError

    recipe = job["settings"]["training"]["recipe"] or "the ready recipe"
    try:
        return _code(job) if job.get("only_code") else _trained(folder, job, tell)
    except MemoryError:
        return {
            "error": f"{recipe} needs more than {job['memory'] // _UNIT:,} MiB of memory: raise [training] memory, or lower max_rows"
        }
    except RegistryError as error:
        return {"error": str(error)}
    except BaseException as error:  # noqa: BLE001 - a recipe may raise anything
        return {"error": f"{recipe} raised {type(error).__name__}: {error}{_where(error)}"}


def _code(job: dict[str, Any]) -> dict[str, Any]:
    """The files of the recipe, and the release of river."""
    from leadline.learning.training.recipe import called, sources
    from leadline.settings import ModelSettings

    training, before = ModelSettings.model_validate(job["settings"]).training, frozenset(sys.modules)
    _confine(job["memory"], job["seconds"])
    _seed(training.seed)
    called(training.recipe, training.params, training.seed)
    try:
        return {"code": sources(training.recipe, before), "river": metadata.version("river")}
    except metadata.PackageNotFoundError:
        return {"error": "[training] online = true, and river is not installed: pip install 'leadline[online]'"}


def _trained(folder: Path, job: dict[str, Any], tell: Callable[[str], None]) -> dict[str, Any]:
    import skops.io  # imports all of scikit-learn's estimators

    from leadline.learning.online.learn import learned
    from leadline.learning.training.recipe import fit, folder_of, sources
    from leadline.learning.training.store import read_rows
    from leadline.learning.training.surroundings import libraries, platform_here
    from leadline.settings import ModelSettings

    settings, before = ModelSettings.model_validate(job["settings"]), frozenset(sys.modules)
    _confine(job["memory"], job["seconds"] * job["threads"])
    _seed(settings.training.seed)
    table = read_rows(Path(job["rows"])).slice(0, job["train"])
    recipe, metrics, chosen = settings.training.recipe, dict[str, float](), dict[str, Any]()
    tell(f"fitting to {len(table):,} rows")
    if settings.training.online:
        model, metrics = learned(folder, table, settings, tell)
    else:
        estimator, chosen = fit(table, settings)
        model = _stored(skops.io.dumps, estimator)
    tell("storing the model")
    (folder / MODEL).write_bytes(model)
    files = sources(recipe, before)
    where = str(folder_of(recipe.partition(":")[0])) if recipe else ""
    chosen = {str(name): _plain(value) for name, value in chosen.items()}
    about = {"code": files, "folder": where, "libraries": libraries(), "platform": platform_here()}
    return {"chosen": chosen, "metrics": metrics, **about}


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else repr(value)


def _stored(dumps: Callable[[Any], bytes], estimator: Any) -> bytes:
    from leadline.learning.training.errors import TrainingError

    try:
        return dumps(estimator)
    except Exception as error:
        raise TrainingError(
            f"the model, a {type(estimator).__name__}, cannot be stored by skops ({type(error).__name__}: {error}): use no functions in it"
        ) from error


def _seed(seed: int) -> None:
    """For recipes that take no seed."""
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - what scikit-learn uses without a random_state


def _confine(memory: int, seconds: int) -> None:
    """From now on so much memory beside what is there, so much processor time, after all others, and no network."""
    os.nice(_GIVES_WAY)
    for limit, most in (
        (resource.RLIMIT_AS, _taken() + memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # not every system has each
            resource.setrlimit(limit, (most, most))
    sys.addaudithook(_no_network)


def _taken() -> int:
    """Bytes of address space that this process has."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _no_network(event: str, args: tuple[Any, ...]) -> None:
    asks = event in ("socket.getaddrinfo", "socket.gethostbyname")
    if asks or (event == "socket.connect" and args[0].family in (socket.AF_INET, socket.AF_INET6)):
        raise PermissionError(f"a training may not use the network ({event})")


def _where(error: BaseException) -> str:
    """The last line of the recipe's own code."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if "site-packages" not in each.filename]
    own = [
        each
        for each in frames
        if "leadline.learning" not in each.filename.replace(os.sep, ".") and each.filename[:1] != "<"
    ]
    return f" ({Path(own[-1].filename).name} line {own[-1].lineno})" if own else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
