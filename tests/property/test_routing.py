"""Who answers which request: shares, stickiness, switches, and that anybody can compute it again from the record."""

import hashlib
from dataclasses import asdict, replace
from runpy import run_path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from leadline.core.processor import Batch
from leadline.core.scoring.routing import Deployed, Deployments, assignments
from leadline.core.scoring.scoring import Scoring
from leadline.core.scoring.shadow import Shadow
from leadline.core.tables import Table
from leadline.records import Assignment, PredictionRequest, Rollout
from leadline.settings import ModelSettings
from pages import ROOT
from stages import Models, records_batch, version

SETTINGS = ModelSettings(name="m", numeric=["x"])
VERSIONS = ("v1", "v2", "v3")


def answers(rollout, request, arrival_ms):
    """Which version answers a request, and in which role: as docs/routing.md says it, for any language."""
    for each in (rollout, *rollout.earlier):  # the newest that held at its arrival; the oldest holds from ever
        if arrival_ms >= each.effective_at:
            break
    who = request.user_id or request.request_id
    digest = hashlib.sha256(each.salt.encode() + b"\0" + who.encode()).digest()
    bucket, above = int.from_bytes(digest[:8], "big") / 2**64, 0.0
    for name in sorted(each.shares):
        above += each.shares[name]
        if bucket < above:
            return name, "challenger"
    return each.champion, "champion"


