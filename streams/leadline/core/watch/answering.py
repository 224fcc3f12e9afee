"""Answers to commands: one for each, remembered by the command's model and id, and said again where the command comes again.

So many of the last ones are remembered: `REMEMBERED`.
"""

import json
from dataclasses import asdict
from typing import Protocol

from leadline.core.processor import Store
from leadline.records import Command, CommandAnswer, identity

REMEMBERED = 10_000
"""Commands of a partition whose answers are remembered, the newest ones."""


class Keys(Protocol):
    """Where a stage keeps its answers, their order, and how many there were."""

    ANSWER: bytes
    ORDER: bytes
    ANSWERED: bytes


class Answers:
    """The answers of one task. ``keys``: the stage's own, such as `leadline.core.store_keys.ConfigurationKeys`."""

    def __init__(self, store: Store, keys: type[Keys]) -> None:
        self._store = store
        self._keys = keys

    def given(self, command: Command) -> CommandAnswer | None:
        """The answer that this command had; None where it is new."""
        held = self._store.get(self._key(command))
        return None if held is None else CommandAnswer(**json.loads(held))

    def give(self, command: Command, answer: str, reason: str, arrival_ms: int) -> CommandAnswer:
        """Answer a command that is new; the oldest answer is forgotten where there are too many."""
        given = CommandAnswer(command.command_id, command.model, command.kind, answer, reason, as_of=arrival_ms)
        key, number = self._key(command), int(self._store.get(self._keys.ANSWERED) or 0)
        self._store.put(self._keys.ANSWERED, b"%d" % (number + 1))
        self._store.put(key, json.dumps(asdict(given)).encode())
        self._store.put(self._order_key(number), key)
        if number >= REMEMBERED:
            oldest = self._order_key(number - REMEMBERED)
            self._store.delete(self._store.get(oldest) or oldest)
            self._store.delete(oldest)
        return given

    def _key(self, command: Command) -> bytes:
        return self._keys.ANSWER + identity(command.model, command.command_id)

    def _order_key(self, number: int) -> bytes:
        return self._keys.ORDER + number.to_bytes(8, "big")
