"""Models of allowed types that mean harm are refused by what they do, in little time and memory."""

import tracemalloc

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KDTree, KNeighborsClassifier

from hostile_models import HOSTILE, X, fitted, with_attribute
from leadline.core.models import Signature
from leadline.core.scoring.features import Inputs
from leadline.learning import packed
from leadline.learning.deciding import Sample, decide
from leadline.learning.errors import RegistryError
from leadline.learning.models import read_model
from leadline.settings import ModelSettings


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused(name, monkeypatch):
    monkeypatch.setattr(packed, "UNPACKED", 64 << 20)
    make, why = HOSTILE[name]
    data = make()
    with pytest.raises(RegistryError, match=why) as refused:
        read_model(data, "m/v1/model.skops")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("classes", [np.array(["2024-01-01", "2024-01-02"], "M8[s]"), np.eye(2), np.array(5)])
def test_a_model_that_fails_as_it_is_asked_is_unsound(classes):
    sample = Sample(Signature.of(["a", "b"], [], {}), Inputs(np.zeros((2, 2)), {}))
    data = with_attribute(classes_=classes)
    with pytest.raises(RegistryError, match=r"is no sound model|has the classes|several outcomes"):
        decide(read_model(data, "m"), ModelSettings(name="m", numeric=["a", "b"]), sample, "m")


def test_a_search_tree_is_built_anew_and_its_file_is_not_believed():
    honest = fitted(KNeighborsClassifier(3, algorithm="kd_tree"))
    expected = honest.predict_proba(X)
    index = np.asarray(honest._tree.get_arrays()[1])
    index[:] = 2**40
    read = read_model(skops.io.dumps(honest), "m")
    np.testing.assert_array_equal(read.predict_proba(X), expected)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"_tree": KDTree(X)}, "a search tree that is not its own"),
        ({"kept": [KDTree(X)]}, "belongs into a search for neighbours"),
    ],
)
def test_a_search_tree_elsewhere_is_refused(values, why):
    with pytest.raises(RegistryError, match=why):
        read_model(with_attribute(**values), "m")


def test_a_size_that_is_understated_is_not_unpacked():
    data = HOSTILE["bomb_that_states_a_small_size"][0]()
    tracemalloc.start()
    with pytest.raises(RegistryError):
        read_model(data, "m")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_model_uses_one_thread_and_prints_nothing():
    read = read_model(skops.io.dumps(fitted(RandomForestClassifier(2, n_jobs=2, verbose=0).set_params(verbose=0))), "m")
    assert (read.n_jobs, read.verbose) == (None, 0)
