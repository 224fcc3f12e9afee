"""Real servers, one of each for all processes of the tests: your own where KAFKA_BOOTSTRAP and REDIS_URL name them, else embedded ones."""

import fcntl
from contextlib import ExitStack, contextmanager

import pytest

from leadline.embedded import Servers, servers
from leadline.settings import load_settings


@pytest.fixture(scope="session")
def kafka(running):
    return running.bootstrap


@pytest.fixture(scope="session")
def redis_url(running):
    return running.redis_url


@pytest.fixture(scope="session")
def running(tmp_path_factory, worker_id):
    own = tmp_path_factory.getbasetemp()
    with shared(own if worker_id == "master" else own.parent) as running:
        yield running


@contextmanager
def shared(folder):
    """The servers of all who name this folder: who comes first starts them, and stops them when the others have let go."""
    with ExitStack() as stack, (folder / "servers").open("a+") as known, (folder / "in-use").open("a") as in_use:
        with alone(known):
            known.seek(0)
            found = known.read().split()
            running = Servers(*found) if found else stack.enter_context(servers(load_settings(), redis=True))
            if not found:
                known.write(f"{running.bootstrap} {running.redis_url}")
                known.flush()
            fcntl.flock(in_use, fcntl.LOCK_SH)
        yield running
        fcntl.flock(in_use, fcntl.LOCK_UN)
        if not found:
            with alone(known), alone(in_use):
                known.truncate(0)
                stack.close()


@contextmanager
def alone(file):
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
