"""The ``leadline`` command inside of a test."""

import typer

from leadline.cli import app, common
from leadline.ending import exit_code

NAMES_OF_SETTINGS = ("LEADLINE_", "KAFKA_", "REDIS_")


def run(arguments):
    """Run a command; its exit code."""
    try:
        return exit_code(lambda: app(arguments, standalone_mode=False), common.unreachable)
    except SystemExit as ended:
        return ended.code or 0


def _commands(group, path=()):
    for name, each in group.commands.items():
        yield from _commands(each, (*path, name)) if hasattr(each, "commands") else [(*path, name)]


ALL = list(_commands(typer.main.get_command(app)))
"""Every command that there is, as words."""
