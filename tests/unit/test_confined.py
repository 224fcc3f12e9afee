"""A model's file is read in a process that may do nothing else; its end is one line."""

import json
import subprocess
import sys

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from hostile_models import HOSTILE, X, Y, fitted
from leadline.core.models import Signature
from leadline.core.scoring.features import Inputs
from leadline.learning.confined import Limits, examine_apart
from leadline.learning.deciding import Sample
from leadline.learning.errors import RegistryError
from leadline.learning.examine import examine
from leadline.learning.survive import surviving
from leadline.settings import ModelSettings

SETTINGS = ModelSettings(name="m", numeric=["a", "b"])


def sample(rows):
    return Sample(Signature.of(["a", "b"], [], {}), Inputs(rows, {}))


SAMPLE = sample(X)


@pytest.mark.parametrize("model", [LogisticRegression(), HistGradientBoostingClassifier(max_iter=3)])
def test_it_says_what_is_said_here(model):
    data = skops.io.dumps(fitted(model))
    here, there = examine(data, SETTINGS, SAMPLE, "m"), examine_apart(data, SETTINGS, SAMPLE, "m")
    np.testing.assert_array_equal(there.scores, here.scores)
    assert there.linear == here.linear


def wide() -> bytes:
    """A few megabytes that score 20,000 rows by 16 GB."""
    model = make_pipeline(RBFSampler(n_components=100_000), LogisticRegression(max_iter=1))
    return skops.io.dumps(model.fit(X[:10], Y[:10]))


@pytest.mark.filterwarnings("ignore:lbfgs")
def test_too_much_memory_is_one_line():
    with pytest.raises(RegistryError, match=r"m needs more than 4,096 MiB of memory"):
        examine_apart(wide(), SETTINGS, sample(np.zeros((20_000, 2))), "m")


def test_too_much_time_is_one_line():
    with pytest.raises(RegistryError, match=r"m took longer than 0 s"):
        examine_apart(b"", SETTINGS, SAMPLE, "m", Limits(seconds=0))


def test_a_crash_is_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("leadline.learning.confined.sys.executable", "/bin/false")
    with pytest.raises(RegistryError, match=r"m ended the process that read it \(exit code 1\)"):
        examine_apart(b"", SETTINGS, SAMPLE, "m")


def test_what_is_refused_here_is_refused_there():
    with pytest.raises(RegistryError, match=HOSTILE["reads_files"][1]):
        examine_apart(HOSTILE["reads_files"][0](), SETTINGS, SAMPLE, "m")


LOCKED = """
import json, os, socket, subprocess, sys, tempfile, urllib.request
import skops.io
from pathlib import Path
from leadline.learning.lockdown import confine, warm_up
data, folder = Path(sys.argv[1]).read_bytes(), sys.argv[2]
estimator = skops.io.loads(data)
warm_up()
TRIES = {
    "read": lambda: open("/etc/passwd"),
    "read by the model": lambda: estimator.predict_proba([["/etc/passwd"]]),
    "environment": lambda: open("/proc/self/environ"),
    "write": lambda: open(folder + "/new", "w"),
    "write below the libraries": lambda: open(json.__file__, "a"),
    "list": lambda: os.listdir(folder),
    "connect": lambda: socket.create_connection(("127.0.0.1", 9)),
    "name": lambda: socket.getaddrinfo("localhost", 9),
    "fetch": lambda: urllib.request.urlopen("http://127.0.0.1:9/"),
    "process": lambda: subprocess.run(["true"]),
    "shell": lambda: os.system("true"),
    "fork": os.fork,
    "remove": lambda: os.remove(sys.argv[1]),
    "folder": lambda: os.mkdir(folder + "/new"),
    "temporary": tempfile.mkdtemp,
    "import": lambda: __import__("pip"),
}
refusals, passed = confine(4 << 30, 60), []
for name, attempt in TRIES.items():
    try:
        attempt()
        passed.append(name)
    except (PermissionError, ModuleNotFoundError, OSError) as error:
        pass
print(json.dumps([passed, len(refusals), len(TRIES)]))
"""


def test_a_locked_process_reads_writes_and_calls_nothing(tmp_path):
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(input="filename", vocabulary=["root"])
    model = make_pipeline(words, LogisticRegression())
    model[-1].fit([[0], [1]], [0, 1])
    path = tmp_path / "model.skops"
    path.write_bytes(skops.io.dumps(model))
    script = LOCKED.replace('[["/etc/passwd"]]', '["/etc/passwd"]')
    said = subprocess.run([sys.executable, "-c", script, path, tmp_path], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    passed, refused, tried = json.loads(said.stdout)
    assert passed == []
    assert refused >= tried - 1  # an import that is refused is a module that is missing
    assert [each.name for each in tmp_path.iterdir()] == ["model.skops"]


def test_a_row_on_which_a_model_fails_is_nan_alone():
    def scores(matrix):
        if (matrix == 7).any():
            raise ValueError("seven")
        return matrix[:, 0]

    matrix = np.arange(1000.0).reshape(500, 2) + 100
    matrix[123, 1] = 7
    found = surviving(lambda inputs: scores(inputs.matrix), "m")(Inputs(matrix, {}))
    assert np.flatnonzero(np.isnan(found)).tolist() == [123]
    np.testing.assert_array_equal(np.delete(found, 123), np.delete(matrix[:, 0], 123))
    assert np.isnan(surviving(lambda inputs: inputs.matrix, "m")(Inputs(matrix, {}))).all()
