"""Whatever the partitions, cuts, corrections and pieces: a chain learns each request once, with its first label, in label order."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainings
from leadline.learning.online import LABELED_AT
from leadline.learning.training import TrainingError
from leadline.learning.training.chain import Chain
from leadline.learning.training.label_order import taken_rows
from leadline.learning.training.store import TrainingSets, write_rows

COUNT = 60


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    trainings.with_model(folder)
    return folder


def log_of(requests, outcomes, partitions, times):
    """Labeled predictions of these requests, in the order in which they came; a request has one partition."""
    table = trainings.drawn(COUNT)
    table = table.take(pa.array(requests)).set_column(2, "outcome", pa.array(outcomes, pa.float64()))
    batch = trainings.labeled(table)
    of = np.array(partitions)[np.array(requests)]
    offsets = np.zeros(len(of), np.int64)
    for each in set(of.tolist()):
        offsets[of == each] = np.arange((of == each).sum())
    for name, values in {"partition": of, "offset": offsets, "arrival_ms": np.array(times)}.items():
        batch = batch.append_column(name, pa.array(values, pa.int64()))
    return batch


def read(log, cut, size, start):
    """As the trainer reads the log: partition by partition, in pieces."""
    for each in sorted(cut, key=lambda each: (int(each) + start) % 3):
        mine = (log["partition"].to_numpy() == int(each)) & (log["offset"].to_numpy() < cut[each])
        found = log.filter(pa.array(mine))
        yield from (found.slice(at, size) for at in range(0, len(found), size))


@st.composite
def worlds(draw):
    count = draw(st.integers(20, 90))
    requests = draw(st.lists(st.integers(0, COUNT - 1), min_size=count, max_size=count))
    outcomes = draw(st.lists(st.sampled_from([0.0, 1.0, None, 7.0]), min_size=count, max_size=count))
    partitions = draw(st.lists(st.integers(0, 2), min_size=COUNT, max_size=COUNT))
    times = draw(st.lists(st.integers(0, 30), min_size=count, max_size=count))
    steps = draw(st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=4))
    return log_of(requests, outcomes, partitions, times), steps, draw(st.integers(1, 40)), draw(st.integers(0, 2))


@settings(max_examples=80, deadline=None)
@given(worlds())
def test_a_chain_learns_each_request_once_in_order(root, world):
    log, steps, size, start = world
    model = trainings.settings(holdout=0.3)
    ends = {str(each): int((log["partition"].to_numpy() == each).sum()) for each in range(3)}
    cuts = [{str(at): int(share * ends[str(at)]) for at, share in enumerate(step)} for step in steps]
    cuts = [{at: max(each[at] for each in cuts[: number + 1]) for at in ends} for number in range(len(cuts))] + [ends]
    with tempfile.TemporaryDirectory() as folder:
        chain, learned = Chain(), []
        for cut in cuts:
            try:
                found = taken_rows(root, model, "v1", read(log, cut, size, start), cut, chain, lambda: None)
            except TrainingError:
                continue
            again = taken_rows(root, model, "v1", read(log, cut, 7, 0), cut, chain, lambda: None)
            assert (found.found.digest, found.parts, found.online) == (again.found.digest, again.parts, again.online)
            table = found.found.table
            assert table[LABELED_AT].to_pylist() == sorted(table[LABELED_AT].to_pylist())
            rows = table.slice(0, found.parts.train)
            learned += zip(rows["request_id"].to_pylist(), rows["outcome"].to_pylist(), strict=True)
            path = TrainingSets(Path(folder), "m").path(found.found.digest)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_rows(path, table)
            write_rows(path.with_suffix(".held-out"), table.slice(found.parts.train))
            sets = [*chain.sets, (path, path.with_suffix(".held-out"))]
            chain = Chain(f"v{chain.number}", chain.number + 1, found.online.end, sets)
            assert dict(learned) == firsts(log, found.online.end)
        assert len(learned) == len(dict(learned))


def firsts(log, ends):
    """By hand: the first usable label of each request before these offsets."""
    found = {}
    rows = log.select(["partition", "offset", "outcome"]).to_pylist()
    requests = log["prediction"].field("request_id").to_pylist()
    for row, request in zip(rows, requests, strict=True):
        if row["offset"] < ends[str(row["partition"])] and row["outcome"] in (0.0, 1.0):
            found.setdefault(request, row["outcome"])
    return found
