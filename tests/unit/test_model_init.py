"""``leadline model init``: what it writes is what `model add` takes, and what nobody has said it does not guess."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC

from commands import run
from leadline.learning.add import add_file
from leadline.learning.confined import look_apart
from leadline.learning.draft import draft, toml
from leadline.learning.errors import RegistryError
from leadline.learning.examine import examine
from leadline.learning.look import Look, look
from leadline.settings import ModelSettings, load_model_settings

RNG = np.random.default_rng(5)
N = 300
FRAME = pd.DataFrame(
    {"age": RNG.normal(40, 10, N), "visits": RNG.integers(0, 9, N), "job": RNG.choice(["baker", "clerk", "smith"], N)}
)
YES = FRAME["age"] + 9 * (FRAME["job"] == "smith") + RNG.normal(0, 5, N) > 43
NUMBERS = ["age", "visits"]


def encoded(last):
    parts = make_column_transformer((StandardScaler(), NUMBERS), (OneHotEncoder(), ["job"]))
    return make_pipeline(parts, last)


def words(yes="yes", no="no"):
    return np.where(YES, yes, no)


def of_category_types():
    return FRAME.assign(job=FRAME["job"].astype("category"))


MODELS = {
    "named": (encoded(LogisticRegression()), FRAME[["job", "age", "visits"]], words()),
    "native": (HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype"), of_category_types(), YES.astype(int)),
    "numbers": (HistGradientBoostingRegressor(max_iter=5), FRAME[NUMBERS].to_numpy(), FRAME["age"].to_numpy() * 2),
    "frame": (Ridge(), FRAME[["visits", "age"]], FRAME["age"] * 2),
    "decision": (LinearSVC(), FRAME[NUMBERS], YES.astype(int)),
    "booleans": (LogisticRegression(), FRAME[NUMBERS], YES.to_numpy()),
    "two": (encoded(LogisticRegression()), FRAME, np.where(YES, 2, 1)),
    "codes": (HistGradientBoostingClassifier(max_iter=5), np.column_stack([FRAME[NUMBERS], OrdinalEncoder().fit_transform(FRAME[["job"]])]),
              YES.astype(int)),
}  # fmt: skip
POSITIVE = {"named": "yes", "two": "2"}
UNUSED = {"numbers": ["job"], "frame": ["job"], "decision": ["job"], "booleans": ["job"]}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in. Models are read in this process, which takes less time; one test reads one in a process of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("leadline.learning.confined.look_apart", look)
    monkeypatch.setattr("leadline.learning.add.examine_apart", examine)
    return tmp_path


def test_a_model_is_looked_at_in_a_process_of_its_own():
    estimator, rows, outcome = MODELS["named"]
    data = skops.io.dumps(estimator.fit(rows, outcome))
    settings = ModelSettings(name="m")
    assert look_apart(data, settings, [], "m") == look(data, settings, [], "m")
    with pytest.raises(RegistryError, match="m is no skops file"):
        look_apart(b"", settings, [], "m")


def saved(name):
    """The model and its reference on the disk, as arguments."""
    estimator, rows, outcome = MODELS[name]
    Path(f"{name}.skops").write_bytes(skops.io.dumps(estimator.fit(rows, outcome)))
    FRAME.drop(columns=UNUSED.get(name, [])).assign(outcome=outcome).to_csv("ref.csv", index=False)
    return ["model", "init", f"{name}.skops", "--reference", "ref.csv"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_what_is_written_is_added_as_it_is(place, name, capsys):
    positive = ["--positive", POSITIVE[name]] if name in POSITIVE else []
    assert run([*saved(name), *positive]) == 0, capsys.readouterr()
    if name == "codes":
        draft_is_checked(place / "model.toml")
    settings = load_model_settings(place / "model.toml")
    assert (settings.name, sorted([*settings.numeric, *settings.categorical])) == (
        name,
        sorted(set(FRAME) - set(UNUSED.get(name, []))),
    )
    reference = pa.Table.from_pandas(pd.read_csv("ref.csv"), preserve_index=False)
    added = add_file(place, settings, None, place / f"{name}.skops", reference, "outcome")
    metrics = added.version.profile.metrics
    assert metrics.get("accuracy", 1) > 0.7 or metrics.get("mae", 1) < 0.5
    if "accuracy" in metrics:
        assert metrics["accuracy"] > added.majority


def draft_is_checked(path):
    path.write_text(path.read_text("utf-8").replace("# job = [", "job = ["), "utf-8")


@pytest.mark.parametrize("name", POSITIVE)
def test_the_positive_class_is_never_guessed(place, name, capsys):
    assert run(saved(name)) == 0
    assert "which of its classes is positive" in capsys.readouterr().err
    assert load_model_settings(place / "model.toml").positive is None
    assert re.search("^# positive = .*SAY IT", (place / "model.toml").read_text("utf-8"), re.MULTILINE)


def test_the_categories_of_a_model_of_codes_are_to_be_checked(place, capsys):
    assert run(saved("codes")) == 0
    assert "which category has which number: job" in capsys.readouterr().err
    assert "CHECK IT" in (place / "model.toml").read_text("utf-8")


def test_every_key_in_a_comment_has_its_default(place):
    """Without the signs of the comments the file says the same, but for what it gives as an example."""
    look = Look(["a"], 1, [], ["0", "1"], probability=True)
    text = toml(draft("m", look, pa.table({"a": [1.0], "outcome": [1]}), ["a"]))
    said, all_said = (
        ModelSettings.model_validate(tomllib.loads(each)) for each in (text, re.sub(r"(?m)^# (?=\w+ = )", "", text))
    )
    examples = {"positive", "threshold", "missing", "segments"}
    assert said.model_dump(exclude=examples) == all_said.model_dump(exclude=examples)
    assert said == ModelSettings(name="m", numeric=["a"])


REFUSED = [
    ("named", ["--positive", "maybe"], "--positive maybe: the classes of the model are no, yes"),
    ("named", ["--outcome", "paid"], "no column 'paid' of the outcome: it has age, visits, job, outcome"),
    ("named", ["--name", "../x"], "cannot name a model"),
    ("named", ["--reference", "none.csv"], "none.csv: cannot be read"),
    ("codes", ["--features", "age,visits"], "takes 3 columns and knows no names, and the reference has age, visits"),
    ("codes", ["--features", "job,age,visits"], "numbers have to come before categories"),
    ("codes", ["--features", "age,visits,jobs"], "lacks jobs"),
]


@pytest.mark.parametrize(("name", "more", "says"), REFUSED)
def test_what_does_not_fit_is_one_line_and_nothing_is_written(place, name, more, says, capsys):
    assert run([*saved(name), *more]) == 1
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not (place / "model.toml").exists()


def test_a_file_that_is_there_is_kept(place, capsys):
    (place / "model.toml").write_text("mine", "utf-8")
    assert run(saved("frame")) == 1
    assert "model.toml" in capsys.readouterr().err
    assert (place / "model.toml").read_text("utf-8") == "mine"
