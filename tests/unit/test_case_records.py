"""Files and records that people sent: each is read as it is meant, or refused in one line that says where and why."""

import gzip
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from leadline.cli.tables import check, check_columns, read_rows, to_outcome, to_record, to_request
from leadline.core.models import Signature, Version
from leadline.core.reference import ReferenceProfile
from leadline.settings import ModelSettings, SettingsError
from leadline.wire.codec import decode, read
from leadline.wire.run import Run
from logs import JoinRun, Models

T, T_MS = "2026-11-28T10:00:00Z", 1_795_860_000_000
NOW_MS = T_MS + 60_000
ORDER = ModelSettings(name="order", numeric=["age", "amount"], horizon="1d", window="1d", grace="never")
HEAD = "request_id,event_time,age,amount\n"
DAY_MS = 86_400_000


def parquet(table):
    buffer = pa.BufferOutputStream()
    table = table if isinstance(table, pa.Table) else pa.Table.from_pandas(table, preserve_index=None)
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue().to_pybytes()


def line(**values):
    return json.dumps({"request_id": "r", "event_time": T, "age": 40, "amount": 150} | values).encode() + b"\n"


NANO = pd.DataFrame(
    {
        "request_id": ["p1", "p2"],
        "event_time": pd.to_datetime(["2026-11-28T10:00:00.123456789Z", T], format="ISO8601"),
        "age": pd.array([40, None], "Int64"),
        "amount": [150.0, 160.0],
    }
)
PLAIN = NANO.assign(event_time=pd.Timestamp(T))
BOTH = [("p1", T_MS, {"age": 40.0, "amount": 150.0}), ("p2", T_MS, {"amount": 160.0})]
LONG = "ключ\n😀 " + "x" * 400
REMARK = '"first line of a remark\nsecond line, with a comma"'
NAMED = {"age": 40.0, "amount": 150.0}

# file: its bytes, and the (id, time, features) of its requests, or what is said of it
FILES = {
    "bom.csv": (b"\xef\xbb\xbf" + f"{HEAD}r,{T},40,150\n".encode(), [("r", T_MS, NAMED)]),
    "semicolon.csv": (f"{HEAD}r,{T},40,150\n".replace(",", ";").encode(), 'are they separated by ";"? write commas'),
    "crlf.csv": (f"{HEAD}r,{T},40,150\n".replace("\n", "\r\n").encode(), [("r", T_MS, NAMED)]),
    "quoted-newline.csv": (f'{HEAD[:-1]},note\nr,{T},40,150,"one\ntwo"\n'.encode(), [("r", T_MS, NAMED)]),
    "quoted-newline-2mb.csv": (
        (HEAD[:-1] + ",note\n" + "".join(f"n{i},{T},40,150,{REMARK}\n" for i in range(25_000))).encode(),
        [(f"n{i}", T_MS, NAMED) for i in range(25_000)],
    ),
    "missing-column.csv": (
        f"request_id,event_time,Age,Amount\nr,{T},40,150\n".encode(),
        "no column age, amount; it has",
    ),
    "spaces-in-header.csv": (
        f"request_id,event_time, age, amount\nr,{T}, 40, 150\n".encode(),
        "(is age ' age', amount ' amount'?)",
    ),
    "na-text.csv": (f"{HEAD}r,{T},NA,150\n".encode(), "row 1: age is 'NA', not a number"),
    "bool-feature.csv": (f"{HEAD}r,{T},True,150\n".encode(), [("r", T_MS, {"age": 1.0, "amount": 150.0})]),
    "inf.csv": (f"{HEAD}r,{T},inf,150\n".encode(), "row 1: age is infinite"),
    "local-time.csv": (f"{HEAD}r,2026-10-25 02:30:00,40,150\n".encode(), "row 1: event_time is"),
    "seconds.csv": (f"{HEAD}r,1795860000,40,150\n".encode(), "row 1: event-time-unit: "),
    "float-ms.csv": (f"{HEAD}r,1795860000000.0,40,150\n".encode(), [("r", T_MS, NAMED)]),
    "sup.csv": (f"{HEAD}r,17958600000²,40,150\n".encode(), "row 1: event_time is"),
    "dup-header.csv": (f"{HEAD[:-1]},age\nr,{T},40,150,99\n".encode(), "column age is there twice"),
    "empty.csv": (b"", "cannot be read"),
    "header-only.csv": (HEAD.encode(), []),
    "unicode-id.csv": (f'{HEAD}"{LONG}",{T},40,150\n'.encode(), [(LONG, T_MS, NAMED)]),
    "ragged.csv": (f"{HEAD}r,{T},40,150\nr2,{T},40\n".encode(), "Expected 4 columns, got 3"),
    "latin1.csv": (f"{HEAD[:-1]},city\nr,{T},40,150,Málaga\n".encode("latin-1"), "line 2: not UTF-8"),
    "two-members.csv.gz": (
        gzip.compress(f"{HEAD}r,{T},40,150\n".encode()) + gzip.compress(f"r2,{T},40,150\n".encode()),
        [("r", T_MS, NAMED), ("r2", T_MS, NAMED)],
    ),
    "bom.jsonl": (b"\xef\xbb\xbf" + line(), [("r", T_MS, NAMED)]),
    "nan.jsonl": (line(age=float("nan")), [("r", T_MS, {"amount": 150.0})]),
    "float-ms.jsonl": (line(event_time=1795860000000.0), [("r", T_MS, NAMED)]),
    "bool-time.jsonl": (line(event_time=True), "line 1: event_time is True"),
    "list-feature.jsonl": (line(age=[40]), "line 1: age is a list"),
    "ns.parquet": (parquet(NANO), [("p1", T_MS + 123, BOTH[0][2]), BOTH[1]]),
    "index.parquet": (
        parquet(pa.Table.from_pandas(NANO, preserve_index=True)),
        [("p1", T_MS + 123, BOTH[0][2]), BOTH[1]],
    ),
    "plain-ns.parquet": (parquet(PLAIN), BOTH),
    "naive.parquet": (parquet(PLAIN.assign(event_time=pd.Timestamp("2026-11-28T10:00:00"))), "row 1: event_time is"),
    "dictionary.parquet": (parquet(PLAIN.assign(request_id=pd.Categorical(["p1", "p2"]))), BOTH),
    "float-id.parquet": (parquet(PLAIN.head(1).assign(request_id=[101.0])), [("101", *BOTH[0][1:])]),
    "binary-id.parquet": (parquet(PLAIN.assign(request_id=[b"p1", b"p2"])), BOTH),
    "id-in-index.parquet": (parquet(pa.Table.from_pandas(PLAIN.set_index("request_id"))), BOTH),
    "big-int.parquet": (
        parquet(pa.table({"request_id": ["p1"], "event_time": [T], "age": [2**53 + 1], "amount": [150]})),
        [("p1", T_MS, {"age": 2.0**53, "amount": 150.0})],
    ),
}


