"""A training set is what was known at the cut: no more, no less, in whatever order it is read."""

import gzip
import json

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import csv, parquet

from leadline.core.models import Signature
from leadline.core.reference import ReferenceProfile
from leadline.learning.add import add_described
from leadline.learning.reference import signature_of, texts
from leadline.learning.training import TrainingError
from leadline.learning.training.content import digest_of_rows
from leadline.learning.training.store import read_rows, write_rows
from leadline.learning.training.training_set import split, training_set
from leadline.settings import ModelSettings
from leadline.settings.release import TrainingSettings
from replays import shared_data
from trainings import COLOURS, SIGNATURE, drawn, labeled, settings

KNOWN = """
with known as (select unnest(prediction), outcome, revision from log where "offset" < (case partition when 0 then 2500 else 1200 end)),
newest as (select * from known qualify row_number() over (partition by request_id, model_version order by revision desc) = 1),
one as (
    select * from newest where outcome is not null
    qualify row_number() over (partition by request_id order by (model_version = 'v1') desc, scored_at desc) = 1
)
select * from one order by event_time, request_id
"""


def described(root, found, *signatures, classes=(0.0, 1.0), names=()):
    """Versions v1, v2 ... that only say what they take."""
    for number, signature in enumerate(signatures, 1):
        profile = ReferenceProfile(1, [], {}, classes=list(classes), class_names=list(names))
        add_described(root, found, f"v{number}", signature, profile)
    return found


def known(root, found, *batches, champion="v1"):
    work = root / "work"
    work.mkdir(exist_ok=True)
    return training_set(root, found, champion, batches, work, lambda: None)


def with_outcome(table, outcome):
    return table.set_column(table.column_names.index("outcome"), "outcome", pa.array(outcome, pa.float64()))


def log_of(table, signatures, seed=0):
    """A log of two partitions: labels of two versions, corrected, taken back and repeated, as chance has it."""
    rng = np.random.default_rng(seed)
    said = table["outcome"].to_numpy()
    parts = []
    for version, signature in zip(("v1", "v2"), signatures, strict=True):
        for revision in (1, 2, 3):
            some = np.flatnonzero(rng.uniform(size=len(table)) < (0.9, 0.2, 0.1)[revision - 1])
            outcomes = [None if rng.uniform() < 0.1 else (said[at] if revision % 2 else 1 - said[at]) for at in some]
            part = with_outcome(table.take(pa.array(some)), outcomes)
            parts += [labeled(part, version, revision, signature)] * (1 + (revision == 2))
    log = pa.Table.from_batches(parts).take(rng.permutation(sum(map(len, parts))))
    partition = np.array(
        [int(each[1:]) % 2 for each in log["prediction"].combine_chunks().field("request_id").to_pylist()]
    )
    offset = np.where(partition == 0, np.cumsum(partition == 0), np.cumsum(partition == 1)) - 1
    return log.append_column("partition", pa.array(partition)).append_column("offset", pa.array(offset))


def stream(name):
    """Settings and rows of a real stream."""
    folder = shared_data(name)
    if folder is None:
        pytest.skip("the real streams are not beside the project")
    meta = json.loads((folder / "meta.json").read_text())
    found = ModelSettings(name="m", numeric=meta["numeric"], categorical=meta["categorical"])
    with gzip.open(folder / "stream.csv.gz") as file:
        table = csv.read_csv(file, convert_options=csv.ConvertOptions(strings_can_be_null=True))
    table = table.filter(pc.is_valid(table["label"])).slice(0, 3000)
    columns = {name: table[name] for name in ("request_id", *meta["numeric"])}
    columns |= {name: texts(table, name) for name in meta["categorical"]}
    moments = table["event_time"].cast(pa.timestamp("ms")).cast(pa.int64())
    columns |= {"event_time": moments, "outcome": table["label"].cast(pa.float64())}
    return found, pa.table(columns)


