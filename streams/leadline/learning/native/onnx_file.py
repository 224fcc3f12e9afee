"""A file of ONNX, taken apart, checked and written anew: operators that only count, with what they need, and nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.learning.native.errors import NativeError
from leadline.learning.native.onnx_trees import WIDTH, check_trees, ints
from leadline.learning.native.protobuf import Message, Schema, decode, encode

_DIM: Schema = {1: "int", 2: "bytes"}
_TENSOR_TYPE: Schema = {1: "int", 2: ("one", {1: ("many", _DIM)})}
_TYPE: Schema = {1: ("one", _TENSOR_TYPE), 4: ("one", {1: ("one", {5: ("one", {1: "int"})})})}
_VALUE: Schema = {1: "bytes", 2: ("one", _TYPE)}
_TENSOR: Schema = {
    1: "ints", 2: "int", 4: "floats", 5: "ints", 6: "many bytes", 7: "ints", 8: "bytes", 9: "bytes", 10: "bytes", 13: "many bytes",
    14: "int",
}  # fmt: skip
_ATTRIBUTE: Schema = {
    1: "bytes", 2: "float", 3: "int", 4: "bytes", 5: ("one", _TENSOR), 6: "bytes", 7: "floats", 8: "ints", 9: "many bytes",
    10: "many bytes", 11: "many bytes", 20: "int", 21: "bytes",
}  # fmt: skip
_NODE: Schema = {1: "many bytes", 2: "many bytes", 3: "bytes", 4: "bytes", 5: ("many", _ATTRIBUTE), 7: "bytes"}
_GRAPH: Schema = {
    1: ("many", _NODE),
    2: "bytes",
    5: ("many", _TENSOR),
    11: ("many", _VALUE),
    12: ("many", _VALUE),
    15: "many bytes",
}
_OPSET: Schema = {1: "bytes", 2: "int"}
MODEL: Schema = {1: "int", 7: ("one", _GRAPH), 8: ("many", _OPSET), 25: "many bytes"}

_ML, _DOMAINS = "ai.onnx.ml", ("", "ai.onnx", "ai.onnx.ml")
_LEARNED = frozenset(
    "ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LabelEncoder LinearClassifier LinearRegressor Normalizer "
    "OneHotEncoder Scaler TreeEnsembleClassifier TreeEnsembleRegressor ZipMap".split()
)
_PLAIN = frozenset(
    "Abs Add And ArgMax ArgMin BatchNormalization Cast Ceil Clip Concat Constant Cos CumSum Div Elu Equal Erf Exp Flatten Floor "
    "Gather GatherElements Gelu Gemm Greater GreaterOrEqual HardSigmoid Identity IsInf IsNaN LayerNormalization LeakyRelu Less "
    "LessOrEqual Log LogSoftmax MatMul Max Mean Min Mod Mul Neg Not Or Pow Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax "
    "ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round Selu Shape Sigmoid Sign Sin Slice Softmax Softplus "
    "Split Sqrt Squeeze Sub Sum Tanh TopK Transpose Unsqueeze Where Xor".split()
)
"""Operators without branches, loops, chance and files, and none that makes much of little."""
_RESHAPES = frozenset("Cast Flatten Identity Reshape Squeeze Unsqueeze".split())
_NODES = 10_000
_FLOAT, _INT32, _INT64, _TEXT, _BOOL, _DOUBLE = 1, 6, 7, 8, 9, 11
KINDS = {_FLOAT: "float32", _INT32: "int32", _INT64: "int64", _TEXT: "text", _BOOL: "bool", _DOUBLE: "float64"}
_BYTES = {_FLOAT: 4, _INT32: 4, _INT64: 8, _BOOL: 1, _DOUBLE: 8}
_HELD = {_FLOAT: 4, _INT32: 5, _INT64: 7, _BOOL: 5}
"""Where the numbers of a tensor are, if not in its bytes."""


@dataclass(frozen=True, slots=True)
class Input:
    """``kind``: of `KINDS`. ``width``: how many columns it has, None where that is not said; ``flat``: it has no second dimension."""

    name: str
    kind: str
    width: int | None
    flat: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """``data``: the file, written anew. ``score``: the output with probabilities or values; ``label``: that with classes, or empty.

    ``classes``: in the order of the probabilities. ``made_by``: the operator that the score comes from.
    """

    data: bytes
    inputs: list[Input]
    score: str
    label: str
    classes: list[Any]
    model: Message
    made_by: str


def is_onnx(data: bytes) -> bool:
    """Whether these may be the bytes of a file of ONNX: it begins with the number of its format."""
    return data[:1] == b"\x08" and data[1:2] < b"\x40"


def checked(data: bytes) -> Checked:
    """What is in a file. Raises NativeError."""
    model = decode(data, MODEL)
    graph = model.get(7)
    if graph is None or model.get(25) or graph.get(15):
        raise NativeError("is no model of ONNX, or has functions or sparse numbers in it, which are not served")
    _check_operators(graph)
    for tensor in graph.get(5, []):
        _check_tensor(tensor)
    constants = {_name(each, 8): each for each in graph.get(5, [])}
    inputs = [_input(each) for each in graph.get(11, []) if _name(each, 1) not in constants]
    if not inputs or len(inputs) > WIDTH:
        raise NativeError("has no inputs, or too many")
    score, label, classes = _outputs(graph, constants)
    return Checked(encode(model, MODEL), inputs, score, label, classes, model, _maker(graph, score))


def _name(message: Message, number: int) -> str:
    return str(message.get(number, b""), "utf-8", "replace")


def _check_operators(graph: Message) -> None:
    nodes = graph.get(1, [])
    if not nodes or len(nodes) > _NODES:
        raise NativeError("has no operators, or too many")
    for node in nodes:
        kind, domain = _name(node, 4), _name(node, 7)
        allowed = _LEARNED if domain == _ML else _PLAIN
        if domain not in _DOMAINS or kind not in allowed:
            raise NativeError(f"has the operator {domain + '.' if domain else ''}{kind[:50]}, which is not served")
        for attribute in node.get(5, []):
            if {6, 10, 11, 21} & set(attribute):
                raise NativeError(f"has a {kind} with a part that is a graph")
            if 5 in attribute:
                _check_tensor(attribute[5])
        _check_learned(kind, attributes(node))


def attributes(node: Message) -> dict[str, Any]:
    """The values of an operator's attributes by name. Raises NativeError."""
    found = {}
    for each in node.get(5, []):
        name = _name(each, 1)
        if name in found:
            raise NativeError(f"has an operator with {name[:50]!r} twice")
        found[name] = next((each[number] for number in (2, 3, 4, 5, 7, 8, 9) if number in each), None)
    return found