def sampled(each, request):
    digest = hashlib.sha256(b"sample\0" + each.salt.encode() + b"\0" + request.request_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < each.sample


def test_the_sample_says_the_same():
    sample = run_path(str(ROOT / "samples/python/who_answers.py"))["answers"]
    earlier = [Assignment("v1", 0, {"v2": 0.3}, "b", 1.0, "r")]
    rollout = Rollout("m", "v1", 0, "", "", shares={"v2": 0.2, "v3": 0.4}, salt="a", effective_at=50, earlier=earlier)
    for number in range(300):
        request = PredictionRequest(f"r{number}", "m", 0, {}, user_id=f"u{number}" * (number % 3 > 0))
        said = sample(asdict(rollout), asdict(request), number)
        assert said == answers(rollout, request, number)[0]


class Users:
    """Requests of so many users, one each."""

    def __init__(self, texts):
        self.texts = texts

    def __len__(self):
        return len(self.texts)

    def users(self):
        return self.texts

    def ids(self):
        return self.texts


class Constant:
    def predict(self, matrix, texts=None):
        return np.full(len(matrix), 0.5)


def models(*names):
    return Models(
        {"m": SETTINGS}, {("m", name): replace(version(SETTINGS, name=name), predictor=Constant()) for name in names}
    )


def table_of(*rollouts):
    table = Table()
    for rollout in rollouts:
        table.apply(replace(records_batch("rollouts", [rollout]), keys=[b"m"]))
    return table


def rolled(shares, salt="s", sample=1.0, champion="v1", at=0, earlier=()):
    return Rollout(
        "m",
        champion,
        at,
        "ada",
        "why",
        shares=shares,
        salt=salt,
        sample=sample,
        effective_at=at,
        earlier=list(earlier),
        rollout_id="r",
    )


@pytest.mark.parametrize(
    ("shares", "count"),
    [({"v3": 0.3, "v2": 0.2}, 1_000_000), ({"v2": 0.01}, 100_000), ({"v2": 1 / 3, "v3": 1 / 3}, 100_000)],
)
def test_of_a_million_users_each_version_gets_its_share_and_anybody_finds_each_again(shares, count):
    users = [f"user-{n}" for n in range(count)]
    rollout = rolled(shares, salt="2f1c")
    deployed = Deployed(models(*VERSIONS), Deployments(table_of(rollout)), "m")
    [assignment] = assignments(rollout)
    found = np.full(len(users), "", object)
    for route, rows in deployed.acting(assignment, Users(users)):
        assert not (found[rows] != "").any()
        found[rows] = route.version.version
    names = ["v1", *sorted(shares)]
    expected = [1 - sum(shares.values()), *(shares[name] for name in sorted(shares))]
    counts = [(found == name).sum() for name in names]
    assert sum(counts) == len(users)
    assert chisquare(counts, np.array(expected) * len(users)).pvalue > 0.001
    requests = (PredictionRequest("r", "m", 0, {}, user_id=user) for user in users)
    assert all(answers(rollout, request, 0)[0] == name for request, name in zip(requests, found.tolist(), strict=True))


def test_who_is_in_a_share_is_in_a_larger_one():
    users, before = Users([f"u{n}" for n in range(20_000)]), set()
    for share in (0.01, 0.05, 0.25, 0.5, 1.0):
        deployed = Deployed(models(*VERSIONS), Deployments(table_of(rolled({"v2": share}))), "m")
        found = {
            row
            for route, rows in deployed.acting(assignments(deployed.newest)[0], users)
            if route.role == "challenger"
            for row in rows.tolist()
        }
        assert before <= found
        before = found
    assert len(before) == 20_000


SHARES = st.dictionaries(st.sampled_from(["v2", "v3"]), st.sampled_from([0.0, 0.1, 0.4, 0.5]))
ASSIGNMENTS = st.builds(
    Assignment,
    champion=st.sampled_from(["v1", "v2"]),
    effective_at=st.integers(0, 100),
    shares=SHARES,
    salt=st.sampled_from(["a", "ä"]),
    sample=st.sampled_from([0.0, 0.3, 1.0]),
    rollout_id=st.sampled_from(["", "r1"]),
).map(lambda each: replace(each, shares={name: share for name, share in each.shares.items() if name != each.champion}))
HISTORIES = st.lists(ASSIGNMENTS, min_size=1, max_size=4)
REQUESTS = st.lists(st.tuples(st.sampled_from(["", "u1", "u2", "ü"]), st.integers(-5, 105)), min_size=1, max_size=30)


def rollout_of(history):
    own, *earlier = history
    return Rollout(
        "m", own.champion, 7, "ada", "why", shares=own.shares, salt=own.salt, sample=own.sample, effective_at=own.effective_at,
        earlier=earlier, rollout_id=own.rollout_id,
    )  # fmt: skip


def batch_of(requests, rows, columns):
    made = [PredictionRequest(f"r{row}", "m", row, {"x": 1.0}, user_id=requests[row][0]) for row in rows]
    arrival_ms = np.array([requests[row][1] for row in rows], np.int64)
    keys = [b"r%d" % row for row in rows]
    if not columns:
        return Batch("prediction-requests", 0, np.arange(len(rows)), arrival_ms, keys, len(rows), 0, records=made)
    table = pa.record_batch(
        {
            "request_id": [each.request_id for each in made],
            "model": ["m"] * len(made),
            "user_id": [each.user_id for each in made],
            "event_time": pa.array([each.event_time for each in made], pa.int64()),
            "features": pa.array([[("x", 1.0)]] * len(made), pa.map_(pa.string(), pa.float64())),
            "categories": pa.array([[]] * len(made), pa.map_(pa.string(), pa.string())),
        }
    )
    return Batch("prediction-requests", 0, np.arange(len(rows)), arrival_ms, keys, len(rows), 0, table)


def predictions(effects):
    for output in effects.outputs:
        for row in output.columns.to_pylist() if output.columns is not None else output.records:
            said = row if isinstance(row, dict) else {name: getattr(row, name) for name in row.__slots__}
            yield (
                said["request_id"],
                (output.topic, said["model_version"], said["role"], said["rollout_id"], said["sample"]),
            )


@given(HISTORIES, REQUESTS, st.randoms(use_true_random=False), st.booleans())
def test_a_request_gets_the_same_versions_however_it_is_read(history, requests, random, columns):
    """Cut anywhere, in any order, by a new process each time, again after a crash: as the naive function says."""
    rollout, known = rollout_of(history), models(*VERSIONS)
    rows = [*range(len(requests)), *random.sample(range(len(requests)), len(requests) // 2)]
    random.shuffle(rows)
    acted, shadowed = {}, {}
    while rows:
        part, rows = sorted(rows[: (cut := random.randint(1, 8))]), rows[cut:]
        batch = batch_of(requests, part, columns)
        deployments = Deployments(table_of(rollout))
        for request_id, said in predictions(Scoring(known, deployments).on_batch(batch)):
            acted.setdefault(request_id, set()).add(said)
        for request_id, said in predictions(Shadow(known, deployments).on_batch(batch)):
            shadowed.setdefault(request_id, set()).add(said)
    for row, (user, arrival_ms) in enumerate(requests):
        request = PredictionRequest(f"r{row}", "m", row, {}, user_id=user)
        held = next(
            (each for each in assignments(rollout) if arrival_ms >= each.effective_at), assignments(rollout)[-1]
        )
        who, role = answers(rollout, request, arrival_ms)
        assert acted[f"r{row}"] == {("predictions", who, role, held.rollout_id, held.sample)}
        others = {held.champion, *held.shares} - {who} if held.shares and sampled(held, request) else set()
        expected = {("shadow-predictions", name, "shadow", held.rollout_id, held.sample) for name in others}
        assert shadowed.get(f"r{row}", set()) == expected


@given(HISTORIES, REQUESTS, st.booleans())
def test_the_champion_answers_the_share_of_what_cannot_be_used(history, requests, columns):
    rollout, known = rollout_of(history), models("v1", "v2")
    batch = batch_of(requests, [*range(len(requests))], columns)
    found = dict(predictions(Scoring(known, Deployments(table_of(rollout))).on_batch(batch)))
    for row, (user, arrival_ms) in enumerate(requests):
        request = PredictionRequest(f"r{row}", "m", row, {}, user_id=user)
        held = next(
            (each for each in assignments(rollout) if arrival_ms >= each.effective_at), assignments(rollout)[-1]
        )
        who, role = answers(rollout, request, arrival_ms)
        assert found[f"r{row}"][1:3] == ((held.champion, "champion") if who == "v3" else (who, role))


def test_where_no_version_gets_a_share_nothing_is_hashed(monkeypatch):
    monkeypatch.setattr("leadline.core.scoring.routing.fractions", None)
    for shares in ({}, {"v2": 0.0}):
        scoring = Scoring(models("v1", "v2"), Deployments(table_of(rolled(shares))))
        assert len([*predictions(scoring.on_batch(batch_of([("u", 1)] * 50, [*range(50)], True)))]) == 50


def test_a_table_that_was_compacted_to_its_newest_rollout_says_all():
    first, second = rolled({"v2": 0.5}, at=10), rolled({}, champion="v2", at=20)
    newest = replace(second, earlier=assignments(first))
    requests = [(f"u{n}", arrival_ms) for n in range(20) for arrival_ms in (5, 15, 25)]
    batch = batch_of(requests, [*range(60)], True)
    found = [
        dict(predictions(Scoring(models("v1", "v2"), Deployments(table)).on_batch(batch)))
        for table in (table_of(first, newest), table_of(newest))
    ]
    assert found[0] == found[1]
    assert {said[1] for request_id, said in found[0].items() if int(request_id[1:]) % 3 == 2} == {"v2"}


def test_when_shadows_are_wanted():
    def has_shadows(since_ms, *rollouts):
        return Deployments(table_of(*rollouts)).has_shadows(since_ms)

    shadowed, settled = rolled({"v2": 0.0}, at=10), rolled({}, champion="v2", at=50)
    over = replace(settled, earlier=assignments(shadowed))
    assert not has_shadows(0)
    assert not has_shadows(0, settled)
    assert has_shadows(0, shadowed)
    assert has_shadows(49, over)
    assert not has_shadows(50, over)
