"""What is to be seen on this machine: folders, model files, Redis, libraries."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from leadline.cli.checkup.findings import Finding, for_long, wrong
from leadline.cli.common import models_of
from leadline.settings import ModelSettings, Settings, SettingsError


async def look_here(settings: Settings) -> AsyncIterator[Finding]:
    """All findings of this machine."""
    from leadline.learning.errors import RegistryError
    from leadline.learning.model_files import ModelFiles
    from leadline.learning.registry import Registry

    for folder, name in ((settings.state, "LEADLINE_STATE"), (settings.cache, "LEADLINE_CACHE")):
        yield _folder(folder, name)
    yield _codecs()
    try:
        files = ModelFiles(models_of(settings))
    except RegistryError as error:
        yield wrong("models", str(error), "see that the store can be reached from here, with rights to read it")
        return
    names = Registry(files).models()
    for name in names:
        yield _model(name, files.settings)
    if not names:
        mend = "add one with `leadline model add`, or name their folder in LEADLINE_MODELS"
        yield wrong("models", f"none in {settings.store or settings.models}", mend)
    if any(_looks_up(name, files.settings) for name in names):
        yield await _redis(settings)


def _codecs() -> Finding:
    if find_spec("cramjam") is None:
        mend = "install Leadline with all that it depends on: workers as they are here read no batch of these"
        return wrong("codecs", "snappy, lz4 and zstd cannot be read: cramjam is not installed", mend)
    return Finding("codecs", "gzip, snappy, lz4 and zstd can be read")


def _model(name: str, read: Callable[[str], ModelSettings | None]) -> Finding:
    try:
        model = read(name)
    except SettingsError as error:
        return wrong(f"model {name}", str(error), "mend the file")
    assert model is not None
    return Finding(f"model {name}", f"horizon {for_long(model.horizon)}, window {for_long(model.window)}")


def _looks_up(name: str, read: Callable[[str], ModelSettings | None]) -> bool:
    with suppress(SettingsError):
        model = read(name)
        return model is not None and bool(model.lookups)
    return False


def _folder(folder: Path, name: str) -> Finding:
    near = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not os.access(near, os.W_OK):
        return wrong(name, str(folder), f"{near} cannot be written: choose another folder with {name}")
    return Finding(name, str(folder))


async def _redis(settings: Settings) -> Finding:
    from redis.exceptions import RedisError

    from leadline.lookups.connections import redis_client

    if settings.redis_url is None:
        mend = "set REDIS_URL, or use `leadline up`"
        return wrong("Redis", "a model looks features up, but REDIS_URL is not set", mend)
    client = redis_client(settings.redis_url, socket_timeout=2, socket_connect_timeout=2)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        return wrong("Redis", f"does not answer: {type(error).__name__}", "check REDIS_URL, and that the server runs")
    finally:
        await client.aclose()
    return Finding("Redis", "answers")