def _check_tensor(tensor: Message) -> None:
    """It has as many numbers as its shape says, in the file itself."""
    if 13 in tensor or tensor.get(14, 0) != 0:
        raise NativeError("keeps numbers in another file: save it as one file, by onnx.save(onnx.load(FILE), NEW)")
    kind, shape = tensor.get(2, 0), tensor.get(1, np.zeros(0, np.int64))
    if kind not in KINDS or (shape < 0).any() or len(shape) > 8:
        raise NativeError("has a tensor of a kind that is not served")
    count = 1
    for each in shape.tolist():
        count *= each
    if kind == _TEXT:
        held = len(tensor.get(6, []))
    elif 9 in tensor:
        size = len(tensor[9])
        held = size // _BYTES[kind] if size % _BYTES[kind] == 0 else -1
    elif kind == _DOUBLE:
        held = len(tensor.get(10, b"")) // 8
    else:
        held = len(tensor.get(_HELD[kind], ()))
    if held != count:
        raise NativeError("has a tensor that has not as many numbers as its shape says")


def _input(value: Message) -> Input:
    name, tensor = _name(value, 1), value.get(2, {}).get(1)
    kind = KINDS.get(tensor.get(1, 0)) if tensor is not None else None
    if kind is None or 2 not in tensor:
        raise NativeError(f"has an input {name[:50]!r} that is no column and no matrix")
    dims = tensor[2].get(1, [])
    if len(dims) not in (1, 2) or dims[0].get(1, 0) > 0:
        raise NativeError(
            f"has an input {name[:50]!r} that takes no rows of any number: convert it with [None, columns]"
        )
    width = dims[1].get(1) if len(dims) == 2 else 1
    if width is not None and not 0 < width <= WIDTH:
        raise NativeError(f"has an input {name[:50]!r} with {width} columns, and up to {WIDTH:,} are served")
    return Input(name, kind, width, flat=len(dims) == 1)


def _outputs(graph: Message, constants: dict[str, Message]) -> tuple[str, str, list[Any]]:
    """The outputs for scores and labels, and the classes. A map for each row is replaced by what it is made of."""
    maps = [node for node in graph[1] if _name(node, 4) == "ZipMap"]
    graph[1] = [node for node in graph[1] if _name(node, 4) != "ZipMap"]
    replaced = {_name({1: node.get(2, [b""])[0]}, 1): node for node in maps}
    outputs = []
    classes: list[Any] = []
    for value in graph.get(12, []):
        node = replaced.get(_name(value, 1))
        if node is not None:
            classes = _said_classes(attributes(node), ("classlabels_int64s", "classlabels_strings"))
            outputs.append({1: node[1][0]})
        else:
            outputs.append(value)
    graph[12] = outputs
    labels = [each for each in outputs if _kind_of(each) in (_INT64, _TEXT)]
    scores = [each for each in outputs if 2 not in each or _kind_of(each) in (_FLOAT, _DOUBLE)]
    if len(scores) != 1 or len(labels) > 1:
        raise NativeError(
            f"has the outputs {[_name(each, 1) for each in outputs][:5]}: a label and probabilities, or one value, are served"
        )
    if not labels:
        return _name(scores[0], 1), "", []
    by_place = [0, 1] if _maker(graph, _name(labels[0], 1)) == "ArgMax" else []
    classes = classes or _classes(graph, constants) or by_place
    if not classes:
        raise NativeError("says nowhere which classes it has: convert it with zipmap")
    return _name(scores[0], 1), _name(labels[0], 1), classes


