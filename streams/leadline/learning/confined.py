"""``leadline.learning.examine`` and ``look`` in a process of its own, which may use so much memory and time, and nothing else.

The process is this module too: it gets a line of JSON, the rows and the model's bytes, and gives a line of JSON.
"""

import json
import os
import signal
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from leadline.core.columnar.columns import Floats
from leadline.core.models import Signature
from leadline.core.scoring.features import Inputs
from leadline.core.texts import Texts
from leadline.foreign_text import shown
from leadline.learning.deciding import Sample
from leadline.learning.errors import RegistryError
from leadline.learning.examine import Examined, examine
from leadline.learning.linear import Linear
from leadline.learning.lockdown import Refusals, confine, warm_up
from leadline.learning.look import Look, look
from leadline.learning.models import read_model
from leadline.learning.native.kinds import packages_of
from leadline.learning.online.stored import needed
from leadline.learning.predictors import model_of
from leadline.learning.served import Served
from leadline.settings import ModelSettings

_MOST_CHARS = 1000
"""Of what the process says: a file may name its types."""
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
"""Of the environment: it may hold passwords."""
_SIGNATURE, _SERVED = TypeAdapter(Signature), TypeAdapter(Served)
_LOOK = TypeAdapter(Look)
_LINEAR: TypeAdapter[Linear | None] = TypeAdapter(Linear | None)
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")} | {"LOKY_MAX_CPU_COUNT": "1"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Memory beside the rows, which are counted four times; seconds of its processor, and on the wall."""

    memory_bytes: int = 4 << 30
    seconds: int = 600


def examine_apart(
    data: bytes, settings: ModelSettings, sample: Sample, name: str, limits: Limits | None = None
) -> Examined:
    """As `examine`. Raises RegistryError also where the process needs too much, dies, or tries what it may not."""
    limits = limits or Limits()
    given = b"".join(_packed(settings, sample, name, limits)) + data
    answer = ask(__spec__.name, name, given, limits)
    scores, labels = _unpacked(answer["scores"]), _unpacked(answer["labels"])
    if not len(scores) == len(labels) == len(sample.inputs.matrix):
        raise RegistryError(f"{name} gives {len(scores)} scores for {len(sample.inputs.matrix)} rows of the reference")
    signature, served = _SIGNATURE.validate_python(answer["signature"]), _SERVED.validate_python(answer["served"])
    found = {name: answer[name] for name in ("takes_missing", "dtypes")}
    return Examined(scores, labels == 1, signature, served, _LINEAR.validate_python(answer["linear"]), **found)


def look_apart(data: bytes, settings: ModelSettings, names: list[str], name: str) -> Look:
    """As `look`. Raises RegistryError as `examine_apart`."""
    nothing = Sample(Signature.of([], [], {}), Inputs(np.zeros((0, 0)), {}))
    given = b"".join(_packed(settings, nothing, name, Limits(), names)) + data
    return _LOOK.validate_python(ask(__spec__.name, name, given, Limits()))


def survive_apart(
    data: bytes, settings: ModelSettings, signature: Signature, served: Served, inputs: Inputs, name: str
) -> None:
    """Read a model and let it score, and nothing else. Raises RegistryError as `examine_apart`."""
    limits = Limits()
    ask(
        __spec__.name,
        name,
        b"".join(_packed(settings, Sample(signature, inputs), name, limits, served=served)) + data,
        limits,
    )


def _unpacked(text: str) -> Floats:
    return np.frombuffer(b64decode(text), np.float64)


def _packed(
    settings: ModelSettings,
    sample: Sample,
    name: str,
    limits: Limits,
    look_by: list[str] | None = None,
    served: Served | None = None,
) -> Iterator[bytes]:
    """A line of JSON, the matrix, and the codes of the categories.

    ``look_by``: the model is to be looked at alone; ``served``: it is only to score.
    """
    matrix, texts = sample.inputs
    said = {each: column.texts for each, column in texts.items()}
    head: dict[str, Any] = {"name": name, "settings": settings.model_dump(), "limits": asdict(limits)}
    head |= {
        "signature": asdict(sample.signature),
        "coded": sample.coded,
        "rows": len(matrix),
        "texts": said,
        "look_by": look_by,
        "served": served and asdict(served),
    }
    yield json.dumps(head).encode() + b"\n"
    yield np.ascontiguousarray(matrix, np.float64).tobytes()
    for column in texts.values():
        yield column.codes.astype(np.int64).tobytes()


