"""A river model as a file, ``model.river``: a line of JSON that says what it is, and its objects as a pickle that is read by our rules.

The same state gives the same bytes, so that the sha256 of a file is the digest of the state. Reading admits what
`leadline.learning.online.admitted` says, by an unpickler that knows no other instructions than those that such a file has.
"""

import io
import json
import pickle
import sys
from collections.abc import Callable
from importlib import import_module, metadata
from typing import Any, ClassVar

import structlog

from leadline.foreign_text import shown
from leadline.learning.errors import RegistryError
from leadline.learning.limits import LIMITS, RIVER
from leadline.learning.online.admitted import PACKAGES, RefusedError, found, is_river, may_be_called, may_be_set
from leadline.learning.online.estimator import Classifier, Regressor

MAGIC = b"leadline-river-1 "
_PROTOCOL = 5
_HEAD, _MOST_CHARS = 64 << 10, 300
_DEEPEST = 100
_OPCODES = (
    "PROTO FRAME STOP MEMOIZE BINGET LONG_BINGET STACK_GLOBAL REDUCE NEWOBJ BUILD BINPERSID NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 "
    "LONG1 LONG4 BINFLOAT SHORT_BINUNICODE BINUNICODE SHORT_BINBYTES BINBYTES BYTEARRAY8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 "
    "EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM SETITEMS EMPTY_SET ADDITEMS FROZENSET MARK"
)
_log = structlog.get_logger(__name__)


def is_online(data: bytes) -> bool:
    """Whether these are the bytes of a river model."""
    return data.startswith(MAGIC)


def needed(data: bytes) -> list[str]:
    """The types of which the packages are to be imported before a process is locked: none, where this is no river model."""
    return sorted(f"river.{each}.any" for each in PACKAGES if not each.startswith("_")) if is_online(data) else []


def stored(model: Any, features: list[str], classes: list[str]) -> bytes:
    """A river model as bytes. ``classes``: the negative and the positive one as text; none of a regression. Raises RegistryError."""
    head = {"river": metadata.version("river"), "features": features, "classes": classes}
    out = io.BytesIO()
    try:
        _Writer(out, _PROTOCOL).dump(model)
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError) as error:
        raise RegistryError(
            f"the model, a {type(model).__name__}, cannot be stored ({error}): use no functions in it"
        ) from None
    data = MAGIC + json.dumps(head).encode() + b"\n" + out.getvalue()
    if len(data) > LIMITS[RIVER]:
        raise RegistryError(
            f"the model has {len(data):,} bytes, and {LIMITS[RIVER]:,} are allowed: bound its size in the recipe"
        )
    return data


def read_estimator(data: bytes, name: str) -> Classifier | Regressor:
    """The model in the bytes of a file, as what is served. Raises RegistryError for anything that is not just that."""
    head, objects = _parts(data, name)
    model = _model(head, objects, name)
    return (
        Classifier(model, head["features"], head["classes"]) if head["classes"] else Regressor(model, head["features"])
    )


def _model(head: dict[str, Any], objects: bytes, name: str) -> Any:
    try:
        base = import_module("river.base")
    except ImportError:
        raise RegistryError(
            f"{name} is a river model, and river is not installed: pip install 'leadline[online]'"
        ) from None
    here = metadata.version("river")
    if head["river"] != here:
        _log.warning("the model was made with another river", model=name, made_with=head["river"], here=here)
    try:
        model = _Reader(io.BytesIO(objects)).load()
    except (KeyboardInterrupt, SystemExit):
        raise
    except RefusedError as error:
        raise RegistryError(
            f"{name} is not allowed: it has {_said(error)}; use river's own parts, and no functions"
        ) from None
    except BaseException as error:  # what is no such file fails in many ways, and Rust in one of its own
        kind = type(error).__name__
        raise RegistryError(f"{name} is no stored river model ({kind}: {_said(error)}); save it again") from error
    wanted = base.Classifier if head["classes"] else base.Regressor
    if not is_river(type(model)) or not _is_a(model, wanted):
        raise RegistryError(f"{name} holds a {type(model).__name__}, and should hold a river {wanted.__name__}")
    return model


def _said(error: BaseException) -> str:
    return shown(" ".join(str(error).split()), _MOST_CHARS)


