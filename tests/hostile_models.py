"""Models of allowed types that mean harm, for tests: each a function that makes the bytes of a file."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

X = np.random.default_rng(0).normal(size=(60, 2))
Y = (X[:, 0] > 0).astype(float)
MANY = 4_000_000
FILE = "/etc/passwd"
"""A file that a model must not read."""


def fitted(model: Any = None) -> Any:
    return (LogisticRegression() if model is None else model).fit(X, Y)


def with_attribute(**values: Any) -> bytes:
    model = fitted()
    vars(model).update(values)
    return skops.io.dumps(model)


def reads_files() -> bytes:
    """Its first step answers with a file's name, whatever it is asked, and its second step reads that file."""
    name = DummyClassifier(strategy="constant", constant=FILE).fit(X, np.array([FILE, "/dev/null"] * 30))
    words = CountVectorizer(input="filename", vocabulary=["root"], decode_error="ignore", binary=True)
    table = ColumnTransformer([("words", words, 0)]).fit(np.array([[FILE], ["/dev/null"]], object))
    return with_attribute(steps=[name, table])


def caches() -> bytes:
    return skops.io.dumps(fitted(Pipeline([("model", LogisticRegression())], memory=None)).set_params(memory="/tmp/x"))


def hides_a_method() -> bytes:
    return with_attribute(predict_proba=np.abs)


def forest_that_leads_round() -> bytes:
    return changed_arrays(skops.io.dumps(fitted(RandomForestClassifier(2))), "left_child", 0)


def forest_beyond_its_nodes() -> bytes:
    return changed_arrays(skops.io.dumps(fitted(RandomForestClassifier(2))), "right_child", 1 << 40)


def boosting_of_other_features() -> bytes:
    return changed_arrays(skops.io.dumps(fitted(GradientBoostingClassifier(n_estimators=2))), "feature", 1 << 20)


def histogram_boosting_beyond_its_nodes() -> bytes:
    return changed_arrays(skops.io.dumps(fitted(HistGradientBoostingClassifier(max_iter=2))), "right", 1 << 31)


def histogram_boosting_of_other_features() -> bytes:
    return changed_arrays(skops.io.dumps(fitted(HistGradientBoostingClassifier(max_iter=2))), "feature_idx", 1 << 20)


def changed_arrays(data: bytes, field: str, value: int) -> bytes:
    """A field of the first node of each array of nodes has another value."""

    def change(name: str, member: bytes) -> bytes:
        if not name.endswith(".npy"):
            return member
        array = np.load(io.BytesIO(member))
        if field in (array.dtype.names or ()):
            array[field][0] = value
        return npy(array)

    return members(data, change)


def npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def members(data: bytes, change: Callable[[str, bytes], bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A skops file with other members."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", kind) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


def schema(change: Callable[[dict[str, Any]], Any], model: Any = None) -> bytes:
    """A skops file whose schema was changed in place."""

    def changed(name: str, member: bytes) -> bytes:
        if name != "schema.json":
            return member
        found = json.loads(member)
        change(found)
        return json.dumps(found).encode()

    return members(skops.io.dumps(fitted(model)), changed)


def bomb() -> bytes:
    """Some hundred kilobytes that unpack to 65 MiB."""
    zeros = b"\0" * (1 << 20)
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
        new.open("1.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(65):
            member.write(zeros)
    return out.getvalue()


def bomb_that_states_a_small_size() -> bytes:
    """Its directory says that 64 MiB of zeros are ten bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("1.npy", b"\0" * (64 << 20))
    data, size = out.getvalue(), (64 << 20).to_bytes(4, "little")
    return data.replace(size, (10).to_bytes(4, "little"))


def bomb_in_another_packing() -> bytes:
    return members(skops.io.dumps(fitted()), lambda _, member: member, zipfile.ZIP_LZMA)


def shape_that_claims_more() -> bytes:
    return members(
        skops.io.dumps(fitted()),
        lambda name, member: member.replace(b"(1, 2)", b"(9**9,)") if name.endswith(".npy") else member,
    )


def array_of_nothing() -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|V0", "fortran_order": False, "shape": (1 << 40,)})
    return members(skops.io.dumps(fitted()), lambda n, member: header.getvalue() if n.endswith(".npy") else member)


def void_of_many_bytes() -> bytes:
    def change(found: dict[str, Any]) -> None:
        for each in found["content"]["content"].values():
            if each["__loader__"] == "NdArrayNode":
                each["__class__"] = "void"

    return schema(change)


def zip_for_an_array() -> bytes:
    packed = skops.io.dumps(fitted())
    return members(skops.io.dumps(fitted()), lambda name, member: packed if name.endswith(".npy") else member)


def node(loader: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"__class__": loader[:-4].lower(), "__module__": "builtins", "__loader__": loader, "content": content} | more


def doubled_fifty_times() -> bytes:
    """A list of a list twice, of a list twice, ...: a walk over it never ends."""
    inner = node("ListNode", [], __id__=1)
    for i in range(2, 50):
        inner = node("ListNode", [inner, {"__loader__": "ListNode", "__id__": i - 1}], __id__=i)
    return schema(lambda found: found["content"]["content"].update(classes_=inner))


def nested_deeply() -> bytes:
    return members(
        skops.io.dumps(fitted()),
        lambda name, member: b"[" * 100_000 if name == "schema.json" else member,
    )


def too_many_values() -> bytes:
    return members(
        skops.io.dumps(fitted()), lambda name, member: b"[" + b"0," * MANY + b"0]" if name == "schema.json" else member
    )


def json_within_json() -> bytes:
    return schema(
        lambda found: found["content"]["content"].update(
            classes_={"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": "[[],[]]"}
        )
    )


def calls_a_method() -> bytes:
    return schema(lambda found: found.update(__loader__="MethodNode"))


def of_an_older_protocol() -> bytes:
    return schema(lambda found: found.update(protocol=0))


HOSTILE = {
    "reads_files": (reads_files, r"steps\[1\]\.transformers_?\[0\]\[1\]\.input is .filename.: it reads files"),
    "caches": (caches, r"Pipeline\.memory is set"),
    "hides_a_method": (hides_a_method, r"LogisticRegression\.predict_proba hides a method"),
    "forest_that_leads_round": (forest_that_leads_round, "a node that leads nowhere"),
    "forest_beyond_its_nodes": (forest_beyond_its_nodes, "a node that leads nowhere"),
    "boosting_of_other_features": (boosting_of_other_features, "a feature that is not there"),
    "histogram_boosting_beyond_its_nodes": (histogram_boosting_beyond_its_nodes, "a node that leads nowhere"),
    "histogram_boosting_of_other_features": (histogram_boosting_of_other_features, "a feature that is not there"),
    "bomb": (bomb, "unpacks to more than 67,108,864 bytes"),
    "bomb_that_states_a_small_size": (bomb_that_states_a_small_size, "no skops file|not as many bytes"),
    "bomb_in_another_packing": (bomb_in_another_packing, "neither stored nor deflated"),
    "shape_that_claims_more": (shape_that_claims_more, "is no array|not as many bytes"),
    "array_of_nothing": (array_of_nothing, "impossible shape|not as many bytes"),
    "void_of_many_bytes": (void_of_many_bytes, "the type void"),
    "zip_for_an_array": (zip_for_an_array, "is no array"),
    "doubled_fifty_times": (doubled_fifty_times, "more than 4,000,000 values"),
    "nested_deeply": (nested_deeply, "nested too deeply|values"),
    "too_many_values": (too_many_values, "or 4,000,000 values"),
    "json_within_json": (json_within_json, "JSON within JSON"),
    "calls_a_method": (calls_a_method, "made by MethodNode"),
    "of_an_older_protocol": (of_an_older_protocol, "protocol 2"),
}
