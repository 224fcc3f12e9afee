"""Signed commands: which bytes a person signs, and whether a signature is theirs."""

import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from leadline.records import Command

_FORM = "leadline-command-1"
KEY_BYTES, SIGNATURE_BYTES = 32, 64


def signed_bytes(command: Command, installation: str) -> bytes:
    """What is signed: all that a command says, the key, and the installation, as JSON with sorted keys, no spaces, and ASCII alone.

    ``installation``: `leadline.wire.origins.Origin.installation`; a command that is signed for one is none in another.

    >>> signed_bytes(Command("c1", "approve", "m", "ada", "fine", {"version": "v2"}, 5, "ab"), "k/p")[:57]
    b'{"actor":"ada","arguments":{"version":"v2"},"command_id":'
    """
    said = {
        "form": _FORM,
        "installation": installation,
        "command_id": command.command_id,
        "kind": command.kind,
        "model": command.model,
        "actor": command.actor,
        "reason": command.reason,
        "arguments": command.arguments,
        "event_time": command.event_time,
        "public_key": command.public_key,
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def signature(command: Command, installation: str, private_key: bytes) -> str:
    """The signature of a command by a private key, in hexadecimal; the command names the public key already."""
    return Ed25519PrivateKey.from_private_bytes(private_key).sign(signed_bytes(command, installation)).hex()


def public_key(private_key: bytes) -> str:
    """The public key of a private one, in hexadecimal."""
    return Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw().hex()


def is_signed(command: Command, installation: str) -> bool:
    """Whether the signature of a command is that of its public key, for this installation."""
    key, said = _bytes(command.public_key, KEY_BYTES), _bytes(command.signature, SIGNATURE_BYTES)
    if key is None or said is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(said, signed_bytes(command, installation))
    except (InvalidSignature, ValueError):
        return False
    return True


def _bytes(text: str, length: int) -> bytes | None:
    """So many bytes, written in hexadecimal; None for any other text."""
    if len(text) != 2 * length or not text.isascii() or not text.isalnum():
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None
