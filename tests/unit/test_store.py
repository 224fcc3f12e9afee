"""Models in a store: any file system of fsspec, copies of it here, and a store that is away."""

import json
import os
import socket
from contextlib import closing

import fsspec
import pytest
from moto.server import ThreadedMotoServer
from sklearn.linear_model import LogisticRegression

from leadline.learning.add import add_version
from leadline.learning.cached import CachedModels
from leadline.learning.errors import NotHereError, RegistryError
from leadline.learning.limits import MANIFEST, MODEL
from leadline.learning.model_files import ModelFiles
from leadline.learning.remove import remove
from leadline.learning.store import ModelStore, StoreAwayError, published
from leadline.learning.training.store import TrainingSets
from leadline.settings import ModelSettings, SettingsError, load_settings

SETTINGS = ModelSettings(name="fraud", numeric=["x"], horizon=1000, window=1000)


def make(root, version="v1", shift=0.0):
    import pyarrow as pa

    values = [0.0, 1.0, 2.0, 3.0 + shift]
    table = pa.table({"x": values, "y": [0, 0, 1, 1]})
    model = LogisticRegression().fit([[each] for each in values], [0, 0, 1, 1])
    return add_version(root, SETTINGS, version, model, table, "y")


@pytest.fixture(scope="module")
def s3():
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def url(request, tmp_path, monkeypatch):
    if request.param == "memory":
        yield f"memory://models-{os.getpid()}-{tmp_path.name}"
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3"))
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        bucket = f"models-{tmp_path.name.replace('_', '-')}"[:60].lower().strip("-")
        fsspec.filesystem("s3").mkdir(bucket)
        yield f"s3://{bucket}/of/team"


@pytest.fixture
def here(url, tmp_path):
    return ModelStore(url, tmp_path / "a")


@pytest.fixture
def elsewhere(url, tmp_path):
    """Another machine."""
    return ModelStore(url, tmp_path / "b")


def test_what_one_machine_adds_another_one_serves(here, elsewhere):
    made = make(here.mirror)
    here.publish("fraud", "v1")
    models = CachedModels(elsewhere.mirror, elsewhere)
    assert models.settings("fraud") == ModelFiles(here.mirror).settings("fraud")
    loaded = models.loaded("fraud", "v1", 0)
    assert loaded is not None
    assert loaded.signature == made.signature
    assert elsewhere.models() == ["fraud"]
    assert elsewhere.versions("fraud") == ["v1"]


def test_a_version_without_its_manifest_is_not_there_yet(here, elsewhere):
    make(here.mirror)
    here.publish("fraud", "v1")
    here._call(lambda fs, at: fs.rm_file(at), "fraud", "v1", MANIFEST)
    assert elsewhere.versions("fraud") == []
    with pytest.raises(NotHereError):
        elsewhere.fetch("fraud", "v1")
    assert CachedModels(elsewhere.mirror, elsewhere).loaded("fraud", "v1", 0) is None


def test_what_was_changed_in_the_store_is_refused(here, elsewhere):
    make(here.mirror)
    here.publish("fraud", "v1")
    here._write(b"something else", "fraud", "v1", MODEL)
    with pytest.raises(RegistryError, match="sha256 differs"):
        elsewhere.fetch("fraud", "v1")
    models = CachedModels(elsewhere.mirror, elsewhere)
    assert models.loaded("fraud", "v1", 0) is None
    assert "sha256 differs" in models.why_unusable("fraud", "v1")


def test_a_copy_that_was_damaged_here_is_fetched_again(here, elsewhere):
    make(here.mirror)
    here.publish("fraud", "v1")
    elsewhere.fetch("fraud", "v1")
    (elsewhere.mirror / "fraud" / "v1" / MODEL).write_bytes(b"damaged")
    elsewhere.fetch("fraud", "v1")
    assert ModelFiles(elsewhere.mirror).load("fraud", "v1")


def test_another_version_of_the_same_name_is_not_published(here, elsewhere):
    make(here.mirror)
    here.publish("fraud", "v1")
    here.publish("fraud", "v1")
    make(elsewhere.mirror, shift=1.0)
    with pytest.raises(RegistryError, match="use another name"):
        elsewhere.publish("fraud", "v1")


def test_what_is_removed_is_gone_from_the_other_machine_too(here, elsewhere):
    make(here.mirror)
    make(here.mirror, "v2", 1.0)
    for version in ("v1", "v2"):
        here.publish("fraud", version)
    elsewhere.fetch_all("fraud")
    remove(here.mirror, "fraud", "v1")
    here.remove("fraud", "v1")
    elsewhere.fetch_all("fraud")
    assert ModelFiles(elsewhere.mirror).versions("fraud") == ["v2"]
    here.remove("fraud")
    elsewhere.refresh()
    assert ModelFiles(elsewhere.mirror).names() == []


