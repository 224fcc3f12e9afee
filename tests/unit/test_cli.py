import json
import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from commands import ALL, run
from leadline.cli.worker import StageName
from leadline.topology import STEPS

SHOWS_NOTHING = {("up",), ("worker",), ("trainer",), ("notify",)}


@pytest.mark.parametrize("words", [(), *ALL], ids=" ".join)
def test_every_command_helps_at_80_columns(monkeypatch, capsys, words):
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*words, "-h"]) == 0
    short = capsys.readouterr()
    assert run([*words, "--help"]) == 0
    assert capsys.readouterr() == short
    assert short.err == ""
    assert max(map(len, short.out.splitlines())) <= 80
    assert ("--json" in short.out) == (bool(words) and words not in SHOWS_NOTHING)


def test_the_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"leadline {version('leadline')}\n"


@pytest.mark.parametrize(
    ("typed", "offers"),
    [
        ("model pro", ["promote"]),
        ("send --to ", ["requests", "outcomes"]),
        ("tail dr", ["drift"]),
        ("worker --step pe", ["performance"]),
    ],
)
def test_a_shell_completes(typed, offers):
    words = {
        "COMP_WORDS": f"leadline {typed}",
        "COMP_CWORD": str(len(typed.split(" "))),
        "_LEADLINE_COMPLETE": "complete_bash",
    }
    command = [sys.executable, "-c", "import sys; sys.argv = ['leadline']; from leadline.cli import main; main()"]
    done = subprocess.run(
        command, executable=sys.executable, env=os.environ | words, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == offers


def test_the_stages_that_a_worker_offers_are_all():
    assert list(StageName) == [step.name for step in STEPS]


def test_a_simulation_as_json(capsys):
    assert run(["simulate", "--events", "5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {name: told[name] for name in ("seed", "seeds", "events", "wrong")} == {
        "seed": 0,
        "seeds": 1,
        "events": 5,
        "wrong": [],
    }


def test_the_command_does_not_read_what_only_some_of_it_needs():
    """It starts sooner, and `leadline worker` still has a choice of Arrow's memory pool."""
    said = "import sys, leadline.cli; print(*{'pyarrow', 'sklearn', 'faust'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", said], text=True).split() == []


def test_a_worker_does_not_read_what_only_some_stages_need():
    """It takes a twentieth less memory."""
    said = "import sys, leadline.hosts.worker; print(*{'scipy', 'sklearn', 'skops'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", said], text=True).split() == []