def ask(module: str, name: str, given: bytes, limits: Limits) -> dict[str, Any]:
    """What a module answers in a process of its own to what it is given. Raises RegistryError, also for an ``error`` that it answers."""
    answer = _answer(module, name, given, limits)
    if "error" in answer:
        raise RegistryError(shown(" ".join(str(answer["error"]).split()), _MOST_CHARS))
    return answer


def _answer(module: str, name: str, given: bytes, limits: Limits) -> dict[str, Any]:
    environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment | _ONE_THREAD | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        said, _ = child.communicate(given, timeout=limits.seconds)
    except subprocess.TimeoutExpired:
        raise RegistryError(_too_long(name, limits)) from None
    finally:
        child.kill()
        child.wait()
    if child.returncode == -signal.SIGXCPU:
        raise RegistryError(_too_long(name, limits))
    try:
        found: dict[str, Any] = json.loads(said)
    except ValueError:
        raise RegistryError(
            f"{name} ended the process that read it ({_end(child.returncode)}); save it again"
        ) from None
    if "error" in found:
        raise RegistryError(shown(" ".join(str(found["error"]).split()), _MOST_CHARS))
    return found


def _too_long(name: str, limits: Limits) -> str:
    return f"{name} took longer than {limits.seconds} s to be read and to score the reference; give a smaller reference"


def _end(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def main() -> None:
    """What the process does."""
    out = own_output()
    head, sample, data = _given(sys.stdin.buffer)
    settings, limits = ModelSettings.model_validate(head["settings"]), Limits(**head["limits"])
    warm_up([*settings.trusted, *needed(data)], packages_of(data))
    refusals = confine(limits.memory_bytes + 4 * sample.inputs.matrix.nbytes, limits.seconds)
    name, names = head["name"], head["look_by"]
    work = partial(_examined, data, settings, sample, name)
    if names is not None:
        work = partial(_looked, data, settings, names, name)
    if head["served"] is not None:
        work = partial(_survived, data, settings, sample, Served(**head["served"]), name)
    end(out, _result(work, name, refusals, limits))


def own_output() -> BinaryIO:
    """Where the process answers: a model may print."""
    out = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - no file of the user's
        os.dup2(nowhere.fileno(), 1)
    return out


def end(out: BinaryIO, answer: dict[str, Any]) -> None:
    """Answer, and end at once: nothing of a model may run any more."""
    out.write(json.dumps(answer).encode() + b"\n")
    out.flush()
    os._exit(0)


def _given(stream: BinaryIO) -> tuple[dict[str, Any], Sample, bytes]:
    head = json.loads(stream.readline())
    signature, count = Signature(**head["signature"]), head["rows"]
    width = len(signature.names)
    matrix = np.frombuffer(stream.read(8 * count * width), np.float64).reshape(count, width)
    texts = {name: Texts(said, np.frombuffer(stream.read(8 * count), np.int64)) for name, said in head["texts"].items()}
    return head, Sample(signature, Inputs(matrix, texts), head["coded"]), stream.read()


def _looked(data: bytes, settings: ModelSettings, names: list[str], name: str) -> dict[str, Any]:
    return asdict(look(data, settings, names, name))


def _survived(data: bytes, settings: ModelSettings, sample: Sample, served: Served, name: str) -> dict[str, Any]:
    estimator = read_model(data, name, settings.trusted)
    model_of(estimator, settings, sample.signature, served, name).predict(*sample.inputs)
    return {}


def _examined(data: bytes, settings: ModelSettings, sample: Sample, name: str) -> dict[str, Any]:
    found = examine(data, settings, sample, name)
    result: dict[str, Any] = {"scores": _sent(found.scores), "labels": _sent(found.labels)}
    result |= {"signature": asdict(found.signature), "served": asdict(found.served)}
    result |= {"linear": found.linear and asdict(found.linear)}
    result |= {"takes_missing": found.takes_missing, "dtypes": found.dtypes}
    return result


def _result(work: Callable[[], dict[str, Any]], name: str, refusals: Refusals, limits: Limits) -> dict[str, Any]:
    try:
        result = work()
    except MemoryError:
        result = {"error": f"{name} needs more than {limits.memory_bytes >> 20:,} MiB of memory; give a smaller model"}
    except RegistryError as error:
        result = {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        result = {"error": f"{name} does not score the reference ({type(error).__name__}: {error})"}
    return tried(name, refusals) or result


def tried(name: str, refusals: Refusals) -> dict[str, Any]:
    """The answer where a model tried what it may not; empty where it did not."""
    return {"error": f"{name} tried what a model may not: {refusals[0]}; do not use it"} if refusals else {}


def _sent(column: NDArray[Any]) -> str:
    return b64encode(np.asarray(column, np.float64).tobytes()).decode()


if __name__ == "__main__":
    main()
