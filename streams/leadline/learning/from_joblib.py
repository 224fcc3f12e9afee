"""A joblib file (or a pickle) that the user made himself, as a skops file. To load it is to run the code in it.

So that is done in a process of its own, which may use so much memory and time, and which opens nothing and calls nobody: what a model of
today needs is admitted, what such code usually does is not. It is no reason to load the file of a stranger.
"""

import io
import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from leadline.learning.confined import Limits, ask, end, own_output, tried
from leadline.learning.lockdown import Refusals, confine, warm_up
from leadline.learning.native.kinds import KINDS


def converted(data: bytes, trusted: Sequence[str], name: str, limits: Limits | None = None) -> bytes:
    """The bytes of a skops file with the same model. Raises RegistryError where the file is no such model, or tries what it may not."""
    limits = limits or Limits()
    head = {"name": name, "trusted": list(trusted), "limits": asdict(limits)}
    answer = ask(__spec__.name, name, json.dumps(head).encode() + b"\n" + data, limits)
    return b64decode(answer["model"])


def main() -> None:
    """What the process does."""
    out = own_output()
    head, data = json.loads(sys.stdin.buffer.readline()), sys.stdin.buffer.read()
    limits = Limits(**head["limits"])
    warm_up(head["trusted"], [kind.package for kind in KINDS])
    import joblib  # noqa: F401 - later it could not be imported

    refusals = confine(limits.memory_bytes, limits.seconds)
    end(out, _result(data, head["name"], refusals))


def _result(data: bytes, name: str, refusals: Refusals) -> dict[str, Any]:
    import joblib
    from skops.io import dumps

    try:
        result = {"model": b64encode(dumps(joblib.load(io.BytesIO(data)))).decode()}
    except (AttributeError, ImportError) as error:  # a type that is not here
        result = {
            "error": f"{name} has types that cannot be found here ({error}): install their package, or put the module of your own types on "
            "PYTHONPATH and name them in model.toml: trusted = [...]"
        }
    except Exception as error:  # noqa: BLE001 - what is no joblib file fails in many ways
        result = {"error": f"{name} is no joblib file of a model ({type(error).__name__}: {error}); save it again"}
    return tried(name, refusals) or result


if __name__ == "__main__":
    main()