def test_training_sets_are_shared_and_erased_for_all(here, elsewhere):
    make(here.mirror)
    sets = TrainingSets(here.mirror, "fraud")
    sets.folder.mkdir()
    sets.path("d").write_bytes(b"with Ada")
    here.publish("fraud", "v1")
    elsewhere.fetch_sets("fraud")
    assert TrainingSets(elsewhere.mirror, "fraud").path("d").read_bytes() == b"with Ada"
    sets.path("d").write_bytes(b"without ")
    sets.note(sets.path("d"), {"rows": 1})
    here.publish_sets("fraud", anew=True)
    elsewhere.fetch_sets("fraud")
    assert TrainingSets(elsewhere.mirror, "fraud").path("d").read_bytes() == b"without ", (
        "else it would come back from there"
    )
    third = ModelStore(here.url, here.mirror.with_name("c"))
    third.fetch_sets("fraud")
    assert TrainingSets(third.mirror, "fraud").path("d").read_bytes() == b"without "


def test_while_the_store_is_away_what_is_here_is_used_and_what_is_not_is_asked_for_again(here, elsewhere, monkeypatch):
    make(here.mirror)
    make(here.mirror, "v2", 1.0)
    for version in ("v1", "v2"):
        here.publish("fraud", version)
    elsewhere.fetch("fraud", "v1")
    models, open_ = CachedModels(elsewhere.mirror, elsewhere), ModelStore._open

    def away(self):
        raise ConnectionError("nobody is there")

    monkeypatch.setattr(ModelStore, "_open", away)
    assert models.loaded("fraud", "v1", 0) is not None
    assert models.loaded("fraud", "v2", 0) is None
    assert "cannot be reached" in models.why_unusable("fraud", "v2")
    models.fetch_again(lambda: None)
    monkeypatch.setattr(ModelStore, "_open", open_)
    assert models.loaded("fraud", "v2", 0) is None, "it is asked for again after some seconds"
    assert models.fetched() == 0
    told = []
    models.fetch_again(lambda: told.append((models.loaded("fraud", "v2", 0), models.fetched())))
    [(loaded, before)] = told
    assert loaded is models.loaded("fraud", "v2", 0) is not None
    assert (before, models.fetched()) == (0, 1), "who scores is told when it is loaded"
    assert models.why_unusable("fraud", "v2") is None
    models.fetch_again(lambda: None)
    assert models.fetched() == 1


def test_what_the_store_refuses_is_not_here_either(url, tmp_path, monkeypatch):
    monkeypatch.setenv("LEADLINE_MODELS", url)
    monkeypatch.setenv("LEADLINE_CACHE", str(tmp_path / "cache"))
    settings = load_settings()
    assert settings.store == url
    assert settings.models.is_relative_to(tmp_path / "cache")
    with published(settings, "fraud"):
        make(settings.models)
    assert ModelStore(url, tmp_path / "b").versions("fraud") == ["v1"]

    def away(*_):
        raise StoreAwayError("away")

    monkeypatch.setattr(ModelStore, "publish", away)
    with pytest.raises(StoreAwayError), published(settings, "fraud"):
        make(settings.models, "v2", 1.0)
    assert ModelFiles(settings.models).versions("fraud") == ["v1"]


@pytest.mark.parametrize("text", ["s3://user:word@bucket/a", "s3://bucket?endpoint=x", "s3://key@bucket"])
def test_secrets_are_not_written_into_the_url(text, monkeypatch):
    monkeypatch.setenv("LEADLINE_MODELS", text)
    with pytest.raises(SettingsError, match="credentials come from") as error:
        load_settings()
    assert "word" not in str(error.value)


def test_a_hostile_store_is_refused(here, elsewhere):
    make(here.mirror)
    here.publish("fraud", "v1")
    stated = json.loads(here._read(MANIFEST, "fraud", "v1"))
    stated["files"]["../../out"] = "0" * 64
    here._write(json.dumps(stated).encode(), "fraud", "v1", MANIFEST)
    with pytest.raises(RegistryError, match="does not list exactly"):
        elsewhere.fetch("fraud", "v1")
    assert not list(elsewhere.mirror.parent.glob("out"))
    here._write(b"x" * (300_000), "fraud", "model.toml")
    with pytest.raises(RegistryError, match="at most"):
        elsewhere.refresh()


@pytest.mark.parametrize("scheme", ["file", "local"])
def test_a_folder_may_be_written_as_a_url(scheme, tmp_path, monkeypatch):
    monkeypatch.setenv("LEADLINE_MODELS", f"{scheme}://{tmp_path}/m")
    settings = load_settings()
    assert (settings.models, settings.store) == (tmp_path / "m", None)