@pytest.mark.parametrize("name", ["drawn", "flights13", "elec2", "car_loan"])
def test_no_label_is_from_the_future(tmp_path, name):
    found, table = (settings(), drawn(3000)) if name == "drawn" else stream(name)
    one = signature_of(table, found)
    other = Signature.of(one.numeric[::-1], one.categorical[::-1], one.categories)
    described(tmp_path, found, one, other)
    log = log_of(table, (one, other))
    below = pc.less(log["offset"], pc.if_else(pc.equal(log["partition"], 0), 2500, 1200))
    batches = log.filter(below).drop_columns(["partition", "offset"]).to_batches(max_chunksize=500)
    mine = known(tmp_path, found, *batches[::-1]).table
    sql = duckdb.sql(KNOWN).to_arrow_table()
    assert 1000 < len(mine) == len(sql) < 3000
    for column in ("request_id", "user_id", "event_time", "outcome", "model_version"):
        assert mine[column].to_pylist() == sql[column].to_pylist(), column
    used = {row["request_id"]: row for row in table.to_pylist()}
    for feature in (*found.numeric, *found.categorical):
        assert mine[feature].to_pylist() == [used[each][feature] for each in mine["request_id"].to_pylist()]


def test_the_digest_depends_on_what_is_there_alone(tmp_path):
    found, rows = described(tmp_path, settings(), SIGNATURE), drawn(300)
    newest, old = labeled(rows, revision=2), labeled(with_outcome(rows, 1 - rows["outcome"].to_numpy()))
    parts = [newest.slice(at, 100) for at in (0, 100, 200)]
    whole = known(tmp_path, found, newest)
    assert known(tmp_path, found, *parts[::-1], old, parts[1]).digest == whole.digest
    for at, size in enumerate((7, 100)):
        parquet.write_table(whole.table, tmp_path / f"{at}", row_group_size=size, version=("1.0", "2.6")[at])
        assert digest_of_rows(read_rows(tmp_path / f"{at}")) == whole.digest
    assert known(tmp_path, found, *parts[:2]).digest != whole.digest
    write_rows(tmp_path / "private", whole.table)
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600


def test_more_rows_than_the_most_are_a_sample_that_is_said(tmp_path):
    found, rows = described(tmp_path, settings(max_rows=100), SIGNATURE), drawn(1000)
    log = labeled(rows)
    some = known(tmp_path, found, log)
    assert (len(some.table), some.sampled_from) == (100, 1000)
    assert "100 rows, a sample of 1,000 (max_rows)" in some.said
    assert known(tmp_path, found, log.slice(500), log.slice(0, 500)).digest == some.digest
    other = settings(max_rows=100, seed=1)
    assert known(tmp_path, other, log).digest != some.digest


def test_what_another_signature_scored_is_mapped_by_name_or_left_out_and_counted(tmp_path):
    more = Signature.of(["income", "height", "age"], ["colour"], {"colour": COLOURS[::-1]})
    less = Signature.of(["age"], ["colour"], {"colour": COLOURS})
    found, rows = described(tmp_path, settings(), SIGNATURE, more, less), drawn(60)
    wide = rows.append_column("height", pa.array(np.ones(60)))
    batches = [
        labeled(wide.slice(0, 20), "v2", signature=more),
        labeled(rows.slice(20, 10), "v3", signature=less),
        labeled(rows.slice(30, 10), signature=SIGNATURE, named=False),
        labeled(rows.slice(40, 10), model="another"),
        _renamed(labeled(rows.slice(50, 10), "v9"), "0" * 16),
    ]
    kept = known(tmp_path, found, *batches)
    assert kept.table.select(["age", "income", "colour"]).to_pylist() == [
        {name: row[name] for name in ("age", "income", "colour")}
        for row in [*rows.to_pylist()[:20], *rows.to_pylist()[30:40]]
    ]
    assert sorted(kept.left_out.values()) == [10, 10]
    assert "lacks a feature" in kept.said
    assert "on no version here" in kept.said