def sent(path, make=lambda row: to_request(row, ORDER), model=ORDER):
    """The records of a file, as `leadline send` makes and checks them; raises SettingsError."""
    check_columns(path, model)
    records = [to_record(row, make) for row in read_rows(path)]
    topic = "outcomes" if model is None else "prediction-requests"
    check(topic, records, 1 << 20, NOW_MS, DAY_MS)
    return [read(topic, each.value) for each in records]


@pytest.mark.parametrize("name", FILES)
def test_send_files(tmp_path, name):
    data, wanted = FILES[name]
    (tmp_path / name).write_bytes(data)
    if isinstance(wanted, str):
        with pytest.raises(SettingsError) as refused:
            sent(tmp_path / name)
        assert str(refused.value).startswith(str(tmp_path / name))
        assert wanted in str(refused.value)
        assert "\n" not in str(refused.value)
    else:
        assert [(each.request_id, each.event_time, each.features) for each in sent(tmp_path / name)] == wanted


@pytest.mark.parametrize(
    "ids", [[101, 102], [101.0, 102.0], [b"101", b"102"], ["101", "102"]], ids=lambda ids: type(ids[0]).__name__
)
def test_send_files_ids(tmp_path, ids):
    """An id is the same text in requests and outcomes, whatever pandas made of its column."""
    pd.DataFrame({"request_id": ids, "outcome": [1, 0], "outcome_time": pd.Timestamp(T)}).to_parquet(
        tmp_path / "o.parquet"
    )
    assert [each.request_id for each in sent(tmp_path / "o.parquet", to_outcome, None)] == ["101", "102"]


SHOP = ModelSettings(name="shop", numeric=["x"], categorical=["shop"])


@pytest.mark.parametrize(
    ("head", "says"), [("x,shop", None), ("X,shop", r"no column x; .*\(is x 'X'\?\)"), ("x", "no column shop")]
)
def test_missing_column(tmp_path, head, says):
    (tmp_path / "rows.csv").write_text(
        f"request_id,event_time,{head}\nr,{T},3{',a' if 'shop' in head else ''}\n", "utf-8"
    )
    if says is None:
        [request] = sent(tmp_path / "rows.csv", lambda row: to_request(row, SHOP), SHOP)
        assert (request.features, request.categories) == ({"x": 3.0}, {"shop": "a"})
    else:
        with pytest.raises(SettingsError, match=says):
            sent(tmp_path / "rows.csv", lambda row: to_request(row, SHOP), SHOP)


# -- clients ----------------------------------------------------------------------------------------------------------

