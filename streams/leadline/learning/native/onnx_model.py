"""Models in ONNX, answered by ONNX Runtime: one matrix, or one input for each column.

It is imported where such a model is loaded, for it imports ONNX Runtime.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from leadline.core.columnar.columns import Floats
from leadline.learning.native.boosted import Native, NativeClassifier, NativeRegressor
from leadline.learning.native.errors import NativeError
from leadline.learning.native.onnx_file import Checked, Input, Looking, checked, looking

Feed = Callable[[NDArray[Any]], dict[str, NDArray[Any]]]
"""What the inputs get for some rows."""
_CHANCES = {"Sigmoid": 1, "Softmax": 2}
"""What a model may end in that says probabilities without a label, and how many of them for a row."""
_NEAR = 1e-4
_KINDS = {"float32": np.float32, "float64": np.float64, "int32": np.int32, "int64": np.int64, "bool": np.bool_}


class OnnxClassifier(NativeClassifier):
    """``label``: the classes that the model itself says."""

    half = False
    label: Callable[[NDArray[Any]], NDArray[Any]]

    chances: Callable[[NDArray[Any]], Floats]

    def predict_proba(self, matrix: NDArray[Any]) -> Floats:
        """The probabilities of both classes, as the model itself gives them."""
        found = self.chances(matrix).astype(np.float64)
        found[self.lacking(matrix)] = np.nan
        return found

    def predict(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """The class that the model says."""
        return self.label(matrix)


class OnnxChance(NativeClassifier):
    """What ends in a sigmoid, or in a softmax of two: the classes are 0 and 1. ``as_number``: the same where a number was meant."""

    as_number: NativeRegressor


def read(data: bytes) -> Native:
    """The model in a file of ONNX. Raises NativeError."""
    found = checked(data)
    model = _read(found)
    model.needed = _needed(found)
    return model


def _read(found: Checked) -> Native:
    _check_widths(found)
    session = _session(found.data)
    feed, width, names, texts = _feed(found.inputs)
    if not found.label:
        number = NativeRegressor(lambda rows: _values(session, found.score, feed(rows)), width, names, texts=texts)
        number.instead = "let it end in a Sigmoid, a Softmax of two, or its label beside its probabilities"
        if found.made_by not in _CHANCES:
            return number
        chance = OnnxChance(lambda rows: _chance(session, found, feed(rows)), width, names, texts=texts)
        chance.classes_, chance.as_number = [0, 1], number
        return chance
    model = OnnxClassifier(lambda rows: _chances(session, found, feed(rows))[:, 1], width, names, texts=texts)
    model.chances = lambda rows: _chances(session, found, feed(rows))
    model.classes_ = found.classes
    model.label = lambda rows: np.asarray(session.run([found.label], feed(rows))[0]).reshape(len(rows))
    return model


def unwrapped(_: Any) -> None:
    """There are no wrappers."""


def _session(data: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _check_widths(found: Checked) -> None:
    """Weights and trees look at as many columns as they say: before they may, what they get is counted."""
    feed, width, _, _ = _feed(found.inputs)
    given = {each.name: each.width for each in found.inputs}
    rows = _row(found.inputs, width)
    for each in looking(found.model):
        has = given.get(each.source) or _reaching(each, feed(rows)).shape[1]
        if each.needs > has or (each.needs < 0 and -each.needs != has):
            raise NativeError(f"has a {each.kind} of {abs(each.needs)} columns, and it gets {has}")


def _reaching(operator: Looking, feed: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """What comes to an operator of some rows."""
    if operator.source in feed:
        return feed[operator.source].reshape(len(feed[operator.source]), -1)
    count = len(next(iter(feed.values())))
    return np.asarray(_session(operator.before).run([operator.source], feed)[0]).reshape(count, -1)


def _needed(found: Checked) -> frozenset[int]:
    """The columns that may not be missing: trees that were made without would send what is missing anywhere."""
    feed, width, _, _ = _feed(found.inputs)
    kinds = [each.kind for each in found.inputs] * (width if len(found.inputs) == 1 else 1)
    places = [at for at, kind in enumerate(kinds) if kind in ("float32", "float64")]
    guessing = [each for each in looking(found.model) if each.guesses]
    if not places or not guessing:
        return frozenset()
    rows = np.repeat(_row(found.inputs, width), len(places), axis=0)
    rows[np.arange(len(places)), places] = np.nan
    lost = [np.isnan(_reaching(each, feed(rows)).astype(np.float64)).any(axis=1) for each in guessing]
    return frozenset(np.array(places)[np.any(lost, axis=0)].tolist())


def _row(inputs: list[Input], width: int) -> NDArray[Any]:
    if all(each.kind != "text" for each in inputs):
        return np.zeros((1, width))
    row = np.empty((1, width), object)
    row[0] = ["" if each.kind == "text" else 0.0 for each in inputs]
    return row


def _feed(inputs: list[Input]) -> tuple[Feed, int, list[str] | None, frozenset[str]]:
    """What becomes of rows, how many columns they have, their names, and which of them are texts."""
    if len(inputs) == 1 and not inputs[0].flat and inputs[0].kind != "text" and inputs[0].width != 1:
        return _matrix(inputs[0])
    if any(each.width != 1 for each in inputs):
        raise NativeError(
            "has inputs of several columns: one matrix of numbers, or one input for each column, is served"
        )
    texts = frozenset(each.name for each in inputs if each.kind == "text")

    def feed(rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {each.name: _shaped(_cast(rows[:, at], each), each) for at, each in enumerate(inputs)}

    return feed, len(inputs), [each.name for each in inputs], texts


def _matrix(one: Input) -> tuple[Feed, int, None, frozenset[str]]:
    if one.width is None:
        raise NativeError("does not say how many columns it takes: convert it with [None, columns]")
    return lambda rows: {one.name: _cast(rows, one)}, one.width, None, frozenset()


def _shaped(column: NDArray[Any], one: Input) -> NDArray[Any]:
    return column if one.flat else column.reshape(-1, 1)


def _cast(values: NDArray[Any], one: Input) -> NDArray[Any]:
    """In the type of the input; what it cannot say raises ValueError."""
    if one.kind == "text":
        if not all(isinstance(each, str) for each in values.tolist()):
            raise ValueError(f"{one.name} is missing, and the model takes texts there")
        return values
    numbers = values.astype(np.float64)
    if one.kind in ("float32", "float64"):
        return numbers.astype(_KINDS[one.kind])
    if not (np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < 2**31)).all():
        raise ValueError(f"{one.name} is missing or no whole number, and the model takes whole numbers there")
    return numbers.astype(_KINDS[one.kind])


def _values(session: Any, output: str, feed: dict[str, NDArray[Any]]) -> Floats:
    found = np.asarray(session.run([output], feed)[0])
    count = len(next(iter(feed.values())))
    if found.size != count:
        raise ValueError(f"its output {output} has the shape {found.shape} for {count} rows")
    return found.reshape(count)


def _chance(session: Any, found: Checked, feed: dict[str, NDArray[Any]]) -> Floats:
    """The probability of 1 of a model without a label."""
    said = np.asarray(session.run([found.score], feed)[0])
    count = len(next(iter(feed.values())))
    if said.size != count * _CHANCES[found.made_by]:
        raise ValueError(f"its output {found.score} has the shape {said.shape} for {count} rows of two classes")
    if found.made_by == "Sigmoid":
        return said.reshape(count)
    chances: Floats = _sound(said.reshape(count, 2), found.score)[:, 1]
    return chances


def _sound(chances: NDArray[Any], output: str) -> NDArray[Any]:
    """Probabilities that add up to 1; what is NaN is none. Raises ValueError for others, such as raw scores."""
    sums = np.abs(chances.sum(axis=1) - 1)
    if (chances < -_NEAR).any() or (sums > _NEAR).any():
        raise ValueError(
            f"its output {output} has no probabilities, such as {chances[0].tolist()}: convert it without raw scores"
        )
    return chances


def _chances(session: Any, found: Checked, feed: dict[str, NDArray[Any]]) -> Floats:
    chances = np.asarray(session.run([found.score], feed)[0])
    count = len(next(iter(feed.values())))
    if chances.shape != (count, len(found.classes)):
        raise ValueError(
            f"its output {found.score} has the shape {chances.shape} for {count} rows of {len(found.classes)} classes"
        )
    return _sound(chances, found.score)
