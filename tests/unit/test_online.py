"""Models that learn label by label: each row once, in label order, by a chain of snapshots that can be learned again."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from leadline.learning.add import read_reference
from leadline.learning.limits import RIVER
from leadline.learning.model_files import ModelFiles
from leadline.learning.toml import settings_toml
from leadline.learning.training import Log as Cut
from leadline.learning.training import TrainingError, make_candidate
from leadline.learning.training.forget import forget
from leadline.learning.training.receipt import read_receipt
from leadline.learning.training.verify import verify
from trainings import Log, drawn, labeled, request, with_model

SAMPLE = Path(__file__).parents[2] / "samples" / "online" / "recipes.py"
RECIPES = """
from river import tree


def trees(params, seed):
    return tree.HoeffdingTreeClassifier(**params)


def no_river(params):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()
"""
HOUR = 3_600_000


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    folder = tmp_path_factory.mktemp("code")
    (folder / "online_recipes.py").write_text(SAMPLE.read_text("utf-8") + RECIPES, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield folder


def logged(batch, partitions=3, arrival=None):
    """As the trainer reads them: with their places in the log, partition by partition, in pieces."""
    count = len(batch)
    arrival = np.asarray(batch["prediction"].field("event_time")) + 5 * HOUR if arrival is None else arrival
    partition = np.arange(count) % partitions
    offset = np.arange(count) // partitions
    for name, values in {"partition": partition, "offset": offset, "arrival_ms": arrival}.items():
        batch = batch.append_column(name, pa.array(values, pa.int64()))
    return batch


def pieces(log, cut, size=70):
    """Of each partition what is before the cut."""
    found = []
    for each in np.unique(log["partition"].to_numpy()).tolist():
        mine = log.filter(pa.array((log["partition"].to_numpy() == each) & (log["offset"].to_numpy() < cut[str(each)])))
        found += [mine.slice(at, size) for at in range(0, len(mine), size)]
    return found


def made(root, found, log, cut, retrain_id, champion="v1", **other):
    return make_candidate(
        root,
        found,
        champion,
        request(retrain_id),
        pieces(log, cut, **other),
        Cut(cut),
        7,
        lambda _: None,
        lambda: False,
    )


def cuts(*ends):
    return [{str(each): end for each in range(3)} for end in ends]


@pytest.mark.parametrize("recipe", ["build", "trees"])
def test_a_chain_of_snapshots_learns_each_row_once_and_can_be_learned_again(tmp_path, code, recipe):
    found = with_model(tmp_path, recipe=f"online_recipes:{recipe}", online=True)
    log = logged(labeled(drawn(900)))
    rows = []
    for number, cut in enumerate(cuts(150, 300), 1):
        version = made(tmp_path, found, log, cut, f"t{number}").version
        receipt, _ = read_receipt(tmp_path, "m", version)
        assert (receipt.online.number, receipt.online.before) == (number, f"v{number}" if number > 1 else "")
        assert receipt.metrics["prequential_accuracy"] > 0.5
        table = read_reference(tmp_path / "m" / ".training-sets" / f"{receipt.data.digest}.parquet")
        rows += table["request_id"].to_pylist()[: receipt.data.train_rows]
        checked = verify(tmp_path, "m", version, Log(list(pieces(log, cut, size=33))))
        assert (checked.outcome, checked.log, checked.differs) == ("reproduced", "same rows", [])
    assert rows == [f"r{at:07}" for at in range(len(rows))]
    assert len(rows) > 700
    loaded = ModelFiles(tmp_path).load("m", "v3")
    assert json.loads((tmp_path / "m" / "v3" / "served.json").read_text())["form"] == "rows"
    assert (tmp_path / "m" / "v3" / RIVER).is_file()
    assert loaded.takes_missing.all()


def test_a_training_that_was_begun_again_gives_the_same_snapshots(tmp_path, code):
    log = logged(labeled(drawn(600)))
    files = []
    for name in ("one", "other"):
        root = tmp_path / name
        found = with_model(root, recipe="online_recipes:build", online=True)
        for number, cut in enumerate(cuts(80, 160), 1):
            if number == 2 and name == "other":  # killed at each step that it says, and begun again from the same cut
                stops_at_each_step(root, found, log, cut, f"t{number}")
            made(root, found, log, cut, f"t{number}", size=40 if name == "other" else 70)
        assert ModelFiles(root).versions("m") == ["v1", "v2", "v3"]
        files.append([(root / "m" / each / RIVER).read_bytes() for each in ("v2", "v3")])
    assert files[0] == files[1]


def stops_at_each_step(root, found, log, cut, retrain_id):
    """End the training at its first word, then at its second, and so on, until it says no more."""
    for last in range(3):
        said = []

        def tell(line, said=said, last=last):
            said.append(line)
            if len(said) > last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            make_candidate(root, found, "v1", request(retrain_id), pieces(log, cut), Cut(cut), 7, tell, lambda: False)


def test_what_is_said_after_a_row_was_learned_is_counted(tmp_path, code):
    found = with_model(tmp_path, recipe="online_recipes:build", online=True, holdout=0.1)
    first = drawn(200)
    outcomes = first["outcome"].to_pylist()
    changed = [1 - each for each in outcomes[:30]] + [None] * 10 + outcomes[40:50]
    again = first.slice(0, 50).set_column(
        first.column_names.index("outcome"), "outcome", pa.array(changed, pa.float64())
    )
    new = drawn(300, seed=1).set_column(0, "request_id", pa.array([f"n{at}" for at in range(300)]))
    batches = [labeled(first), labeled(again, revision=2), labeled(new)]
    log = pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
    log = logged(log, 1, np.arange(550) + 40 * 86_400_000)
    made(tmp_path, found, log, {"0": 200}, "t1")
    version = made(tmp_path, found, log, {"0": 550}, "t2").version
    receipt, _ = read_receipt(tmp_path, "m", version)
    assert receipt.data.left_out == {
        "corrected after it was learned": 30, "labeled again": 10, "taken back after it was learned": 10,
    }  # fmt: skip
    assert (receipt.online.start, receipt.data.rows) == ({"0": 180}, 320)


def test_where_a_person_was_erased_the_next_snapshot_learns_all_that_the_one_before_held_out(tmp_path, code):
    found = with_model(tmp_path, recipe="online_recipes:build", online=True, holdout=0.2)
    log = logged(labeled(drawn(300)), 1)
    made(tmp_path, found, log, {"0": 200}, "t1")
    [*_, forgotten] = forget(tmp_path, "u7", "their right", 0)
    assert forgotten.rows == 4
    version = made(tmp_path, found, log, {"0": 300}, "t2").version
    receipt, _ = read_receipt(tmp_path, "m", version)
    assert (receipt.online.before, receipt.data.rows, receipt.data.left_out) == ("v2", 140, {})
    assert verify(tmp_path, "m", "v2").outcome == "erased"
    assert verify(tmp_path, "m", version, Log(list(pieces(log, {"0": 300})))).log == "same rows"


def test_an_erased_person_makes_nobody_else_known(tmp_path, code):
    """What is held out is learned by the next snapshot, also where rows before it were erased meanwhile."""
    found, log = with_model(tmp_path, recipe="online_recipes:build", online=True), logged(labeled(drawn(500)))
    learned = []
    for number, cut in enumerate(cuts(80, 160), 1):
        version = made(tmp_path, found, log, cut, f"t{number}").version
        receipt, _ = read_receipt(tmp_path, "m", version)
        sets = read_reference(tmp_path / "m" / ".training-sets" / f"{receipt.data.digest}.parquet")
        learned += sets["request_id"].to_pylist()[: receipt.data.train_rows]
        forget(tmp_path, "u7", "their right", 0)
    assert receipt.data.left_out == {}
    assert learned == [f"r{at:07}" for at in range(len(learned))]


def test_another_recipe_or_setting_begins_anew_and_a_wrong_one_is_named(tmp_path, code):
    log = logged(labeled(drawn(300)))
    found = with_model(tmp_path, recipe="online_recipes:build", online=True)
    made(tmp_path, found, log, cuts(50)[0], "t1")
    other = found.model_copy(update={"training": found.training.model_copy(update={"params": {"l2": 0.1}})})
    (tmp_path / "m" / "model.toml").write_text(settings_toml(other))
    version = made(tmp_path, other, log, cuts(100)[0], "t2").version
    assert read_receipt(tmp_path, "m", version)[0].online.before == ""
    wrong = found.model_copy(
        update={"training": found.training.model_copy(update={"recipe": "online_recipes:no_river"})}
    )
    with pytest.raises(TrainingError, match="wants a model of river"):
        made(tmp_path, wrong, log, cuts(100)[0], "t3")