def _is_a(model: Any, wanted: type) -> bool:
    """Whether it is of this kind, or a pipeline whose last step is; one of which nothing can be said is not."""
    pipeline = import_module("river.compose").Pipeline
    try:  # river asks the steps of a pipeline, which may be anything
        if isinstance(model, wanted):
            return True
        return isinstance(model, pipeline) and isinstance(model[next(reversed(model.steps))], wanted)
    except Exception:  # noqa: BLE001 - what a file says may fail in any way
        return False


def _parts(data: bytes, name: str) -> tuple[dict[str, Any], bytes]:
    head, newline, _ = data[:_HEAD].partition(b"\n")
    if len(data) > LIMITS[RIVER]:
        raise RegistryError(f"{name} has {len(data):,} bytes, and {LIMITS[RIVER]:,} are allowed")
    try:
        said = json.loads(head.removeprefix(MAGIC))
        sound = isinstance(said["river"], str) and _texts(said["features"]) and _texts(said["classes"])
        sound = sound and len(said["classes"]) in (0, 2)
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not is_online(data) or not newline or not sound:
        raise RegistryError(f"{name} is no stored river model: its first line is not as it should be; save it again")
    return said, data[len(head) + 1 :]


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


class _Writer(pickle.Pickler):
    """Texts are written by what they say, not by where they are in memory: so equal states have equal bytes."""

    def persistent_id(self, obj: Any) -> Any:
        return sys.intern(obj) if type(obj) is str else None


_ALL: dict[int, Callable[[Any], None]] = dict(pickle._Unpickler.dispatch)
_KNOWN = {code: _ALL[code] for code in (getattr(pickle, name)[0] for name in _OPCODES.split())}


class _Reader(pickle._Unpickler):
    """The unpickler of Python in Python (docs/decisions/0028 says why its private name is used), with fewer instructions."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._depths: dict[int, tuple[object, int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        return found(module, name)

    def persistent_load(self, pid: Any) -> str:
        if type(pid) is not str:
            raise RefusedError("a text that is none")
        return pid

    def load_reduce(self) -> None:
        args, called = self.stack[-1], self.stack[-2]  # type: ignore[attr-defined]
        if not may_be_called(called) or type(args) is not tuple:
            raise RefusedError(f"a call of {getattr(called, '__qualname__', type(called).__name__)}")
        _ALL[pickle.REDUCE[0]](self)

    def load_newobj(self) -> None:
        args, kind = self.stack[-1], self.stack[-2]  # type: ignore[attr-defined]
        if not is_river(kind) or type(args) is not tuple:
            raise RefusedError(f"an object of {getattr(kind, '__qualname__', type(kind).__name__)}")
        _ALL[pickle.NEWOBJ[0]](self)
        self._deeper()

    def load_build(self) -> None:
        state, value = self.stack[-1], self.stack[-2]  # type: ignore[attr-defined]
        if not may_be_set(value, state):
            raise RefusedError(f"a state of {getattr(value, '__qualname__', type(value).__name__)}")
        _ALL[pickle.BUILD[0]](self)

    def load_tuple(self) -> None:
        _ALL[pickle.TUPLE[0]](self)
        self._deeper()

    def load_tuple1(self) -> None:
        _ALL[pickle.TUPLE1[0]](self)
        self._deeper()

    def load_tuple2(self) -> None:
        _ALL[pickle.TUPLE2[0]](self)
        self._deeper()

    def load_tuple3(self) -> None:
        _ALL[pickle.TUPLE3[0]](self)
        self._deeper()

    def _deeper(self) -> None:
        """Refuse tuples in tuples in tuples: to hash one as a key Python calls itself in C, until the process ends."""
        made = self.stack[-1]  # type: ignore[attr-defined]
        if not isinstance(made, tuple):
            return
        depth = 1 + max(
            (self._depths.get(id(each), (None, 1))[1] for each in made if isinstance(each, tuple)), default=0
        )
        if depth > _DEEPEST:
            raise RefusedError(f"more than {_DEEPEST} tuples in each other")
        if depth > 1:
            self._depths[id(made)] = made, depth  # it is kept, so that its id stays its own

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = _KNOWN | {
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.BUILD[0]: load_build,
        pickle.TUPLE[0]: load_tuple,
        pickle.TUPLE1[0]: load_tuple1,
        pickle.TUPLE2[0]: load_tuple2,
        pickle.TUPLE3[0]: load_tuple3,
    }
