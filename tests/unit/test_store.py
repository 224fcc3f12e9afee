"""Models in a store: any file system of fsspec, copies of it here, and a store that is away."""

import json
import os
import socket
import threading
import time
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
    here.publish_sets("fraud", anew=True)
    third = ModelStore(here.url, here.mirror.with_name("c"))
    third.fetch_sets("fraud")
    assert TrainingSets(third.mirror, "fraud").path("d").read_bytes() == b"without "


def test_what_is_erased_comes_back_from_no_other_machine_and_is_not_lost_where_the_store_was_away(here, elsewhere):
    """A copy of before is copied again; what was erased here and never came to the store is there again, to be erased again."""
    make(here.mirror)
    one, other = (TrainingSets(each.mirror, "fraud") for each in (here, elsewhere))
    one.folder.mkdir()
    one.path("d").write_bytes(b"with Ada and Bob")
    here.publish("fraud", "v1")
    elsewhere.fetch_sets("fraud")
    one.note(one.path("d"), {"before": "1", "after": "2"})
    one.path("d").write_bytes(b"with Bob")
    here.fetch_sets("fraud")  # the store was away when this was to be published
    assert (one.path("d").read_bytes(), one.erasures(one.path("d"))) == (b"with Ada and Bob", [])
    one.note(one.path("d"), {"before": "1", "after": "2"})
    one.path("d").write_bytes(b"with Bob")
    here.publish_sets("fraud", anew=True)
    elsewhere.fetch_sets("fraud")
    assert (other.path("d").read_bytes(), len(other.erasures(other.path("d")))) == (b"with Bob", 1)
    elsewhere.publish_sets("fraud", anew=True)
    assert here._read("d.parquet", "fraud", ".training-sets") == b"with Bob"


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


def test_a_store_that_takes_connections_and_never_answers_holds_nobody_up_twice(tmp_path, monkeypatch):
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr("leadline.learning.store._SILENT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        store = ModelStore("s3://silent/team", tmp_path)
        make(tmp_path)
        models = CachedModels(tmp_path, store)
        began = time.monotonic()
        assert models.loaded("fraud", "v2", 0) is None
        assert time.monotonic() - began < 10
        assert models.settings("nobody") is None  # nobody looks now
        with pytest.raises(StoreAwayError, match="since a little while"):
            store.fetch_soon("fraud", "v3")
        assert models.loaded("fraud", "v1", 0) is not None


def test_a_request_of_a_model_that_is_not_here_does_not_wait_for_a_store_that_is_silent(tmp_path, monkeypatch):
    """But for the first time: with an empty disk there is nobody to answer before the store has said which models there are."""
    monkeypatch.setattr("leadline.learning.store._PATIENCE_S", 0.2)
    monkeypatch.setattr("leadline.learning.store.LOOK_EVERY_S", 0.0)
    silent, waits = threading.Event(), iter([1.0, 10.0])
    monkeypatch.setattr(ModelStore, "refresh", lambda _: silent.wait(next(waits)))
    models = CachedModels(tmp_path, ModelStore("memory://silent", tmp_path))
    began = time.monotonic()
    assert models.settings("nobody") is None
    assert time.monotonic() - began >= 1
    began = time.monotonic()
    assert [models.settings("nobody") for _ in range(100)] == [None] * 100
    assert time.monotonic() - began < 2
    silent.set()


def test_where_the_whole_bucket_is_gone_nothing_was_removed(s3, tmp_path, monkeypatch):
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    store = ModelStore("s3://no-such-bucket/team", tmp_path)
    make(tmp_path)
    with pytest.raises(StoreAwayError, match="bucket does not exist"):
        store.refresh()
    with pytest.raises(StoreAwayError, match="bucket does not exist"):
        store.fetch("fraud", "v2")
    store.fetch("fraud", "v1")
    assert ModelFiles(tmp_path).versions("fraud") == ["v1"]


def test_of_two_who_add_the_same_name_at_once_one_is_refused(here, elsewhere, monkeypatch):
    """The second one looks before the first one has written its manifest, and writes behind it."""
    make(here.mirror)
    make(elsewhere.mirror, shift=1.0)
    write = ModelStore._write

    def slowly(self, data, *names, **how):
        if self is here and names[-1] == MODEL:
            with pytest.raises(RegistryError, match="somebody else is adding"):
                elsewhere.publish("fraud", "v1")
        write(self, data, *names, **how)

    monkeypatch.setattr(ModelStore, "_write", slowly)
    here.publish("fraud", "v1")
    third = ModelStore(here.url, here.mirror.with_name("c"))
    third.fetch("fraud", "v1")
    assert ModelFiles(third.mirror).load("fraud", "v1")


def test_who_was_cut_short_goes_on_with_the_same_version(here, elsewhere, monkeypatch):
    make(here.mirror)
    write = ModelStore._write

    def ends(self, data, *names, **how):
        if names[-1] == MANIFEST:
            raise StoreAwayError("away")
        write(self, data, *names, **how)

    with monkeypatch.context() as patch:
        patch.setattr(ModelStore, "_write", ends)
        with pytest.raises(StoreAwayError):
            here.publish("fraud", "v1")
    assert elsewhere.versions("fraud") == []
    here.publish("fraud", "v1")
    elsewhere.fetch("fraud", "v1")


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
