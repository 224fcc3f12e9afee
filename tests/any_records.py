"""Records of every class with all that their schema can say."""

from hypothesis import strategies as st

from leadline.wire.forms import to_record
from leadline.wire.schemas import schema

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
LONGS = st.integers(-(2**63), 2**63 - 1)
PLAIN = {
    "string": TEXT,
    "long": LONGS,
    "int": st.integers(-(2**31), 2**31 - 1),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "bytes": st.binary(max_size=8),
}


def values(form, named):
    form = named.get(form, form) if isinstance(form, str) else form
    if isinstance(form, str):
        return PLAIN[form]
    if isinstance(form, list):
        return st.one_of([st.none() if each == "null" else values(each, named) for each in form])
    match form.get("logicalType"), form["type"]:
        case "decimal", _:
            return st.integers(-(2**200), 2**200).map(lambda n: n.to_bytes(n.bit_length() // 8 + 1, "big", signed=True))
        case "timestamp-millis", _:
            return st.integers(-62_135_596_800_000, 253_402_300_799_999) | st.integers(-(2**52), 2**53)
        case _, "record":
            named[form["name"]] = form
            return st.fixed_dictionaries({each["name"]: values(each["type"], named) for each in form["fields"]})
        case _, "array":
            return st.lists(values(form["items"], named), max_size=3)
        case _, "map":
            return st.dictionaries(TEXT, values(form["values"], named), max_size=3)
    return PLAIN[form["type"]]


def records(name):
    """Records of a class."""
    return values(schema(name), {}).map(lambda found: to_record(name, found))
