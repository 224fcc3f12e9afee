"""Who answers, by the table of rollouts."""

from dataclasses import replace

import numpy as np

from leadline.core.models import Models as ModelsProtocol
from leadline.core.scoring.routing import Deployed, Deployments
from leadline.core.scoring.scoring import Scoring
from leadline.core.scoring.shadow import Shadow
from leadline.core.tables import HISTORY, Table
from leadline.records import Assignment, PredictionRequest, Rollout
from leadline.settings import ModelSettings
from stages import Models, records_batch, roll_out, rolled_out, version

SETTINGS = ModelSettings(name="m")


class Half:
    def predict(self, matrix, texts=None):
        return np.full(len(matrix), 0.5)


class Counting(Models):
    """Counts how often it is asked for a version."""

    asked = came = 0

    def fetched(self):
        return self.came

    def loaded(self, model, version, rolled_out_ms):
        self.asked += 1
        return super().loaded(model, version, rolled_out_ms)


def models(*versions):
    known = {("m", name): version(SETTINGS, name=name) for name in versions}
    for each in known.values():
        object.__setattr__(each, "predictor", Half())
    return Counting({"m": SETTINGS}, known)


def test_nobody_answers_before_the_first_rollout():
    deployments = Deployments(Table())
    assert deployments.champion("m") is None
    assert deployments.newest("m") is None
    assert Deployed(models("v1"), deployments, "m").load() is None


def test_who_answered_just_before_a_time():
    table = Table()
    for name, arrival_ms in (("v1", 10), ("v2", 20), ("v1", 20), ("v3", 30)):
        roll_out(table, "m", name, arrival_ms)
    roll_out(table, "n", "v7", 5)
    champions = [Deployments(table).champion("m", before_ms) for before_ms in (10, 11, 20, 21, 30, 31, None)]
    assert champions == [None, "v1", "v1", "v1", "v1", "v3", "v3"]
    assert Deployments(table).champion("n") == "v7"


def test_the_log_s_order_counts_where_arrival_times_fall_back():
    table = Table()
    for name, arrival_ms in (("v1", 10), ("v2", 30), ("v3", 20)):
        roll_out(table, "m", name, arrival_ms)
    assert [Deployments(table).champion("m", before_ms) for before_ms in (15, 25, 35)] == ["v1", "v3", "v3"]


def test_a_table_remembers_so_many():
    table = Table()
    for number in range(HISTORY + 5):
        roll_out(table, "m", f"v{number}", number)
    assert [each.champion for each in Deployments(table).newest_first("m")][-1] == "v5"


def test_of_what_cannot_be_loaded_the_one_before_goes_on():
    table = rolled_out(m="v1")
    for name in ("not-here", "neither"):
        roll_out(table, "m", name)
    known: ModelsProtocol = models("v1", "v2")
    assert Deployed(known, Deployments(table), "m").load().version == "v1"
    roll_out(table, "m", "v2")
    assert Deployed(known, Deployments(table), "m").load().version == "v2"


def test_scoring_asks_again_only_after_another_rollout():
    table, known = rolled_out(m="v1"), models("v1", "v2")
    scoring = Scoring(known, Deployments(table))
    assert [scored(scoring) for _ in range(3)] == ["v1"] * 3
    assert known.asked == 1
    roll_out(table, "m", "v2")
    assert [scored(scoring) for _ in range(3)] == ["v2"] * 3
    roll_out(table, "m", "not-here")
    assert [scored(scoring) for _ in range(3)] == ["v2"] * 3
    assert known.asked == 4


def test_what_could_not_be_fetched_answers_when_it_has_come():
    table, known = rolled_out(m="v1"), models("v1")
    roll_out(table, "m", "v2")
    scoring = Scoring(known, Deployments(table))
    assert [scored(scoring) for _ in range(3)] == ["v1"] * 3
    asked = known.asked
    known.versions |= models("v2").versions
    assert [scored(scoring) for _ in range(3)] == ["v1"] * 3
    assert known.asked == asked, "nobody asks before something has come"
    known.came = 1
    assert [scored(scoring) for _ in range(3)] == ["v2"] * 3
    known.came = 2
    assert scored(scoring) == "v2"
    assert known.asked == asked + 1, "nothing is missing any more"


def scored(scoring):
    request = PredictionRequest("r", "m", 0, {})
    [output] = scoring.on_batch(records_batch("prediction-requests", [request])).outputs
    [prediction] = output.records
    assert prediction.role == "champion"
    return prediction.model_version


def test_of_a_run_across_a_night_what_came_before_it_is_answered_first():
    """Else the join has forgotten the windows of the evening when the answers of the second version come."""
    night, before = SETTINGS.horizon + 1, Assignment("v1", 0, {"v2": 0.5}, "a", 1.0, "r")
    table = Table()
    made = Rollout(
        "m", "v1", 5, "ada", "why", shares={"v2": 0.5}, salt="b", effective_at=50, rollout_id="r", earlier=[before]
    )
    table.apply(replace(records_batch("rollouts", [made]), keys=[b"m"]))
    requests = [PredictionRequest(f"r{number}", "m", 0, {}) for number in range(100)]
    arrivals = np.concatenate([np.arange(80), night + np.arange(80, 100)])
    batch = replace(records_batch("prediction-requests", requests), arrival_ms=arrivals)
    for stage in (Scoring, Shadow):
        outputs = stage(models("v1", "v2"), Deployments(table)).on_batch(batch).outputs
        sent = np.concatenate([each.arrival_ms for each in outputs])
        assert sorted(sent) == sorted(arrivals)
        assert (sent[:80] < night).all()
        assert len({each.records[0].model_version for each in outputs}) == 2
