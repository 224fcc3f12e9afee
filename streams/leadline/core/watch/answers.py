"""Answers to commands that are remembered: one that comes again gets the answer that it had."""

import json
from dataclasses import asdict

from leadline.core.processor import Store
from leadline.records import Command, CommandAnswer, identity

REMEMBERED = 10_000
"""Commands of a partition whose answers are remembered, the newest ones."""


class Answers:
    """The answers of one stage on one partition, in its store. ``prefix``: that of its keys."""

    def __init__(self, store: Store, prefix: bytes) -> None:
        self._store = store
        self._answer, self._order, self._progress = prefix + b"a", prefix + b"o", prefix + b"m"

    def known(self, command: Command) -> CommandAnswer | None:
        """The answer that a command had; None where it is new, or was forgotten."""
        held = self._store.get(self._key(command))
        return None if held is None else CommandAnswer(**json.loads(held))

    def remember(self, command: Command, answer: CommandAnswer) -> None:
        """Keep an answer, and forget the oldest one where there are too many."""
        key, number = self._key(command), int(self._store.get(self._progress) or 0)
        self._store.put(self._progress, b"%d" % (number + 1))
        self._store.put(key, json.dumps(asdict(answer)).encode())
        self._store.put(self._order_key(number), key)
        if number >= REMEMBERED:
            oldest = self._order_key(number - REMEMBERED)
            self._store.delete(self._store.get(oldest) or oldest)
            self._store.delete(oldest)

    def _key(self, command: Command) -> bytes:
        return self._answer + identity(command.model, command.command_id)

    def _order_key(self, number: int) -> bytes:
        return self._order + number.to_bytes(8, "big")
