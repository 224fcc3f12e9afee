"""A store of models that machines share: any URL of fsspec, with a folder of this machine that holds copies of what was needed here.

The store has the layout of a models' folder. A version never changes and its manifest is written last, so readers see all of it or
nothing. What is copied is compared with its manifest, here as everywhere. Training sets lie beside the versions, as in a folder.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from leadline.learning.errors import NotHereError, RegistryError
from leadline.learning.limits import LIMITS, MANIFEST, TRAINING_SETS
from leadline.learning.manifest import listed, verified
from leadline.learning.model_files import SETTINGS, valid_name
from leadline.learning.written import durable, hidden, write_version
from leadline.settings import Settings
from leadline.settings.model import MOST_BYTES
from leadline.settings.private import private_folder

LOOK_EVERY_S = 5.0
"""A worker looks so often whether there are new models; one that is there is used as it is here while the store is away."""
_PATIENCE_S = 5.0
"""So long a request of a model that is not here waits for a look, once there was one: from an empty disk nobody can be answered before."""
_RESTS_S = 30.0
"""So long a store that did not answer is not asked again by those who serve."""
_SILENT_S = 5
"""So long an S3 may be silent, twice; else one that takes connections and never answers would hold scoring up for minutes."""
_CLAIM = "claim.json"
_SET, _ERASED = _OF_SETS = (".parquet", ".erased.json")
_T = TypeVar("_T")
_log = structlog.get_logger("leadline.models")


class StoreAwayError(RegistryError):
    """The store cannot be read or written for now."""


class _TakenError(RegistryError):
    """A file is there already."""


class ModelStore:
    """The models at ``url``, and ``mirror``, the folder of their copies here. Threads may share it."""

    def __init__(self, url: str, mirror: Path) -> None:
        self.url = url
        self.mirror = mirror
        self._lock = threading.RLock()
        self._beginning = threading.Lock()
        self._looking = threading.Thread()
        self._has_looked = False
        self._looked_at = -LOOK_EVERY_S
        self._opened: Any = None
        self._is_away = False
        self._again_at = 0.0

    # -- what is there ------------------------------------------------------------------------------------------------

    def models(self) -> list[str]:
        """Names of the models in the store. Raises StoreAwayError."""
        return [name for name in self._names() if self._has(name, SETTINGS)]

    def versions(self, model: str) -> list[str]:
        """Names of the versions of a model in the store: those that are whole. Raises StoreAwayError."""
        return [name for name in self._names(model) if self._has(model, name, MANIFEST)]

    def look(self) -> None:
        """Have the settings of all models here, as they are in the store, now and then; a store that does not answer is not waited for."""
        with self._beginning:
            now = time.monotonic()
            if not self._looking.is_alive() and now - self._looked_at >= LOOK_EVERY_S and not self._rests():
                self._looked_at = now
                self._looking = threading.Thread(target=self._look, name="leadline-models", daemon=True)
                self._looking.start()
            looking, left_s = self._looking, 0.0 if self._is_away else self._looked_at + _PATIENCE_S - now
        if looking.is_alive() and (left_s > 0 or not self._has_looked):
            looking.join(left_s if self._has_looked else None)

    def _look(self) -> None:
        with suppress(StoreAwayError):
            self.refresh()
        self._has_looked = True

    def refresh(self) -> None:
        """Have the settings of all models here; a model that is gone from the store is gone here. Raises StoreAwayError."""
        with self._lock:
            there = self.models()
            for model in there:
                self._copy_settings(model)
            for folder in private_folder(self.mirror).iterdir():
                if valid_name(folder.name) and folder.name not in there:
                    _take_away(folder)

    # -- from the store -----------------------------------------------------------------------------------------------

    def fetch_soon(self, model: str, version: str) -> None:
        """As `fetch`, for who serves: of a store that did not answer lately only what is here is taken, at once."""
        if not self._rests():
            self.fetch(model, version)
        elif not (self.mirror / model / version).is_dir():
            raise StoreAwayError(
                f"{self.url} cannot be reached since a little while; it is asked again within a minute"
            )

    def fetch(self, model: str, version: str) -> None:
        """Have a version here, whole, as it is in the store; what is here already is not copied again.

        Raises NotHereError where the store has no such version, RegistryError where it is broken there, and StoreAwayError where nobody
        knows and it is not here either.
        """
        if not (valid_name(model) and valid_name(version)):
            return
        with self._lock:
            here = self.mirror / model / version
            try:
                stated = self._read(MANIFEST, model, version)
            except StoreAwayError:
                if here.is_dir():
                    return
                raise
            if stated is None:
                _take_away(here)
                raise NotHereError(f"{model} {version} is not in {self.url}: add it with `leadline model add`")
            if not _is_same(here / MANIFEST, stated) or not _is_whole(self.mirror, model, version):
                self._copy(model, version, stated)

    def fetch_all(self, model: str) -> None:
        """Have all versions of a model here; those that are gone from the store are gone here. Raises as `fetch`."""
        if not valid_name(model):
            return
        with self._lock:
            self.refresh()
            there = self.versions(model)
            for version in there:
                self.fetch(model, version)
            folder = self.mirror / model
            gone = [each for each in folder.iterdir() if valid_name(each.name)] if folder.is_dir() else []
            for each in gone:
                if each.is_dir() and each.name not in there:
                    _take_away(each)

    def fetch_sets(self, model: str) -> None:
        """Have the training sets of a model here, as they are in the store. Raises StoreAwayError.

        They never change, but for those from which a person's rows were removed, here or there: those are copied again.
        """
        if not valid_name(model):
            return
        with self._lock:
            folder = private_folder(self.mirror / model / TRAINING_SETS)
            there = [each for each in self._names(model, TRAINING_SETS, only_valid=False) if each.endswith(_OF_SETS)]
            here = [each.name for each in folder.iterdir()]
            changed = {each.removesuffix(_ERASED) for each in {*there, *here} if each.endswith(_ERASED)}
            for name in there:
                if name not in here or _set_of(name) in changed:
                    self._call(partial(_download, folder / name), model, TRAINING_SETS, name)
            never_came = {name for name in changed if f"{name}{_SET}" in there and f"{name}{_ERASED}" not in there}
            for name in never_came:  # what was removed here is there again
                (folder / f"{name}{_ERASED}").unlink()

    def _copy(self, model: str, version: str, stated: bytes) -> None:
        _take_away(self.mirror / model / version)
        files = {MANIFEST: stated}
        for name in listed(stated, f"{self.url}/{model}/{version}/{MANIFEST}"):
            data = self._read(name, model, version)
            if data is None:
                raise RegistryError(f"{self.url}/{model}/{version}/{name} is gone: add the version again")
            files[name] = data
        self._copy_settings(model)
        write_version(self.mirror / model / version, files)
        verified(self.mirror, model, version)

    def _copy_settings(self, model: str) -> None:
        path, data = self.mirror / model / SETTINGS, self._read(SETTINGS, model)
        if data is not None and not _is_same(path, data):
            private_folder(path.parent)
            new = path.with_name(hidden(SETTINGS))
            durable(new, data)
            new.replace(path)

    # -- to the store -------------------------------------------------------------------------------------------------

    def publish(self, model: str, version: str) -> None:
        """Write a version that was made here to the store: its claim first, its manifest last. Raises RegistryError.

        Settings that the store has hold; another version of the same name is refused, also one that is only claimed.
        """
        with self._lock:
            folder = self.mirror / model / version
            files = verified(self.mirror, model, version)
            stated = (folder / MANIFEST).read_bytes()
            there = self._read(MANIFEST, model, version)
            if there not in (None, stated):
                raise RegistryError(
                    f"{self.url}/{model}/{version} is there already; a version never changes: use another name"
                )
            self._claim(stated, model, version)
            if self._read(SETTINGS, model) is None:
                self._write((self.mirror / model / SETTINGS).read_bytes(), model, SETTINGS)
            for name, data in files.items():
                self._write(data, model, version, name)
            self._write(stated, model, version, MANIFEST)
            self.publish_sets(model)

    def _claim(self, stated: bytes, model: str, version: str) -> None:
        """Have a name, or see who has it: of two who add the same one only the first writes files. The claim is the manifest to come."""
        at = model, version, _CLAIM
        if self._read(_CLAIM, model, version) is None:
            with suppress(_TakenError):
                self._write(stated, *at, anew=True)
        if self._read(_CLAIM, model, version) != stated:
            raise RegistryError(
                f"somebody else is adding {self.url}/{model}/{version}, or was cut short there: use another name"
            )

    def publish_sets(self, model: str, anew: bool = False) -> None:
        """Write the training sets that are here to the store; ``anew``: also those that are there, since rows were removed."""
        with self._lock:
            folder = self.mirror / model / TRAINING_SETS
            for path in sorted(folder.glob("*")) if folder.is_dir() else []:
                if path.name.endswith(_OF_SETS) and (anew or not self._has(model, TRAINING_SETS, path.name)):
                    self._call(partial(_upload, path), model, TRAINING_SETS, path.name)

    def remove(self, model: str, version: str | None = None) -> None:
        """Remove a version, or a model, from the store: first what makes it one. Raises StoreAwayError."""
        with self._lock:
            first = (model, SETTINGS) if version is None else (model, version, MANIFEST)
            if self._has(*first):
                self._call(lambda fs, at: fs.rm_file(at), *first)
            names = (model,) if version is None else (model, version)
            if self._has(*names):
                self._call(lambda fs, at: fs.rm(at, recursive=True), *names)

    # -- fsspec -------------------------------------------------------------------------------------------------------

    def _names(self, *names: str, only_valid: bool = True) -> list[str]:
        def of(fs: Any, at: str) -> list[str]:
            return [str(each).rstrip("/").rpartition("/")[2] for each in fs.ls(at, detail=False)]

        found = self._call(of, *names) or []
        return sorted(name for name in found if not only_valid or valid_name(name))

    def _has(self, *names: str) -> bool:
        return bool(self._call(lambda fs, at: fs.exists(at), *names))

    def _read(self, name: str, *folder: str) -> bytes | None:
        """A file; None where it is not there. Raises RegistryError where it is larger than such a file may be."""
        most = LIMITS.get(MANIFEST if name == _CLAIM else name, MOST_BYTES)

        def of(fs: Any, at: str) -> bytes:
            size = int(fs.info(at)["size"])
            if size > most:
                raise RegistryError(f"{self.url}/{'/'.join(folder)}/{name} has {size:,} bytes, and at most {most:,}")
            data: bytes = fs.cat_file(at)
            return data[: most + 1]

        return self._call(of, *folder, name)

    def _write(self, data: bytes, *names: str, anew: bool = False) -> None:
        """Write a file; ``anew``: only where there is none, as far as the file system can say that. Raises _TakenError."""

        def of(fs: Any, at: str) -> None:
            try:
                fs.pipe_file(at, data, mode="create" if anew else "overwrite")
            except FileExistsError:
                raise _TakenError(at) from None

        self._call(of, *names)

    def _call(self, of: Callable[[Any, str], _T], *names: str) -> _T | None:
        """What the file system answers; None where the file is not there. Raises StoreAwayError."""
        try:
            fs, base = self._open()
            fs.invalidate_cache()
            found = of(fs, "/".join([base, *names]))
        except FileNotFoundError as error:
            if _has_no_bucket(error):
                raise self._away(error) from None
            found = None
        except RegistryError:
            raise
        except Exception as error:  # noqa: BLE001 - each file system has its own
            raise self._away(error) from None
        self._tell(away=False)
        return found

    def _away(self, error: Exception) -> StoreAwayError:
        why = f"{type(error).__name__}: {error}"
        self._again_at = time.monotonic() + _RESTS_S
        self._tell(away=True, why=why)
        return StoreAwayError(f"{self.url} cannot be reached ({why}); what is here is used meanwhile")

    def _rests(self) -> bool:
        """Whether it did not answer lately, so that nobody who serves waits for it."""
        return self._is_away and time.monotonic() < self._again_at

    def _open(self) -> tuple[Any, str]:
        if self._opened is None:
            self._opened = open_url(self.url)
        opened: tuple[Any, str] = self._opened
        return opened

    def _tell(self, away: bool, why: str = "") -> None:
        """Once, until it is otherwise."""
        if away and not self._is_away:
            _log.warning("the store of models is away; what is here is used meanwhile", url=self.url, error=why)
        if self._is_away and not away:
            _log.info("the store of models is back", url=self.url)
        self._is_away = away


def open_url(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Raises RegistryError where a package is missing."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise RegistryError(f"LEADLINE_MODELS is {url}: pip install 'leadline[store]'") from None
    options: dict[str, Any] = {}
    if url.startswith(("s3://", "s3a://")):
        options = {
            "config_kwargs": {
                "connect_timeout": _SILENT_S,
                "read_timeout": _SILENT_S,
                "retries": {"total_max_attempts": 2},
            }
        }
    try:
        fs, base = url_to_fs(url, **options)
    except (ImportError, ValueError) as error:
        raise RegistryError(f"LEADLINE_MODELS is {url}, which cannot be opened: {error}") from None
    if options:
        fs.retries = 1  # its own beside those of its client
    return fs, str(base).rstrip("/")


def store_of(settings: Settings) -> ModelStore | None:
    """The store that the settings name; None where the models are in a folder of this machine."""
    return None if settings.store is None else ModelStore(settings.store, settings.models)


@contextmanager
def published(settings: Settings, model: str) -> Iterator[None]:
    """What is added to a model inside goes to its store too; what the store refuses is gone here as well. Raises RegistryError."""
    store = store_of(settings)
    if store is None:
        yield
        return
    store.fetch_all(model)
    before = _versions(settings.models / model)
    yield
    for version in sorted(_versions(settings.models / model) - before):
        try:
            store.publish(model, version)
        except RegistryError:
            _take_away(settings.models / model / version)
            raise


def have_here(settings: Settings, model: str | None = None, sets: bool = False) -> None:
    """Have a model (None: all) here, with its training ``sets``, where models are in a store. Raises RegistryError."""
    store = store_of(settings)
    if store is None:
        return
    for each in store.models() if model is None else [model]:
        store.fetch_all(each)
        if sets:
            store.fetch_sets(each)


def _has_no_bucket(error: FileNotFoundError) -> bool:
    """Whether all of the store is gone, and not a file: then it is another one, or a wrong address, and nothing was removed from it."""
    said = getattr(error.__cause__ or error.__context__, "response", None)
    return isinstance(said, dict) and said.get("Error", {}).get("Code") == "NoSuchBucket"


def _versions(folder: Path) -> set[str]:
    return (
        {each.name for each in folder.iterdir() if valid_name(each.name) and each.is_dir()}
        if folder.is_dir()
        else set()
    )


def _set_of(name: str) -> str:
    """Which set a file is, or is about."""
    return name.removesuffix(_SET).removesuffix(_ERASED)


def _upload(path: Path, fs: Any, at: str) -> None:
    fs.put_file(str(path), at)


def _download(to: Path, fs: Any, at: str) -> None:
    new = to.with_name(hidden(to.name))
    try:
        fs.get_file(at, str(new))
        new.chmod(0o600)
        new.replace(to)
    finally:
        new.unlink(missing_ok=True)


def _is_same(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _is_whole(root: Path, model: str, version: str) -> bool:
    try:
        verified(root, model, version)
    except RegistryError:
        return False
    return True


def _take_away(folder: Path) -> None:
    """A folder that nobody reads from now on, and then is gone."""
    if folder.is_dir():
        gone = folder.with_name(hidden(folder.name))
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
