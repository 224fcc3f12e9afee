"""The gate of a version on the disk: what passes, what is stopped and by which name, and what is no evidence."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from sklearn.linear_model import LinearRegression, LogisticRegression

from leadline.learning.add import add_version
from leadline.learning.errors import NotHereError, RegistryError
from leadline.learning.gate import gate_version
from leadline.settings import ModelSettings

DAY = 86_400_000
BASE = {"name": "m", "numeric": ["x", "z"], "segments": ["town"]}


def rows(count=6000, days=30, seed=1, noise=0.3):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=count), rng.normal(size=count)
    town = rng.choice(["oslo", "rome"], count)
    sign = np.where(town == "rome", -1.0, 1.0)
    y = (x + sign * z + rng.logistic(0, noise, count) > 0).astype(float)
    times = np.sort(rng.integers(0, days * DAY, count))
    ids = [f"r{i}" for i in range(count)]
    return pa.table({"x": x, "z": z, "town": town, "outcome": y, "event_time": times, "request_id": ids})


def fitted(kind, table, settings):
    x, z, y, town = (table[name].to_numpy(zero_copy_only=False) for name in ("x", "z", "outcome", "town"))
    z = {"worse": np.zeros_like(z), "rome-worse": z, "good": z}[kind]
    kept = {"rome-worse": town == "oslo"}.get(kind, np.full(len(y), True))
    model = LinearRegression() if settings.task == "regression" else LogisticRegression(C=100)
    return model.fit(np.column_stack([x, z])[kept], y[kept])


@pytest.fixture
def gated(tmp_path):
    """Adds versions by name, and gates one beside another."""

    def run(champion, challenger, settings=None, held=None, candidates=1):
        known = ModelSettings.model_validate(BASE | (settings or {}))
        reference = rows(seed=9)
        for version, kind in {"v1": champion, "v2": challenger}.items():
            if kind is not None and not (tmp_path / "m" / version).exists():
                add_version(tmp_path, known, version, fitted(kind, reference, known), reference, "outcome")
        path = tmp_path / "held.parquet"
        parquet.write_table(rows() if held is None else held, path)
        return gate_version(tmp_path, known, champion and "v1", "v2", path, candidates, 7)

    return run


def outcomes(verdict):
    return {(each.name, each.segment): each.outcome for each in verdict.checks}


def test_one_that_is_better_is_promoted_and_the_same_question_has_the_same_answer(gated):
    held = pa.concat_tables([rows().filter(pa.compute.equal(rows()["town"], "oslo"))])
    verdict = gated("worse", "rome-worse", {"segments": []}, held)
    assert (verdict.verdict, verdict.at, verdict.version, verdict.champion) == ("promote", "gate", "v2", "v1")
    assert outcomes(verdict)["not-worse", "*"] == "passed"
    assert gated("worse", "rome-worse", {"segments": []}, held) == verdict


def test_one_that_is_worse_in_one_segment_only_is_stopped_by_its_name(gated):
    held = rows()
    many = pa.concat_tables([held] + [held.filter(pa.compute.equal(held["town"], "oslo"))] * 6)
    verdict = gated("worse", "rome-worse", held=many)
    assert outcomes(verdict)["not-worse", "*"] == "passed"
    assert verdict.verdict == "reject"
    assert "not-worse town=rome: accuracy" in verdict.reason
    assert outcomes(verdict)["not-worse", "town=oslo"] == "passed"


def test_too_few_days_and_rows_are_no_evidence_and_hold(gated):
    held = rows(days=3)
    verdict = gated("worse", "good", held=held)
    assert verdict.verdict == "hold"
    assert set(outcomes(verdict).values()) == {"passed", "no-evidence"}
    assert "3 days say too little, 5 are needed at a level of 0.05" in verdict.reason
    assert gated("worse", "good", held=held[:50]).verdict == "hold"


def test_more_candidates_ask_for_more(gated):
    held = rows(count=20_000, days=6)
    settings = {"segments": []}
    assert (
        gated("worse", "rome-worse", settings, held.filter(pa.compute.equal(held["town"], "oslo"))).verdict == "promote"
    )
    verdict = gated("worse", "rome-worse", settings, held.filter(pa.compute.equal(held["town"], "oslo")), candidates=20)
    assert verdict.verdict == "hold"
    assert "9 are needed at a level of 0.0025 (0.05 for 20 candidates since the last promotion)" in verdict.reason


def test_a_segment_that_is_too_small_is_listed_and_does_not_hold(gated):
    held = rows(count=20_000)
    towns = pa.array(["bonn"] * 60 + ["oslo"] * (len(held) - 60))
    held = held.set_column(held.column_names.index("town"), "town", towns)
    verdict = gated("worse", "worse", {"gate": {"margin": 0.02}}, held)
    assert verdict.verdict == "promote"
    listed = next(each for each in verdict.checks if each.name == "not-compared")
    assert (listed.segment, listed.outcome) == ("town", "no-evidence")
    assert "1 segments of fewer than 100 rows, 60 rows in all, are not compared: 'town=bonn' (60)" in listed.reason


def test_rows_without_the_column_of_a_segment_hold(gated):
    verdict = gated("worse", "worse", {"gate": {"margin": 0.1}}, rows().drop_columns(["town"]))
    assert verdict.verdict == "hold"
    assert "no column town" in verdict.reason


def test_segments_may_be_named_as_predictions_name_them(gated):
    held = rows()
    named = [[f"town={each}"] if each else None for each in held["town"].to_pylist()[:-200] + [None] * 200]
    held = held.drop_columns(["town"]).append_column("segments", pa.array(named))
    verdict = gated("worse", "worse", {"gate": {"margin": 0.1}}, held)
    assert {each.segment for each in verdict.checks} == {"*", "town=", "town=oslo", "town=rome"}


def test_a_first_champion_needs_no_gate_but_checks_of_its_own_hold(gated):
    assert gated(None, "good").verdict == "promote"
    assert outcomes(gated(None, "good"))["first", "*"] == "passed"
    verdict = gated(None, "good", {"gate": {"size": 10, "latency": 10_000, "calibration_error": 0.9, "max_gap": 0.9}})
    assert verdict.verdict == "reject"
    assert {name: each for (name, _), each in outcomes(verdict).items()} == {
        "golden": "passed", "first": "passed", "order": "passed", "size": "failed", "latency": "passed",
        "calibration": "passed", "alike": "passed",
    }  # fmt: skip


@pytest.mark.parametrize("days", [1, 30])
@pytest.mark.parametrize("champion", [None, "good"])
def test_scores_that_run_the_wrong_way_fail_by_name(gated, champion, days):
    held = rows(days=days)
    turned = held.set_column(held.column_names.index("outcome"), "outcome", pa.compute.subtract(1.0, held["outcome"]))
    verdict = gated(champion, "good", held=turned)
    assert verdict.verdict == "reject"
    assert "order *: scores run the wrong way: auc 0." in verdict.reason
    assert ("order", "*") not in outcomes(gated(champion, "good", held=turned[:50])), "50 rows say nothing of it"


@pytest.mark.parametrize("metric", ["accuracy", "auc", "log_loss", "brier"])
def test_each_metric_of_yes_and_no(gated, metric):
    settings = {"segments": [], "gate": {"metric": metric}}
    held = rows().filter(pa.compute.equal(rows()["town"], "oslo"))
    assert gated("worse", "rome-worse", settings, held).verdict == "promote"


@pytest.mark.parametrize("metric", ["mae", "rmse", None])
def test_each_metric_of_a_regression(gated, metric):
    settings = {"task": "regression", "segments": [], "gate": {"metric": metric} if metric else {}}
    held = rows().filter(pa.compute.equal(rows()["town"], "oslo"))
    assert gated("worse", "rome-worse", settings, held).verdict == "promote"


def test_a_metric_of_another_task_is_no_evidence(gated):
    verdict = gated("worse", "good", {"gate": {"metric": "rmse"}})
    assert verdict.verdict == "hold"
    assert "rmse is no metric of a binary model" in verdict.reason


def test_a_row_that_the_challenger_does_not_score_stops_it(gated):
    held = rows().set_column(0, "x", pa.array([None] * 3 + rows()["x"].to_pylist()[3:], pa.float64()))
    verdict = gated("worse", "worse", {"missing": "nan", "gate": {"margin": 0.1}}, held)
    assert outcomes(verdict)["scored", "*"] == "passed"  # neither scores them


OWN = """
import os, signal, sys, threading, time
from leadline.records import Check

