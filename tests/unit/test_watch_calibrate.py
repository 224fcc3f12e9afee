"""What settings would have cost on a reference, against a naive simulation; and the command."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from commands import run
from leadline.core.models import Signature
from leadline.core.reference import FeatureProfile, FeatureWindow, ReferenceProfile, SegmentReference
from leadline.core.watch import trial
from leadline.core.watch.confirmed import Scale
from leadline.core.watch.own_stream import Change, OwnStream
from leadline.core.watch.yardstick import yardstick
from leadline.learning.add import add_described
from leadline.learning.toml import settings_toml
from leadline.settings import ModelSettings

DAY = 86_400_000
FALLS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)


def settings(**more):
    return ModelSettings.model_validate({"name": "m", "window": DAY, "horizon": 2 * DAY, "grace": 0} | more)


def features(rng, moved=(), windows=30):
    """Windows of one feature in four bins, then its missing ones; in ``moved`` it is distributed otherwise."""
    usual, other = [0.25, 0.25, 0.25, 0.25, 0], [0.05, 0.05, 0.1, 0.8, 0]
    rows = [rng.multinomial(400, other if i in moved else usual).tolist() for i in range(windows)]
    counts = np.sum(rows, axis=0).tolist()
    profile = FeatureProfile("x", "numeric", counts, [0.0, 1.0, 2.0], [])
    score = FeatureProfile("score", "score", counts, [0.0, 1.0, 2.0], [])
    return [profile, score], [FeatureWindow(i * DAY, 400, [row, row]) for i, row in enumerate(rows)]


def reference(rng, share=0.9, size=300, windows=30, varying=0.0, names=(), moved=()):
    """A reference whose windows have shares that vary; of segments each window has an equal part."""
    found, total = {}, {}
    for name in names or ("*",):
        shares = np.clip(share + varying * rng.standard_normal(windows), 0, 1)
        found[name] = [[i * DAY, size, int(rng.binomial(size, each))] for i, each in enumerate(shares)]
    if names:
        total["*"] = [[i * DAY, size * len(names), sum(found[name][i][2] for name in names)] for i in range(windows)]
    segments = [
        SegmentReference(name, sum(r[1] for r in rows), {"accuracy": sum(r[2] for r in rows) / sum(r[1] for r in rows)}, rows)
        for name, rows in (total | found).items()
    ]  # fmt: skip
    profiles, own = features(rng, moved, windows)
    return ReferenceProfile(size * windows, profiles, segments[0].metrics, [], DAY, own, segments)


def of_errors(rng, windows=30, size=300):
    """A reference of a regression, with errors of about 1."""
    rows = []
    for i in range(windows):
        error = np.abs(rng.normal(size=size))
        rows.append([i * DAY, size, float(error.sum()), float((error**2).sum())])
    mae = sum(row[2] for row in rows) / (size * windows)
    profiles, own = features(rng, windows=windows)
    whole = SegmentReference("*", size * windows, {"mae": mae, "rmse": 1.0}, rows)
    return ReferenceProfile(size * windows, profiles, whole.metrics, [], DAY, own, [whole])


def scale_of(profile, known):
    yard = yardstick(profile, known)
    assert yard is not None
    return Scale(yard, known)


def naive(counts, profile, margin, c):
    """The first window in which a fall is told, by the formulas alone: one number after the other."""
    rows = [(n, right) for _, n, right in profile.segments[0].windows]
    total, share = sum(n for n, _ in rows), sum(right for _, right in rows) / sum(n for n, _ in rows)
    k = len(rows)
    phi = sum(n * (right / n - share) ** 2 for n, right in rows) / ((k - 1) * share * (1 - share))
    size = (total - sum(n * n for n, _ in rows) / total) / (k - 1)
    rho = min(1.0, max(0.0, (phi * (k - 1) / stats.chi2.ppf(0.05, k - 1) - 1) / (size - 1)))
    known = total / max(1.0, phi)
    limit = stats.beta.ppf(0.1, share * known, known - share * known + 1) - margin
    evidence = [1.0] * len(FALLS)
    for number, (n, right) in enumerate(counts, 1):
        for i, fall in enumerate(FALLS):
            other = limit - fall
            log_l = right * math.log(other / limit) + (n - right) * math.log((1 - other) / (1 - limit))
            evidence[i] = max(evidence[i], 1.0) * math.exp(log_l / max(1.0, 1 + (n - 1) * rho))
        if sum(evidence) / len(evidence) >= c:
            return number
    return None


@pytest.mark.parametrize("varying", [0.0, 0.03])
@pytest.mark.parametrize("change", [Change(0.05), Change(0.1, 0.5), Change(0.2)], ids=str)
def test_a_fall_is_seen_when_a_naive_simulation_of_the_formulas_sees_it(varying, change):
    profile, known, draws = reference(np.random.default_rng(3), varying=varying), settings(), 5
    stream, rng = OwnStream.of(profile, known), np.random.default_rng(8)
    expected = []
    for _ in range(draws):
        blocks = stream.drawn(rng, trial.MOST_WINDOWS, change)
        counts = ((each.matched, each.tn) for each in (block.counts()["*"] for block in blocks))
        expected.append(naive(counts, profile, known.alerts.margin, 60))
    found = trial._seen(scale_of(profile, known), stream, np.random.default_rng(8), draws, change)
    seen = sorted(each for each in expected if each is not None)
    assert found.share == len(seen) / draws
    assert found.windows == (seen[draws // 2] if len(seen) > draws // 2 else None)
    assert found.ms == (None if found.windows is None else found.windows * DAY + known.horizon)


def test_what_is_drawn_has_the_fall_and_the_labels_that_were_asked_for():
    profile = reference(np.random.default_rng(1), names=("a=1", "a=2", "a=3"))
    stream, whole = OwnStream.of(profile, settings()), np.zeros(3)
    for block in stream.drawn(np.random.default_rng(2), 300, Change(0.1, 0.5)):
        counts = block.counts()
        parts = [counts[name] for name in ("a=1", "a=2", "a=3")]
        assert counts["*"].tn == sum(each.tn for each in parts)
        assert counts["*"].matched == sum(each.matched for each in parts)
        whole += counts["*"].predictions, counts["*"].matched, counts["*"].tn
    assert whole[1] / whole[0] == pytest.approx(0.5, abs=0.01)
    assert whole[2] / whole[1] == pytest.approx(stream.share - 0.1, abs=0.01)


@pytest.mark.parametrize("varying", [0.0, 0.03])
def test_without_a_fall_there_are_no_more_incidents_than_the_budget_allows(varying):
    found = trial.try_settings(
        reference(np.random.default_rng(5), varying=varying), settings(), np.random.default_rng(1), 2
    )
    cost = found.performance.drawn
    assert (cost.blocks, cost.allowed) == (400, pytest.approx(400 * 0.5 / 30))
    assert cost.incidents <= stats.poisson.ppf(0.999, cost.allowed)
    assert found.performance.replayed[::2] == (0, 30)
    falls = found.performance.falls
    assert [each[:2] for each in falls] == [(fall, labels) for fall in (0.02, 0.05, 0.1, 0.2) for labels in (1.0, 0.5)]
    assert falls[6].windows <= falls[4].windows


def test_a_wider_margin_sees_less_and_a_smaller_budget_later():
    profile, rng = reference(np.random.default_rng(5)), np.random.default_rng
    usual = trial.try_settings(profile, settings(), rng(1), 1).performance
    wide = trial.try_settings(profile, settings(alerts={"margin": 0.15}), rng(1), 1).performance
    strict = trial.try_settings(profile, settings(alerts={"false_alarms": "1 per 3000d"}), rng(1), 1).performance
    assert (usual.falls[4].windows is None, wide.falls[4].windows) == (False, None)
    assert strict.falls[2].windows > usual.falls[2].windows


def test_windows_of_the_reference_that_differ_from_the_rest_are_told_as_drift():
    rng = np.random.default_rng(4)
    usual = trial.try_settings(reference(rng), settings(), rng, 1)
    moved = trial.try_settings(reference(rng, moved=(26, 27, 28, 29)), settings(), rng, 1)
    assert (usual.drift.incidents, usual.own_windows) == (0, True)
    assert moved.drift.incidents == 1
    assert usual.drift.allowed == pytest.approx(0.2)


def test_errors_that_grow_are_seen():
    known = settings(task="regression", alerts={"metric": "mae"})
    found = trial.try_settings(of_errors(np.random.default_rng(2)), known, np.random.default_rng(1), 1).performance
    assert (found.error_rate, found.replayed.incidents) == ("proven", 0)
    assert found.falls[6].windows is not None
    assert found.falls[0].windows is None


def test_a_cycle_is_drawn_as_a_whole():
    found = trial.try_settings(
        reference(np.random.default_rng(2), windows=28),
        settings(alerts={"cycle": 7 * DAY}),
        np.random.default_rng(1),
        3,
    ).performance
    assert (found.replayed.blocks, found.drawn.blocks) == (4, 3 * 28)
    assert found.falls[6].windows % 7 == 0


@pytest.mark.parametrize("metric", ["auc", "precision", "mae"])
def test_a_metric_that_the_windows_do_not_hold_is_not_tried_and_drift_is(metric):
    found = trial.try_settings(
        reference(np.random.default_rng(2)), settings(alerts={"metric": metric}), np.random.default_rng(1), 1
    )
    assert (found.performance, metric in found.why, found.drift.blocks) == (None, True, 30)


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A folder of models, which knows no Kafka: versions that answer elsewhere."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.setenv("LEADLINE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("COLUMNS", "120")

    def add(profile, known):
        add_described(tmp_path / "models", known, "v1", Signature.of(["x"], [], {}), profile)
        (tmp_path / "models" / known.name / "model.toml").write_text(settings_toml(known))

    return add


def test_the_command_says_what_settings_would_have_cost_beside_those_that_are_tried(models, capsys):
    models(reference(np.random.default_rng(5)), settings(numeric=["x"]))
    asked = ["watch", "calibrate", "m", "v1", "alerts.margin=0.15", "--draws", "1"]
    assert run([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in told["trials"]] == ["as set", "alerts.margin=0.15"]
    assert [each["settings"]["alerts"]["margin"] for each in told["trials"]] == [0.02, 0.15]
    first, second = (each["performance"]["falls"][4] for each in told["trials"])
    assert (first["fall"], first["windows"] is None, second["windows"]) == (0.1, False, None)
    assert run([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told
    assert run(asked) == 0
    shown = capsys.readouterr().out
    assert "10 points worse" in shown
    assert "not in 200 windows" in shown


def test_the_watch_part_of_another_file_is_tried(models, tmp_path, capsys):
    models(of_errors(np.random.default_rng(5)), settings(numeric=["x"], task="regression", alerts={"metric": "mae"}))
    (tmp_path / "new.toml").write_text('name = "other"\nhorizon = "9d"\n[alerts]\nmetric = "rmse"\n')
    assert (
        run(["watch", "calibrate", "m", "v1", "--settings", str(tmp_path / "new.toml"), "--draws", "1", "--json"]) == 0
    )
    _, tried = json.loads(capsys.readouterr().out)["trials"]
    assert (tried["name"], tried["settings"]["alerts"]["metric"]) == ("new.toml", "rmse")
    assert tried["performance"]["reference"] == 1.0


def test_a_reference_without_times_is_refused(models, capsys):
    whole = reference(np.random.default_rng(5))
    models(ReferenceProfile(whole.predictions, whole.features, whole.metrics), settings(numeric=["x"]))
    assert run(["watch", "calibrate", "m", "v1"]) == 1
    assert "--time COLUMN" in capsys.readouterr().err
