"""Model folders, each by its seed: a good one, of which one file was changed."""

import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from lightgbm import LGBMClassifier
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from leadline.learning.add import add_file, add_version
from leadline.learning.limits import GOLDEN, LIGHTGBM, LINEAR, MANIFEST, MODEL, MODELS, PROFILE, SERVED, SIGNATURE
from leadline.learning.model_files import SETTINGS as TOML
from leadline.learning.models import model_file
from leadline.settings import ModelSettings

CODES = {"b": ["c0", "c1", "c2"]}
SETTINGS = ModelSettings(name="m", numeric=["a"], categorical=["b"], categories=CODES, segments=["b"])
FILES = [MANIFEST, SIGNATURE, PROFILE, LINEAR, SERVED, GOLDEN, TOML, *[MODEL] * 5]
"""Inputs go round these; the last ones stand for the model's file, whatever it is called."""
_ESTIMATORS: list[Callable[[], Any]] = [
    lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    lambda: GaussianNB(),
    lambda: DecisionTreeClassifier(max_depth=2),
    lambda: RandomForestClassifier(2, max_depth=2, random_state=0),
    lambda: GradientBoostingClassifier(n_estimators=1, max_depth=2, random_state=0),
    lambda: HistGradientBoostingClassifier(max_iter=1, categorical_features=[1], random_state=0),
    lambda: make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()),
]


def _xgboost(rows: Any, truth: Any, file: Path) -> None:
    """As JSON, so that what is changed has a place in it."""
    XGBClassifier(n_estimators=3, max_depth=2, n_jobs=1).fit(rows, truth).save_model(file.with_suffix(".json"))
    file.with_suffix(".json").rename(file)


def _lightgbm(rows: Any, truth: Any, file: Path) -> None:
    LGBMClassifier(**_LEAVES).fit(rows, truth, categorical_feature=[1]).booster_.save_model(file)


def _onnx(rows: Any, truth: Any, file: Path) -> None:
    from skl2onnx import to_onnx

    model = RandomForestClassifier(2, max_depth=2, random_state=0).fit(rows, truth.astype(int))
    file.write_bytes(to_onnx(model, rows[:1]).SerializeToString())


_LEAVES: dict[str, Any] = {"n_estimators": 3, "min_child_samples": 3, "n_jobs": 1, "verbose": -1}
_WRITTEN = [_xgboost, _lightgbm, _onnx]
"""Each writes a model into a file of its own library."""
_ESTIMATORS += [lambda: XGBClassifier(n_estimators=2, n_jobs=1), lambda: LGBMClassifier(**_LEAVES)]
_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 255, 2**31, -(2**63), 2**64, 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "a", "m", "v1", "../m", "/etc/passwd", "\0", "ü" * 300, "filename", "file", "builtins", "numpy", "os", "system"),
    *("[[]]", "{}", "1e999", "9" * 5000, "memory", "input", "n_jobs", "precomputed", "callable", "float64", "object", "void"),
    *("sklearn.feature_extraction.text", "CountVectorizer", "functools", "partial", "ndarray", "dict", "list", "never", "1d"),
    *("ObjectNode", "NdArrayNode", "FunctionNode", "MethodNode", "ReduceNode", "PartialNode", "TypeNode", "CachedNode"),
    *("JsonNode", "DictNode", "ListNode", "TreeNode", "SparseMatrixNode", "OperatorFuncNode", "ConstructorFromReduceNode"),
    *([], {}, [[]], [0] * 1000, {"a": {}}, ["a", 1, None]),
]  # fmt: skip
_NUMBERS = [0, -1, 1, 2, 127, 255, 2**31 - 1, -(2**31), 2**62, float("nan"), float("inf"), -1e300, 1e-300, 0.5]
_DTYPES = ["<f8", "<f4", "<i8", "<i4", "|u1", "|b1", "<U5", "|S3", "<c16", "<M8[s]", ">f8"]
_TOML = [
    "-1",
    "nan",
    "inf",
    '""',
    '"never"',
    '"1d"',
    "[]",
    "{}",
    "9" * 30,
    "[[",
    '["a", 1]',
    "true",
    "1979-05-27",
    "'''",
]