def ok(name="ok"):
    return Check(name, "*", 1.0, None, "passed", "good")
def profit(held, champion, challenger):
    assert (held.num_rows, len(champion), len(challenger)) == (6000, 6000, 6000)
    champion[:] = challenger[:] = 0.0
    threading.Thread(target=time.sleep, args=(10_000,)).start()
    print("it prints", flush=True)
    return [Check("profit", "*", 1.0, 0.0, "passed", "it earns 1"), Check("loss", "", 2, 1, "failed", "it loses 2 \\ud800")]
def unchanged(held, champion, challenger):
    return Check("unchanged", "*", challenger.std(), None, "passed" if challenger.std() > 0 else "failed", "")
def broken(*_): 1 / 0
def nothing(*_): return []
def other(*_): return Check("other", "*", float("nan"), None, "passed", "good")
def wrong(*_): return Check("wrong", "*", 1.0, None, "fine", "good")
def ends(*_): sys.exit(0)
def at_once(*_): os._exit(0)
def killed(*_): os.kill(os.getpid(), signal.SIGSEGV)
def hangs(*_): time.sleep(10_000)
def unseen(*_): return Check("not-compared", "*", 1.0, None, "failed", "it loses")
"""


@pytest.fixture
def own(monkeypatch, tmp_path):
    """A module with checks of the user's own."""
    (tmp_path / "own_checks.py").write_text(OWN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("own")
def test_checks_of_ones_own(gated, capfd):
    lost = "broken nothing wrong gone ends at_once killed unseen".split()
    named = [f"own_checks:{each}" for each in ("profit", "unchanged", "other", *lost)]
    verdict = gated("worse", "worse", {"gate": {"margin": 0.1, "checks": [*named, "no-such-module"]}})
    found = {name: each for (name, _), each in outcomes(verdict).items()}
    assert (found["profit"], found["loss"], found["unchanged"]) == ("passed", "failed", "passed")
    for each in ("other", *(f"own_checks:{each}" for each in lost), "no-such-module"):
        assert found[each] == "no-evidence"
    why = {each.name.removeprefix("own_checks:"): each.reason for each in verdict.checks}
    assert "SystemExit: 0" in why["ends"]
    assert "without an answer (SIGSEGV)" in why["killed"]
    assert why["loss"].isascii()
    assert verdict.verdict == "reject"
    out, err = capfd.readouterr()
    assert ("it prints" in out, "it prints" in err) == (False, True)


@pytest.mark.usefixtures("own")
def test_a_check_that_hangs_is_ended(gated):
    verdict = gated("worse", "worse", {"gate": {"checks": ["own_checks:hangs"]}, "training": {"timeout": "1s"}})
    assert outcomes(verdict)["own_checks:hangs", "*"] == "no-evidence"
    assert "it took longer than 1 s" in verdict.checks[-1].reason


def test_what_cannot_be_read_is_one_line(gated, tmp_path):
    with pytest.raises(RegistryError, match=r"held\.parquet: no column z; it has"):
        gated("worse", "worse", held=rows().drop_columns(["z"]))
    with pytest.raises(RegistryError, match=r"held\.parquet: column 'outcome' has '7' in row 1, which is no class"):
        gated("worse", "worse", held=rows().set_column(3, "outcome", pa.array([7] * 6000)))
    with pytest.raises(RegistryError, match=r"held\.parquet: it has no rows"):
        gated("worse", "worse", held=rows()[:0])
    with pytest.raises(NotHereError):
        gate_version(tmp_path, ModelSettings.model_validate(BASE), "v1", "v9", tmp_path / "held.parquet", 1, 0)


def test_versions_that_cannot_be_served(gated, tmp_path):
    gated("worse", "good")
    champion = tmp_path / "m" / "v1" / "golden.json"
    champion.write_bytes(champion.read_bytes().replace(b"0.", b"0.1"))
    verdict = gated("worse", "good")
    assert verdict.verdict == "hold"
    assert "the champion v1 cannot be served" in verdict.reason
    (tmp_path / "m" / "v2" / "model.skops").write_bytes(b"no model")
    verdict = gated("worse", "good")
    assert verdict.verdict == "reject"
    assert "it cannot be served" in verdict.reason
