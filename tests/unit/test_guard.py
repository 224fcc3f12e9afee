"""What a version may take in shadow: it is stopped where it takes more, told, and not begun with again by the next process."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from leadline.core.models import StoppedError
from leadline.core.processor import Call
from leadline.hosts import guard as guards
from leadline.hosts.guard import MOST_ENDS, MOST_SLOW, Guard
from leadline.hosts.health import Health
from leadline.hosts.watching import Watch, WatchedModels
from leadline.records import VersionHealth
from leadline.settings import ModelSettings
from stages import Models, version

SETTINGS = ModelSettings(name="m", numeric=["x"])


class Dies(BaseException):
    """The process ends here."""


class Predictor:
    def __init__(self, does):
        self.does = does

    def predict(self, matrix, texts=None):
        self.does()
        return np.zeros(len(matrix))


def a_process(tmp_path, does, rollout="r1", memory=None, kept=None):
    """A process that scores with v2; its files are free again when the one before it is gone."""
    known = version(SETTINGS, name="v2")
    object.__setattr__(known, "predictor", Predictor(does))
    health = Health()
    guard = Guard(tmp_path, health, lambda _: rollout, memory, alone=True)
    loaded = WatchedModels(Models({"m": SETTINGS}, {("m", "v2"): known}), guard).loaded("m", "v2", 0)
    return SimpleNamespace(guard=guard, health=health, predict=lambda: loaded.predictor.predict(np.zeros((3, 1)), {}))


def end(process):
    guards.os.close(process.guard._mark)


def stopped(process):
    return [each.stopped for each in process.health.versions_lately()]


def die():
    raise Dies


def test_a_slow_version_is_stopped_and_stays_so_until_the_next_rollout(tmp_path, monkeypatch):
    monkeypatch.setattr(guards, "SLOW_S", -1.0)
    process = a_process(tmp_path, lambda: None)
    for _ in range(MOST_SLOW):
        process.predict()
    with pytest.raises(StoppedError):
        process.predict()
    [why], [trouble] = stopped(process), process.health.troubles()
    assert "calls took longer" in why
    assert why in trouble.message
    end(process)
    again = a_process(tmp_path, lambda: None)
    with pytest.raises(StoppedError):
        again.predict()
    assert stopped(again) == [why]
    end(again)
    other = a_process(tmp_path, lambda: None, rollout="r2")
    other.predict()
    assert (stopped(other), other.health.troubles()) == ([], [])
    end(other)


def test_after_some_ends_of_the_process_at_work_a_version_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(Guard, "ends", lambda *_: None)  # nothing is done any more by a process that is killed
    for _ in range(MOST_ENDS):
        process = a_process(tmp_path, die)
        assert stopped(process) == []
        with pytest.raises(Dies):
            process.predict()
        end(process)
    process = a_process(tmp_path, die)
    with pytest.raises(StoppedError):
        process.predict()
    [why] = stopped(process)
    assert f"ended {MOST_ENDS} times" in why
    end(process)


def test_a_version_whose_loading_ends_the_process_is_not_loaded_again(tmp_path):
    class Killing(Models):
        def loaded(self, model, version, rolled_out_ms):
            raise Dies

    for _ in range(MOST_ENDS):
        guard = Guard(tmp_path, Health(), lambda _: "r", None, alone=True)
        with pytest.raises(Dies):
            WatchedModels(Killing(), guard).loaded("m", "v2", 0)
        guards.os.close(guard._mark)
    guard = Guard(tmp_path, Health(), lambda _: "r", None, alone=True)
    known = Killing({"m": SETTINGS}, {("m", "v2"): version(SETTINGS, name="v2")})
    with pytest.raises(StoppedError):
        WatchedModels(known, guard).loaded("m", "v2", 0).predictor.predict(np.zeros((1, 1)), {})
    guards.os.close(guard._mark)


def test_the_one_that_took_the_memory_is_told_of(tmp_path, monkeypatch):
    data = iter([0, 0, 0, 950] * MOST_ENDS)
    monkeypatch.setattr(guards, "_data_bytes", lambda: next(data))
    for _ in range(MOST_ENDS):
        process = a_process(tmp_path, lambda: None, memory=1000)
        with pytest.raises(MemoryError):
            process.predict()
        end(process)
    process = a_process(tmp_path, lambda: None, memory=1000)
    assert len(stopped(process)) == 1
    end(process)


def test_two_processes_in_one_folder_do_not_read_each_other(tmp_path):
    def hardly():
        other = a_process(tmp_path, lambda: None)
        other.predict()
        end(other)

    process = a_process(tmp_path, hardly)
    for _ in range(MOST_ENDS + 1):
        process.predict()
    end(process)


def test_what_versions_did_lately():
    health, watch = Health(), Watch()
    for seconds in (0.5, 0.25):
        watch.ends("m", "v1", seconds)
    calls = [
        Call("m", "v1", "champion", 1, 10, 0),
        Call("m", "v2", "shadow", 0, 3, 3),
        Call("m", "v1", "champion", 1, 5, 1),
    ]
    health.called(calls, watch.taken())
    assert watch.taken() == []
    health.stops("m", "v2", "shadow", "too slow")
    assert health.versions_lately() == [
        VersionHealth("m", "v1", "champion", 15, 1, 2, 0.75),
        VersionHealth("m", "v2", "shadow", 3, 3, 0, 0.0, "too slow"),
    ]


def test_its_process_gets_the_processor_after_those_that_somebody_waits_for():
    code = (
        "import os; from leadline.hosts.guard import stand_back; stand_back(None); "
        "print(os.nice(0) - os.getpriority(os.PRIO_PROCESS, os.getppid()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "10\n"
