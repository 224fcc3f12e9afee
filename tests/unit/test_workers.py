"""Workers as child processes of `leadline up`."""

import time

from leadline.embedded.child import Child
from leadline.embedded.workers import Workers


def test_they_import_nothing_from_the_folder_where_they_are_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    for name in ("leadline", "typer", "structlog"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('imported from here')", "utf-8")
    with Workers(1, ["join"], {}, tmp_path / "state", tmp_path / "logs", lambda _: None) as workers:
        ended(workers._children[0])
    said = (tmp_path / "logs" / "worker-0.log").read_text("utf-8")
    assert ("KAFKA_BOOTSTRAP is not set" in said, "imported from here" in said) == (True, False)


def test_a_log_is_kept_and_each_start_tells_its_own_end(tmp_path):
    for word in ("one", "two"):
        child = Child("echo", ["echo", word], tmp_path / "log")
        ended(child)
        assert child.last_lines() == word
    assert (tmp_path / "log").read_text("utf-8") == "one\ntwo\n"


def ended(child):
    deadline = time.monotonic() + 60
    while child.running and time.monotonic() < deadline:
        time.sleep(0.02)
    child.stop()
