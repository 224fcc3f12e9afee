"""Inputs that people brought, and what was wrong with them once: each is read, or refused in one line that says where and what to do."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from commands import run
from leadline.learning import add as adding
from leadline.learning.examine import examine

RNG = np.random.default_rng(1)
COUNT = 400
FRAME = pd.DataFrame({"x": RNG.normal(size=COUNT), "z": RNG.normal(size=COUNT)})
FRAME["label"] = (FRAME.x > 0).astype(int)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder for models; they are examined in this process, which is quicker."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADLINE_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(adding, "examine_apart", examine)
    return tmp_path


def add(capsys, settings, reference, *more):
    """Add m.skops with these settings; exit code, what was said, and what was said of what is wrong."""
    Path("m.toml").write_text(settings, "utf-8")
    capsys.readouterr()
    code = run(
        ["model", "add", "m.skops", "--settings", "m.toml", "--reference", reference, "--outcome", "label", *more]
    )
    out, err = capsys.readouterr()
    return code, out + err


SETTINGS = 'name = "m"\nnumeric = ["x", "z"]\n'


def csv(frame, **how):
    return frame.to_csv(index=False, **how).encode()


def doubled():
    head, _, rows = csv(FRAME).partition(b"\n")
    return head + b",z\n" + rows.replace(b"\n", b",5\n")


def parquet(frame):
    return frame.to_parquet()


def every_50th(value, column):
    return [value if i % 50 == 0 else each for i, each in enumerate(FRAME[column])]


YES_NO = FRAME.assign(label=np.where(FRAME.label == 1, "yes", "no"))
REFERENCES = {
    "good.csv": csv(FRAME),
    "bom.csv": b"\xef\xbb\xbf" + csv(FRAME),
    "quoted-newline.csv": csv(FRAME.assign(note="a\nb")),
    "missing-column.csv": csv(FRAME.rename(columns={"z": "zz"})),
    "duplicate-header.csv": doubled(),
    "na-text.csv": csv(FRAME.assign(z=every_50th("NA", "z"))),
    "yes-no.csv": csv(YES_NO),
    "bool-label.csv": csv(FRAME.assign(label=FRAME.label == 1)),
    "nan-label.csv": csv(FRAME.assign(label=every_50th(np.nan, "label"))),
    "one-class.csv": csv(FRAME.assign(label=0)),
    "empty-feature.csv": csv(FRAME.assign(z=np.nan)),
    "constant-feature.csv": csv(FRAME.assign(z=7.0)),
    "inf.parquet": parquet(FRAME.assign(z=[np.inf if i == 3 else each for i, each in enumerate(FRAME.z)])),
    "uint64.parquet": parquet(FRAME.assign(z=np.arange(COUNT, dtype="uint64") + 2**63)),
    "int60.parquet": parquet(FRAME.assign(z=np.arange(COUNT, dtype="int64") + 2**60)),
    "timestamp-feature.parquet": parquet(FRAME.assign(z=pd.to_datetime("2026-01-01", utc=True))),
    "nullable-bool.parquet": parquet(FRAME.convert_dtypes().astype({"label": "boolean"})),
    "semicolon.csv": csv(FRAME, sep=";"),
    "ref.txt": csv(FRAME),
    "no-rows.csv": csv(FRAME.head(0)),
    "label-one-two.csv": csv(FRAME.assign(label=FRAME.label + 1)),
}


REFUSED = {
    "missing-column.csv": "no column z; it has x, zz, label",
    "duplicate-header.csv": "column 'z' is there twice",
    "na-text.csv": "column 'z', row 1: is 'NA', not a number",
    "yes-no.csv": "column 'label' has ['no', 'yes'] (first in row 1), and the classes of the model are ['0', '1']",
    "nan-label.csv": "column 'label': 8 of 400 rows have no finite outcome (first row 1)",
    "inf.parquet": "gives no score to 1 of 400 rows of the reference (first row 4)",
    "timestamp-feature.parquet": "column 'z', row 1: is '2026-01-01 00:00:00.000000Z', not a number",
    "semicolon.csv": 'it has x;z;label (are they separated by ";"? write commas)',
    "ref.txt": "ref.txt: write the reference as .csv",
    "no-rows.csv": "the reference has no rows",
    "label-one-two.csv": "column 'label' has ['2'] (first in row 1)",
}
"""What is said of those that are not read; the others are read as they are meant."""


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_files(place, capsys, name):
    skops.io.dump(HistGradientBoostingClassifier(max_iter=10).fit(FRAME[["x", "z"]].to_numpy(), FRAME.label), "m.skops")
    (place / name).write_bytes(REFERENCES[name])
    code, said = add(capsys, SETTINGS, name)
    if name in REFUSED:
        assert (code, said.count("\n")) == (1, 1)
        assert f"error: --reference {name} does not fit: " in said
        assert REFUSED[name] in said
    else:
        assert code == 0
        assert f"accuracy {0.53 if name == 'one-class.csv' else 1:g}," in said


def test_what_was_understood_is_said(place, capsys):
    """Dtypes, which outcome is which class, and what becomes of a request that lacks a feature; that is written down too."""
    (place / "yes-no.csv").write_bytes(REFERENCES["yes-no.csv"])
    model = LogisticRegression().fit(FRAME[["x", "z"]].to_numpy(), YES_NO.label)
    skops.io.dump(model, "m.skops")
    settings = SETTINGS + 'positive = "yes"\n'
    code, said = add(capsys, settings, "yes-no.csv")
    assert code == 0
    assert "in this order: x float64, z float64" in said
    assert "an outcome may be the name of a class or its number: no is 0, yes is 1" in said
    assert 'a request that lacks a feature is refused (missing = "refuse" in model.toml)' in said
    assert 'missing = "refuse"' in (place / "models" / "m" / "model.toml").read_text("utf-8")
    assert add(capsys, settings, "yes-no.csv")[0] == 0  # a second version, by the same settings
    skops.io.dump(HistGradientBoostingClassifier(max_iter=5).fit(FRAME[["x", "z"]].to_numpy(), YES_NO.label), "m.skops")
    code, said = add(capsys, settings.replace('"m"', '"trees"'), "yes-no.csv")
    assert (code, "a request may lack features" in said) == (0, True)
    assert 'missing = "nan"' in (place / "models" / "trees" / "model.toml").read_text("utf-8")
