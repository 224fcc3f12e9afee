"""A version is made from labeled predictions below a cut, whole or not at all."""

from dataclasses import asdict

from factories import prediction
from leadline.core.reference import ReferenceProfile
from leadline.learning.add import add_described
from leadline.learning.model_files import ModelFiles
from leadline.learning.training import Log, make_candidate
from leadline.learning.training.store import read_rows
from leadline.records import LabeledPrediction
from leadline.wire.decoding import _to_columns
from leadline.wire.single import write_body
from trainings import LABELED, SIGNATURE, drawn, labeled, request, with_model
from trainings import settings as with_settings

QUICK = {"max_iter": 5}


def make(root, settings, rows, *, retrain_id="t1", champion="v1", stop=lambda: False, said=None):
    tell = (lambda _: None) if said is None else said.append
    return make_candidate(root, settings, champion, request(retrain_id), rows, Log({"0": 99}), 7, tell, stop)


def test_rows_here_are_as_the_codec_decodes_them():
    body = write_body("LabeledPrediction", asdict(LabeledPrediction(prediction("r1"), 1.0, 0, 0, 1)))
    assert _to_columns([body], "LabeledPrediction").schema.equals(LABELED)


def test_classes_may_be_words_and_outcomes_numbers(tmp_path):
    rows = drawn(400)
    for name, changes, names in (
        ("words", {"positive": "bad"}, ["good", "bad"]),
        ("numbers", {"task": "regression"}, []),
    ):
        root, settings = tmp_path / name, with_settings(params=QUICK).model_copy(update=changes)
        profile = ReferenceProfile(1, [], {}, classes=[0.0, 1.0] if names else [], class_names=names)
        add_described(root, settings, "v1", SIGNATURE, profile)
        made = make(root, settings, [labeled(rows)])
        loaded = ModelFiles(root).load("m", made.version)
        assert loaded.profile.class_names == names
        assert set(read_rows(made.held_out)["outcome"].to_pylist()) == set(names or [0.0, 1.0])


def test_a_candidate_is_a_version_as_any_and_the_same_request_gives_it_again(tmp_path):
    settings, rows, said = with_model(tmp_path, params=QUICK), drawn(1000), []
    made = make(tmp_path, settings, [labeled(rows.slice(500)), labeled(rows.slice(0, 500))], said=said)
    assert made.version == "v2"
    assert made.metrics["auc"] > 0.6
    loaded = ModelFiles(tmp_path).load("m", "v2")
    assert loaded.profile.predictions == 200
    held_out = read_rows(made.held_out)
    assert held_out["request_id"].to_pylist() == rows["request_id"].to_pylist()[800:]
    assert held_out["champion_score"].null_count == 0
    assert "1,000 rows; 800 to train on, 200 held out" in said[1]
    assert make(tmp_path, settings, [], retrain_id="t1") == made