@dataclass(frozen=True)
class Good:
    """The files of a folder that is as it should be."""

    files: dict[str, bytes]


def good(root: Path) -> list[Good]:
    """A folder of each kind of model; they are made below ``root``."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=60), rng.integers(0, 3, 60)
    table = pa.table({"a": a, "b": [f"c{each}" for each in b], "y": (a + b > 1).astype(float)})
    rows = np.column_stack([a, b])
    found = []
    for i, make in enumerate(_ESTIMATORS):
        where = root / str(i)
        add_version(where, SETTINGS, "v1", make().fit(rows, table["y"].to_numpy()), table, "y")
        folder = where / "m" / "v1"
        files = {each.name: each.read_bytes() for each in folder.iterdir()}
        found.append(Good(files | {TOML: (where / "m" / TOML).read_bytes()}))
    for i, write in enumerate(_WRITTEN):
        where = root / f"native-{i}"
        where.mkdir()
        write(rows, table["y"].to_numpy(), where / "given")
        add_file(where, SETTINGS, "v1", where / "given", table, "y")
        folder = where / "m" / "v1"
        files = {each.name: each.read_bytes() for each in folder.iterdir()}
        found.append(Good(files | {TOML: (where / "m" / TOML).read_bytes()}))
    return found


def changed(pool: list[Good], seed: int, number: int) -> tuple[str, dict[str, bytes]]:
    """The file that was changed, and all files."""
    rng = random.Random(f"{seed} {number}")  # noqa: S311 - bad luck, by seed
    name = FILES[number % len(FILES)]
    files = dict(rng.choice([each for each in pool if name == MODEL or name in each.files]).files)
    name = model_file(files) if name == MODEL else name
    if name != LINEAR and rng.random() < 0.7:
        _forget(files, LINEAR)
    if name != GOLDEN:  # it would refuse what answers otherwise
        _forget(files, GOLDEN)
    another = rng.choice(pool).files
    other = another[model_file(another)]
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        change = _skops if name == MODEL else _words if name == LIGHTGBM else _text
        files[name] = change(files[name], other, rng)
    if name in (*MODELS, LINEAR, PROFILE, SIGNATURE, SERVED, GOLDEN) and rng.random() < 0.95:
        _seal(files, name)
    return name, files


def _seal(files: dict[str, bytes], name: str) -> None:
    """As somebody would who can write the manifest too."""
    manifest = json.loads(files[MANIFEST])
    manifest["files"][name] = sha256(files[name]).hexdigest()
    files[MANIFEST] = json.dumps(manifest).encode()


def _forget(files: dict[str, bytes], name: str) -> None:
    """Without its numbers, a model is read from its own file."""
    files.pop(name, None)
    manifest = json.loads(files[MANIFEST])
    manifest["files"].pop(name, None)
    files[MANIFEST] = json.dumps(manifest).encode()


def _text(data: bytes, other: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return _bytes(data, other, rng)
    try:
        return json.dumps(_json(json.loads(data), rng)).encode()
    except (ValueError, RecursionError):
        return _toml(data, rng) if b" = " in data else _bytes(data, other, rng)


def _toml(data: bytes, rng: random.Random) -> bytes:
    lines = data.decode(errors="replace").split("\n")
    at = rng.randrange(len(lines))
    key = lines[at].partition(" = ")[0]
    lines[at] = rng.choice(
        [f"{key} = {rng.choice(_TOML)}", "", lines[at] * 2, f"[{key}]", "[" * 500, rng.choice(lines)]
    )
    return "\n".join(lines).encode()


def _bytes(data: bytes, other: bytes, rng: random.Random) -> bytes:
    at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    some = bytes(rng.choice([0, 1, 34, 44, 91, 93, 123, 127, 128, 255]) for _ in range(rng.choice([1, 1, 4, 40])))
    start = rng.randrange(len(other) + 1)
    return rng.choice(
        [
            data[:at] + some + data[at + len(some) :],
            data[:at] + some + data[at:],
            data[:at] + data[end:],
            data[:at],
            data[:end] + data[at:],
            data[:at] + other[start : start + 200] + data[at:],
        ]
    )


def _json(value: Any, rng: random.Random) -> Any:
    """With one value changed, wherever it is."""
    places: list[tuple[Any, Any]] = []
    ahead = [value]
    while ahead:
        each = ahead.pop()
        if isinstance(each, (dict, list)):
            places += [(each, key) for key in (each if isinstance(each, dict) else range(len(each)))]
            ahead += each.values() if isinstance(each, dict) else each
    if not places:
        return rng.choice(_VALUES)
    holder, key = rng.choice(places)
    from_, other = rng.choice(places)
    how = rng.random()
    if how < 0.5:
        holder[key] = rng.choice(_VALUES)
    elif how < 0.75:
        holder[key] = json.loads(json.dumps(from_[other]))
    elif how < 0.85 and isinstance(holder, dict):
        holder[str(rng.choice(_VALUES))] = holder.pop(key)
    elif how < 0.95:
        del holder[key]
    else:
        holder[key] = _nested(rng.choice([50, 300, 900]))
    return value


def _nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def _words(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A text with one of its numbers changed."""
    words = list(re.finditer(rb"-?[0-9][0-9.e+-]*", data))
    if not words or rng.random() < 0.3:
        return _bytes(data, other, rng)
    word = rng.choice(words)
    new = rng.choice([str(rng.choice(_NUMBERS)).encode(), rng.choice(words)[0], b"", word[0] + b" " + word[0]])
    return data[: word.start()] + new + data[word.end() :]


