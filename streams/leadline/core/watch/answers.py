"""The answers to commands, so that a command that comes again changes nothing and gets the answer that it had."""

import json
from dataclasses import asdict

from leadline.core.processor import Store
from leadline.records import Command, CommandAnswer, identity

REMEMBERED = 10_000
"""Commands of a partition whose answers are remembered, the newest ones."""
_ANSWER, _ORDER, _NEXT = b"a", b"o", b"n"


class Answers:
    """The answers that a stage gave to the commands of a partition, by model and command id, below one prefix of its store."""

    def __init__(self, store: Store, prefix: bytes) -> None:
        self._store = store
        self._prefix = prefix

    def known(self, command: Command) -> CommandAnswer | None:
        """The answer that a command had; None: it is new, or was forgotten."""
        held = self._store.get(self._key(command))
        return None if held is None else CommandAnswer(**json.loads(held))

    def give(self, command: Command, answer: str, reason: str, as_of: int) -> CommandAnswer:
        """Answer a command that is new."""
        given = CommandAnswer(command.command_id, command.model, command.kind, answer, reason, as_of)
        self.remember(command, given)
        return given

    def remember(self, command: Command, answer: CommandAnswer) -> None:
        """Keep an answer, and forget the oldest one where there are too many."""
        number, key = int(self._store.get(self._prefix + _NEXT) or 0), self._key(command)
        self._store.put(self._prefix + _NEXT, b"%d" % (number + 1))
        self._store.put(key, json.dumps(asdict(answer)).encode())
        self._store.put(self._place(number), key)
        if number >= REMEMBERED:
            oldest = self._place(number - REMEMBERED)
            self._store.delete(self._store.get(oldest) or oldest)
            self._store.delete(oldest)

    def _key(self, command: Command) -> bytes:
        return self._prefix + _ANSWER + identity(command.model, command.command_id)

    def _place(self, number: int) -> bytes:
        return self._prefix + _ORDER + number.to_bytes(8, "big")
