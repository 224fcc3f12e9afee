"""The reference of a replay: which columns are features, what each version is watched by, and what is refused."""

import numpy as np
import pyarrow as pa
import pytest

from leadline.learning.add import add_described
from leadline.learning.errors import RegistryError
from leadline.learning.model_files import ModelFiles
from leadline.replay.errors import LogError
from leadline.replay.logs import read_logs
from leadline.replay.reference import Watched
from leadline.settings import ModelSettings

SETTINGS = ModelSettings(name="m", window=86_400_000)
REFERENCE = """request_id,event_time,model_version,score,label_pred,segment,label
r1,2020-01-01T00:00:00Z,v1,0.9,1,north,1
r2,2020-01-01T12:00:00Z,v1,0.2,0,south,1
r3,2020-01-02T00:00:00Z,v1,0.1,0,north,0
r9,2020-01-02T00:00:00Z,v2,0.5,1,north,1
"""
FEATURES = """request_id,event_time,label,segment,age,code,colour
r3,x,,north,30,7,red
r1,x,1,north,,8,green
r2,x,1,south,50.5,False,red
p1,x,1,south,60,x,blue
"""
PREDICTIONS = """request_id,event_time,model_version,score,label_pred,segment,arrival_time
p1,2020-02-01T00:00:00Z,v1,0.9,1,north,2020-02-01T00:00:01Z
p2,2020-02-01T00:00:00Z,v1,0.9,1,north,2020-02-01T00:00:02Z
p1,2020-02-01T00:00:00Z,v3,0.9,1,north,2020-02-01T00:00:03Z
"""
OUTCOMES = "request_id,outcome,outcome_time,arrival_time\np1,1,2020-02-01T01:00:00Z,2020-02-01T01:00:00Z\n"


def files(folder, **texts):
    made = {"reference": REFERENCE, "features": FEATURES, "predictions": PREDICTIONS, "outcomes": OUTCOMES} | texts
    for name, text in made.items():
        (folder / f"{name}.csv").write_text(text)
    return [folder / f"{name}.csv" for name in made]


def watched(folder, settings=SETTINGS, **texts):
    reference, features, *_ = files(folder, **texts)
    return Watched.read(reference, features, settings, None)


def test_columns_of_numbers_are_numeric_unless_the_settings_say_otherwise(tmp_path):
    found = watched(tmp_path)
    assert (found.features.numeric, found.features.categorical) == (["age"], ["code", "colour"])
    listed = watched(tmp_path, ModelSettings(name="m", window=1, categorical=["age"]))
    assert (listed.features.numeric, listed.features.categorical) == ([], ["age"])


def test_each_version_has_its_own_reference(tmp_path):
    first, second = watched(tmp_path).versions
    assert (first.version, first.profile.predictions, second.version, second.profile.predictions) == ("v1", 3, "v2", 1)
    assert first.signature.categories["colour"] == ["red", "green"]
    assert [(each.segment, each.predictions) for each in first.profile.segments] == [
        ("*", 3),
        ("north", 2),
        ("south", 1),
    ]
    assert first.profile.segments[0].windows == [[1577836800000, 2, 1.0], [1577923200000, 1, 1.0]]
    assert [each.predictions for each in first.profile.windows] == [2, 1]


def test_predictions_get_the_features_of_their_request(tmp_path):
    reference, features, predictions, outcomes = files(tmp_path)
    known = Watched.read(reference, features, SETTINGS, None)
    log, _ = read_logs(predictions, outcomes, "m", "binary", None, known)
    rows = log.columns["features"].to_pylist()
    assert rows[0] == [60.0, -1.0, -1.0]
    assert np.isnan(rows[1]).all()
    assert rows[2] == []
    assert log.columns["signature"].to_pylist() == [known.versions[0].signature.id] * 2 + [""]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"features": "request_id,age\nr1,1\n"}, "has no column segment"),
        ({"features": FEATURES + "r1,x,,north,1,1,red\n"}, "is there twice"),
        ({"reference": REFERENCE.replace("0.2,0,south,1", "0.2,0,south,")}, "label, row 2: is missing"),
        ({"reference": REFERENCE.replace("0.2,0", "nan,0")}, "score, row 2: is missing or not finite"),
        ({"reference": REFERENCE.replace("label\n", "truth\n")}, "label"),
        ({"reference": REFERENCE.replace("south,1", "south,2")}, "labels are"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, texts, said):
    with pytest.raises(LogError, match=said) as found:
        watched(tmp_path, **texts)
    assert "\n" not in str(found.value)


def test_without_features_only_the_score_is_watched(tmp_path):
    reference, *_ = files(tmp_path)
    [first, _] = Watched.read(reference, None, SETTINGS, None).versions
    assert [each.name for each in first.profile.features] == ["score"]


def test_a_described_version_is_watched_and_never_served(tmp_path):
    known = watched(tmp_path)
    first = known.versions[0]
    add_described(tmp_path / "models", known.settings(SETTINGS), "v1", first.signature, first.profile)
    assert ModelFiles(tmp_path / "models").describe("m", "v1").profile == first.profile
    with pytest.raises(RegistryError, match="has no model"):
        ModelFiles(tmp_path / "models").load("m", "v1")
    assert pa.types.is_string(known.features.ids.type)