def _skops(data: bytes, other: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.15:
        return _bytes(data, other, rng)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            members = {name: file.read(name) for name in file.namelist()}
    except Exception:  # noqa: BLE001 - it was changed before
        return _bytes(data, other, rng)
    states = [name for name in members if name.endswith(".bin")]
    if states and rng.random() < 0.5:
        members[states[0]] = _bytes(members[states[0]], other, rng)
    arrays = [name for name in members if name.endswith(".npy")]
    if arrays and rng.random() < 0.5:
        name = rng.choice(arrays)
        members[name] = _array(members[name], other, rng)
    elif "schema.json" in members:
        members["schema.json"] = _text(members["schema.json"], other, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as new:
        for name, member in members.items():
            new.writestr(name, member)
    return out.getvalue()


def _array(data: bytes, other: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.2:
        return _bytes(data, other, rng)
    try:
        array = np.load(io.BytesIO(data))
        array = _same_kind(array, rng) if rng.random() < 0.7 else _other_kind(array, rng)
        out = io.BytesIO()
        np.save(out, array, allow_pickle=False)
    except Exception:  # noqa: BLE001 - not each change can be made
        return _bytes(data, other, rng)
    return out.getvalue()


def _same_kind(array: Any, rng: random.Random) -> Any:
    array = np.array(array)
    field = rng.choice(array.dtype.names) if array.dtype.names else ...
    part = array[field]
    with np.errstate(all="ignore"):
        part.reshape(-1)[rng.randrange(part.size)] = np.array(rng.choice(_NUMBERS)).astype(part.dtype)
    return array


def _other_kind(array: Any, rng: random.Random) -> Any:
    how = rng.random()
    if how < 0.4:
        return array.astype(rng.choice(_DTYPES))
    if how < 0.6:
        return array.reshape(-1)[: rng.randrange(array.size + 1)]
    if how < 0.8:
        return np.concatenate([array.reshape(-1)] * 2)
    return array[np.newaxis]
