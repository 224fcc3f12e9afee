"""However a training ends, it is a version or one line, and nothing half is on the disk."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from leadline.learning.model_files import ModelFiles
from leadline.learning.training import Log, StoppedError, TrainingError, make_candidate
from leadline.learning.training.store import TrainingSets
from trainings import drawn, labeled, request, with_model

RECIPES = """
import os, signal, socket, sys, time
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression


class Linear(LogisticRegression):
    def __init__(self, what=""):
        super().__init__()
        self.what = what

    def fit(self, rows, truth):
        print("a line\\n" * 100_000, file=sys.stderr)
        exec(self.what)
        return super().fit(rows, truth)


def build(params):
    return Linear(**params)


def a_class(params):
    return LogisticRegression


def a_text(params):
    return "a text"


def no_refit(params):
    from sklearn.model_selection import GridSearchCV

    return GridSearchCV(DummyClassifier(), {"strategy": ["prior"]}, refit=False, cv=2)


def function(params):
    from sklearn.preprocessing import FunctionTransformer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(FunctionTransformer(lambda frame: frame[["age", "income"]]), LogisticRegression())


def foreign(params):
    from catboost import CatBoostClassifier
    from sklearn.pipeline import make_pipeline

    return make_pipeline(CatBoostClassifier())


def broken(params):
    return 1 / 0
"""
ENDS = {
    "raise ValueError('two\\nlines')": "recipes:build raised ValueError: two lines (recipes.py line",
    "raise ValueError(os.nice(0) - os.getpriority(os.PRIO_PROCESS, os.getppid()))": "raised ValueError: 10 (",
    "raise KeyboardInterrupt": "recipes:build raised KeyboardInterrupt",
    "sys.exit('no')": "recipes:build raised SystemExit: no",
    "np.ones(1 << 40)": "recipes:build needs more than 1,024 MiB of memory",
    "os._exit(3)": "recipes:build ended its process (exit code 3)",
    "os.kill(os.getpid(), signal.SIGKILL)": "recipes:build ended its process (SIGKILL)",
    "socket.create_connection(('127.0.0.1', 9))": "a training may not use the network",
    "time.sleep(1e6)": "the training took longer than 8 s",
}
REFUSED = {
    "nowhere:build": "recipe nowhere:build: No module named 'nowhere'",
    "recipes:none": "module recipes has no function none",
    "recipes": "write module:function",
    "recipes:a_class": "returns a type, and should return an estimator that is not fitted",
    "recipes:a_text": "returns a str",
    "recipes:no_refit": "searches with refit=False",
    "recipes:function": "types that are not allowed: recipes.<lambda>",
    "recipes:foreign": "has a CatBoostClassifier of catboost, which cannot be stored or is not let into a worker",
    "recipes:broken": "raised ZeroDivisionError: division by zero (recipes.py line",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A model, and a folder of recipes that can be imported."""
    folder = tmp_path_factory.mktemp("ends")
    (folder / "recipes.py").write_text(RECIPES)
    stub = "from sklearn.linear_model import LogisticRegression\n\n\nclass CatBoostClassifier(LogisticRegression):\n    pass\n"
    (folder / "catboost.py").write_text(stub)
    with_model(folder / "models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield folder / "models"


def make(root, stop=lambda: False, rows=300, said=None, **training):
    model = ModelFiles(root).settings("m")
    changed = model.training.model_copy(update={"memory": 1 << 30, "timeout": 60_000} | training)
    settings = model.model_copy(update={"training": changed})
    tell = (lambda _: None) if said is None else said.append
    return make_candidate(root, settings, "v1", request(), [labeled(drawn(rows))], Log({"0": 1}), 7, tell, stop)


def left(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.name != "lock"}


def ends(root, kind=TrainingError, **training):
    before = left(root)
    with pytest.raises(kind) as raised:
        make(root, **training)
    assert left(root) - before <= {"m/.training-sets"}
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("what", ENDS)
def test_what_a_recipe_does_ends_in_one_line(root, what):
    timeout = 8_000 if "sleep" in what else 60_000
    assert ENDS[what] in ends(root, recipe="recipes:build", params={"what": what}, timeout=timeout)


@pytest.mark.parametrize("recipe", REFUSED)
def test_what_is_no_recipe_is_refused(root, recipe):
    assert REFUSED[recipe] in ends(root, recipe=recipe)


def test_somebody_may_stop_it(root):
    asked = iter([False] * 8)
    why = ends(
        root, StoppedError, recipe="recipes:build", params={"what": "time.sleep(1e6)"}, stop=lambda: next(asked, True)
    )
    assert why == "the training was stopped: somebody asked for it"


def test_a_full_disk(root):
    with small_files(20_000):
        assert "make room or rights" in ends(root, rows=2000)


def test_a_second_trainer_waits_for_its_turn(root, tmp_path):
    """Of a rebalance the trainer before may be at its end still; where it does not end, the request does."""
    with TrainingSets(root, "m").alone():
        assert "is in use by another process" in ends(root, timeout=1_000)
        asked = iter([False] * 3)
        assert "stopped" in ends(root, StoppedError, stop=lambda: next(asked, True))
    shutil.copytree(root, tmp_path / "models")
    held = TrainingSets(tmp_path / "models", "m").alone()
    held.__enter__()
    threading.Timer(1.5, held.__exit__, (None, None, None)).start()
    assert make(tmp_path / "models").version == "v2"


@pytest.mark.long
def test_a_trainer_that_is_killed_leaves_the_request_to_the_next_one(root, tmp_path):
    shutil.copytree(root, tmp_path / "models")
    before = left(tmp_path / "models")
    for line in range(5):
        done = subprocess.run(
            [sys.executable, __file__, str(tmp_path / "models"), str(line)], env=environment(), check=False
        )
        assert done.returncode == -signal.SIGKILL
        assert not [each for each in left(tmp_path / "models") - before if each.startswith("m/v")]
    made = make(tmp_path / "models")
    assert made.version == "v2"
    new = {each for each in left(tmp_path / "models") - before if each.startswith("m/.")}
    assert sorted(each.partition(".parquet")[0].count(".held-out") for each in new) == [0, 1]


@contextmanager
def small_files(size):
    """As on a disk that is full after so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def environment():
    return os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}


if __name__ == "__main__":  # a trainer that is killed at a line of its progress

    class _Killed(list):
        def append(self, line):
            super().append(line)
            if len(self) > int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)

    make(Path(sys.argv[1]), said=_Killed())
