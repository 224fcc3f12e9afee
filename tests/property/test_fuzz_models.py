"""A thousand changed model folders; `scripts/fuzz models` has as many as you like. And that it finds what it looks for."""

import re
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from fuzz import check_folder
from fuzz.check_folder import check_added, check_folders
from fuzz.folders import FILES

from leadline.learning.limits import SIGNATURE


@pytest.mark.parametrize("number", range(len(FILES)))
def test_a_changed_folder_is_used_or_refused_and_nothing_else_happens(number):
    found = check_folders(1, number)
    assert not found.wrong, f"scripts/fuzz models --seed 1 --first {number} --inputs 1: {found.wrong}"
    assert found.accepted or FILES[number] == SIGNATURE  # its id says that it was changed
    assert found.rejected


def test_a_changed_file_is_added_or_refused():
    found = check_added(1, 0)
    assert not found.wrong
    assert found.accepted + found.rejected.total() == 1


def raises(root):
    raise KeyError("x")


def reads(root):
    Path("/etc/passwd").read_bytes()


def swallows(root):
    with suppress(OSError):
        reads(root)


def calls_out(root):
    with socket.socket() as one:
        one.connect(("127.0.0.1", 9))


def writes(root):
    (root / "new").write_bytes(b"")


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (raises, "KeyError"),
        (reads, "tried to open '/etc/passwd'"),
        (swallows, "it tried to open '/etc/passwd'"),
        (calls_out, "tried socket"),
        (writes, "tried to write"),
    ],
)
def test_what_it_looks_for_is_found(what, why, monkeypatch):
    monkeypatch.setattr(check_folder, "_use", what)
    assert re.search(why, check_folders(1, 0).wrong)