def test_a_category_that_nobody_knows_is_not_guessed(tmp_path):
    found, rows = described(tmp_path, settings(), SIGNATURE), drawn(4)
    rows = rows.set_column(5, "colour", pa.array(["pink", None, "red", "blue"]))
    assert known(tmp_path, found, labeled(rows)).table["colour"].to_pylist() == ["pink", None, "red", "blue"]
    kept = known(tmp_path, found, labeled(rows, named=False))
    assert kept.table["colour"].to_pylist() == [None, "red", "blue"]
    assert "never seen" in kept.said


def test_class_names_are_those_of_the_versions(tmp_path):
    found, rows = described(tmp_path, settings(), SIGNATURE, names=["good", "bad"]), drawn(50)
    odd = labeled(with_outcome(rows.slice(0, 1), [7.0]))
    kept = known(tmp_path, found, labeled(rows.slice(1)), odd)
    expected = ["bad" if each else "good" for each in rows["outcome"].to_pylist()[1:]]
    assert kept.table["outcome"].to_pylist() == expected
    assert "1 left out: the outcome is no class of the model" in kept.said


def test_a_base_comes_before_the_log(tmp_path):
    found, rows = described(tmp_path, settings(base="past.csv"), SIGNATURE), drawn(100)
    csv.write_csv(rows.slice(0, 60).drop_columns(["request_id"]), tmp_path / "m" / "past.csv")
    kept = known(tmp_path, found, labeled(rows.slice(60)))
    assert kept.base.rows == 60
    assert kept.table["request_id"].to_pylist()[:2] == ["base:000000000", "base:000000001"]
    assert kept.table["age"].to_pylist() == rows["age"].to_pylist()
    assert kept.table["segments"].to_pylist()[:1] == [[f"colour={rows['colour'][0]}"]]
    assert split(kept, found).train == 80
    csv.write_csv(rows.select(["age", "income"]), tmp_path / "m" / "past.csv")
    with pytest.raises(TrainingError, match=r"base = 'past.csv': no column event_time"):
        known(tmp_path, found, labeled(rows))
    with pytest.raises(TrainingError, match=r"base: .*gone.csv: cannot be read"):
        known(tmp_path, settings(base="gone.csv"))


def test_the_split_is_by_time_with_a_gap(tmp_path):
    rows = drawn(10)
    rows = rows.set_column(1, "event_time", pa.array([0, 1, 2, 3, 4, 5, 6, 8, 8, 9]))
    found = described(tmp_path, settings(), SIGNATURE)
    kept = known(tmp_path, found, labeled(rows))

    def parts(**training):
        found = split(kept, settings(**training))
        return found.train, found.held_out, found.since

    assert parts(holdout=0.2) == (7, 3, 8)
    assert parts(holdout=0.2, gap=3) == (5, 3, 8)
    with pytest.raises(TrainingError, match="make holdout or gap smaller"):
        parts(gap=9)
    with pytest.raises(TrainingError, match=r"too few rows to train on \(0 rows\)"):
        split(known(tmp_path, found), found)


def test_a_feature_may_not_be_called_as_what_is_beside_the_features(tmp_path):
    with pytest.raises(TrainingError, match="has a feature 'outcome'"):
        known(tmp_path, ModelSettings(name="m", numeric=["outcome"], training=TrainingSettings()))


def _renamed(batch, signature_id):
    """The same rows, scored by a signature of another id."""
    columns = [batch["prediction"].field(at) for at in range(len(batch["prediction"].type))]
    at = batch["prediction"].type.get_field_index("signature")
    columns[at] = pa.array([signature_id] * len(batch))
    new = pa.StructArray.from_arrays(columns, fields=list(batch["prediction"].type))
    return pa.record_batch([new, *batch.columns[1:]], schema=batch.schema)
