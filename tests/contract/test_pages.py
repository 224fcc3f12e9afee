"""What the documents tell to type can be typed: commands have these options, settings have these keys, Python runs."""

import os
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from leadline.cli import app
from leadline.settings import ModelSettings
from leadline.settings.notify import NotifySettings
from pages import PAGES, ROOT, blocks, commands

ALL = [block for page in PAGES for block in blocks(page)]
SHELL = [(block.place, line) for block in ALL if block.language == "sh" for line in commands(block)]
TYPED = [(place, line) for place, line in SHELL if line.startswith("leadline ")]
NAMED = sorted({each for page in PAGES for each in re.findall(r"`(leadline\s[a-z][^`.…]*)`", page.read_text("utf-8"))})


def command_of(words):
    """The command that these words name, and those that are left for it."""
    command = typer.main.get_command(app)
    left = words[1:]
    while hasattr(command, "commands"):
        assert left, f"{words} names no command"
        assert left[0] in command.commands, f"leadline has no command {left[0]!r}"
        command, left = command.commands[left[0]], left[1:]
    return command, left


@pytest.mark.parametrize(
    "line", [pytest.param(line, id=f"{place}-{number}") for number, (place, line) in enumerate(TYPED)]
)
def test_a_command_that_is_to_be_typed_parses(line, tmp_path, monkeypatch):
    command, left = command_of(shlex.split(line))
    monkeypatch.chdir(tmp_path)
    for name in left:
        (tmp_path / Path(name).name).touch()  # some commands look whether their files are there
    command.make_context(command.name, left)


@pytest.mark.parametrize("text", NAMED)
def test_a_command_that_is_named_has_its_options(text):
    command, left = command_of(shlex.split(text))
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    assert {word for word in left if word.startswith("-")} <= known


def test_a_wrong_option_is_found():
    command, left = command_of(["leadline", "model", "add", "m.skops", "--settings", "m.toml", "--refrence", "r.csv"])
    with pytest.raises(Exception, match="refrence"):
        command.make_context(command.name, left)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_link_leads_somewhere(name):
    """`scripts/docs` looks after those of docs/."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text("utf-8"))
    assert {link for link in links if not (ROOT / link).exists()} == set()


def test_every_script_is_there():
    named = {line.split()[0] for _, line in SHELL if line.startswith("scripts/")}
    assert {name for name in named if not os.access(ROOT / name, os.X_OK)} == set()


@pytest.mark.parametrize("block", [pytest.param(each, id=each.place) for each in ALL if each.language == "toml"])
def test_settings_are_settings(block):
    kind = NotifySettings if "[[targets]]" in block.text else ModelSettings
    kind.model_validate(tomllib.loads(block.text))


def test_programs_are_shown_from_a_file_that_is_tried():
    """tests/integration runs each file of samples/, against a real Kafka."""
    assert {each.place for each in ALL if each.language in ("python", "js", "java") and each.sample is None} == set()