def _maker(graph: Message, output: str) -> str:
    """The operator that makes an output, behind those that only give it another shape."""
    makers = {_name({1: each}, 1): node for node in graph[1] for each in node.get(2, [])}
    for _ in graph[1]:
        node = makers.get(output, {})
        if _name(node, 4) not in _RESHAPES or not node.get(1):
            return _name(node, 4)
        output = _name({1: node[1][0]}, 1)
    return ""


def _kind_of(value: Message) -> int:
    return int(value.get(2, {}).get(1, {}).get(1, 0))


def _said_classes(held: dict[str, Any], names: tuple[str, ...]) -> list[Any]:
    for name in names:
        said = held.get(name)
        if isinstance(said, np.ndarray) and len(said):
            found: list[Any] = said.tolist()
            return found
        if isinstance(said, list) and said:
            return [str(each, "utf-8", "replace") for each in said]
    return []


def _classes(graph: Message, constants: dict[str, Message]) -> list[Any]:
    """Those of the one classifier, or of the constant of which the label is chosen."""
    names = ("classlabels_int64s", "classlabels_ints", "classlabels_strings")
    found = [
        said for node in graph[1] if (said := _said_classes(attributes(node), names)) and "Classifier" in _name(node, 4)
    ]
    chosen = [node for node in graph[1] if _name(node, 4) == "ArrayFeatureExtractor"]
    found += [_values(constants[name]) for node in chosen if (name := _name({1: node[1][0]}, 1)) in constants]
    return found[0] if len(found) == 1 else []


def _values(tensor: Message) -> list[Any]:
    kind = tensor.get(2)
    if kind == _TEXT:
        return [str(each, "utf-8", "replace") for each in tensor.get(6, [])]
    if kind not in (_INT32, _INT64):
        return []
    if 9 in tensor:
        return np.frombuffer(tensor[9], "<i4" if kind == _INT32 else "<i8").tolist()  # type: ignore[no-any-return]
    return tensor[_HELD[kind]].tolist()  # type: ignore[no-any-return]


def _check_learned(kind: str, held: dict[str, Any]) -> None:
    if kind == "LinearClassifier":
        labels = len(_said_classes(held, ("classlabels_ints", "classlabels_strings")))
        if len(_floats(held, "intercepts")) not in ({1, 2} if labels == 2 else {labels}):
            raise NativeError("has weights of classes that are not there")
    if kind in ("TreeEnsembleClassifier", "TreeEnsembleRegressor"):
        check_trees(held, "class" if kind.endswith("Classifier") else "target")
        if any(name.endswith("_as_tensor") for name in held):
            raise NativeError(
                "has trees with numbers of double precision, which are not served: convert it for inputs of float"
            )


def _floats(held: dict[str, Any], name: str) -> NDArray[np.float32]:
    found = held.get(name)
    if not isinstance(found, np.ndarray) or found.dtype != np.float32:
        raise NativeError(f"has no sound list {name}")
    return found


def needed(node: Message) -> int:
    """How many columns an operator of weights or trees looks at, at least. Raises NativeError."""
    held, kind = attributes(node), _name(node, 4)
    if kind in ("TreeEnsembleClassifier", "TreeEnsembleRegressor"):
        return int(ints(held, "nodes_featureids").max()) + 1
    weights, intercepts = held.get("coefficients"), held.get("intercepts")
    outcomes = (
        len(intercepts) if isinstance(intercepts, np.ndarray) and len(intercepts) else int(held.get("targets") or 1)
    )
    if not isinstance(weights, np.ndarray) or outcomes < 1 or len(weights) % outcomes:
        raise NativeError("has weights that are none")
    return -(len(weights) // outcomes)


LOOKS = frozenset({"LinearClassifier", "LinearRegressor", "TreeEnsembleClassifier", "TreeEnsembleRegressor"})
"""Operators that look at as many columns as their own lists say, whatever they get."""


@dataclass(frozen=True, slots=True)
class Looking:
    """Such an operator: its ``kind``, its input, how many columns it needs of it, and the model up to there.

    ``guesses``: whether it would send a missing value somewhere that no training has said.
    """

    kind: str
    source: str
    needs: int
    before: bytes
    guesses: bool


def looking(model: Message) -> Iterator[Looking]:
    """Each such operator."""
    graph = model[7]
    for at, node in enumerate(graph[1]):
        if _name(node, 4) in LOOKS:
            before = graph | {1: graph[1][:at], 12: [{1: node[1][0]}]}
            kind, source = _name(node, 4), _name({1: node[1][0]}, 1)
            said = attributes(node).get("nodes_missing_value_tracks_true")
            guesses = kind.startswith("TreeEnsemble") and not (isinstance(said, np.ndarray) and said.any())
            yield Looking(kind, source, needed(node), encode(model | {7: before}, MODEL), guesses)