REQUEST = {"request_id": "r", "model": "order", "event_time": T, "features": {"age": 40, "amount": 150}}


def of(**more):
    return json.dumps(REQUEST | more).encode()


# client: the value that it sends, and fields of the request that is read, or the reason of the dead letter
CLIENTS = {
    "q-null-user": (of(user_id=None), {"user_id": ""}),
    "q-int-user": (of(user_id=4711), {"user_id": "4711"}),
    "q-null-categories": (of(categories=None), {"categories": {}}),
    "q-string-number": (of(features={"age": "40", "amount": "150"}), {"features": NAMED}),
    "q-bool-feature": (of(features={"age": True, "amount": 150}), {"features": {"age": 1.0, "amount": 150.0}}),
    "q-float-ms": (of(event_time=T_MS + 0.75), {"event_time": T_MS}),
    "q-int-category": (of(categories={"store": 3}), {"categories": {"store": "3"}}),
    "q-offset": (of(event_time="2026-11-28T12:00:00+02:00"), {"event_time": T_MS}),
    "q-ns-text": (of(event_time="2026-11-28T10:00:00.123456789Z"), {"event_time": T_MS + 123}),
    "q-pg-text": (of(event_time="2026-11-28 10:00:00+00"), {"event_time": T_MS}),
    "q-bom": (b"\xef\xbb\xbf" + of(), {"features": NAMED}),
    "q-registry": (b"\0\0\0\0\7" + of(), "schema-unknown"),
    "q-array": (b"[" + of() + b"]", "unknown-schema"),
    "q-seconds": (of(event_time=T_MS // 1000), "event-time-unit"),
    "q-micros": (of(event_time=T_MS * 1000), "time-out-of-range"),
    "q-future": (of(event_time="2036-01-01T00:00:00Z"), "event-time-ahead"),
    "q-tombstone": (None, "empty-value"),
}


def come(topic, value, key=b"r"):
    """What becomes of a record that comes in."""
    return decode(Run(topic, 0, [0], [NOW_MS], [key], [value], [()]), 1 << 20, DAY_MS)


@pytest.mark.parametrize("name", CLIENTS)
def test_clients(name):
    value, wanted = CLIENTS[name]
    batch, letters = come("prediction-requests", value)
    if isinstance(wanted, str):
        assert [letter.reason for letter in letters] == [wanted]
    else:
        assert letters == []
        [request] = batch.records
        assert {field: getattr(request, field) for field in wanted} == wanted


def test_clients_with_a_key_in_json():
    assert [letter.reason for letter in come("prediction-requests", of(), b'"r"')[1]] == ["key-mismatch"]


class OfWords(Models):
    """A model of the classes ``no`` and ``yes``."""

    def version(self, model, version):
        profile = ReferenceProfile(0, [], {}, [0.0, 1.0], class_names=["no", "yes"])
        return Version(self.settings(model), version, Signature("s", [], [], {}), profile)


OUTCOMES = {
    "bool": (True, 1.0), "text1": ("1", 1.0), "yes": ("yes", 1.0), "no": ("no", 0.0), "float": (1.0, 1.0), "maybe": ("maybe", None),
    "two": (2, None), "minus": (-1, None), "prob": (0.7, None), "percent": (100, None),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTCOMES)
def test_clients_outcomes(name):
    """It is the class that it says, or a dead letter; whether the outcome or the prediction comes first."""
    value, wanted = OUTCOMES[name]
    predicted = [
        {"request_id": "r", "model": "order", "model_version": "v1", "event_time": T_MS, "score": 0.9, "label_pred": 1,
         "segment": None, "arrival_time": NOW_MS, "offset": 0}
    ]  # fmt: skip
    batch, letters = come("outcomes", json.dumps({"request_id": "r", "outcome": value, "outcome_time": T}).encode())
    assert letters == []
    for first in (True, False):
        run = JoinRun(models=OfWords(ORDER))
        for prediction in (first, not first):
            if prediction:
                run.feed("predictions", predicted)
            else:
                run.take(run.join.on_batch(batch), [{"request_id": "r"}])
        assert [row["outcome"] for rows in run.labels.values() for row in rows] == ([] if wanted is None else [wanted])
        assert run.counts()["outcomes_not_a_class"] == (wanted is None)
        assert run.rejects == ([("r", "outcome-not-a-class")] if first and wanted is None else [])


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"outcome": float("nan")}, "outcome-not-finite"),
        ({"outcome": 1, "outcome_time": T_MS // 1000}, "event-time-unit"),
    ],
    ids=["nan", "seconds"],
)
def test_clients_outcomes_that_are_refused(more, reason):
    value = json.dumps({"request_id": "r", "outcome_time": T} | more).encode()
    assert [letter.reason for letter in come("outcomes", value)[1]] == [reason]
