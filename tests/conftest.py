"""What holds for all tests."""

import os

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from leadline.kafka.schemas import forget

settings.register_profile("leadline", deadline=None)  # no test is timed
settings.load_profile("leadline")
# The tests fill the cores: threads that wait for each other would be in the way, and no broker lives long enough to be worth optimizing.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")

_TOGETHER = tuple(f"tests/integration/test_{each}.py" for each in ("forms", "loop", "replay", "samples", "security"))
_LONG = ("integration/test_faults", "integration", "simulation")


class Scheduling(LoadScopeScheduling):
    """Each test goes to the next process that is free; those of a file that share what is slow to start go to one, and first."""

    def _split_scope(self, nodeid):
        return nodeid.split("::")[0] if nodeid.startswith(_TOGETHER) else nodeid


@pytest.fixture(autouse=True, scope="module")
def _ids_of_this_file():
    """What a registry of one file said of an id is not believed in another."""
    yield
    forget()


def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)


def pytest_collection_modifyitems(items):
    """Tests that take long begin first: at the end no process has much more left than the others."""
    items.sort(key=lambda item: next((turn for turn, name in enumerate(_LONG) if name in item.nodeid), len(_LONG)))
