"""``leadline keys``: the key of a person, by which commands are signed."""

import os
import stat
from pathlib import Path

import typer

from leadline.cli.common import Json, put, put_json
from leadline.settings import SettingsError
from leadline.settings.private import private_folder, write_private

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _keys() -> None:
    """The key of a person: commands are signed by it, as soon as it is there."""


def key_file() -> Path:
    """Where the private key of this user is kept."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "leadline" / "key.pem"


def private_key() -> bytes | None:
    """The private key of this user; None where there is none. Raises SettingsError where it cannot be used."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = key_file()
    try:
        if not path.exists():
            return None
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SettingsError(
                f"{path} may be read by others: `chmod 600` it, or make a new one where they have read it"
            )
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(
            f"{path} is no ed25519 key without password: move it away, and make one with `leadline keys new`"
        )
    return key.private_bytes_raw()


@app.command()
def new(json: Json = False) -> None:
    """Make a key for this user. Its private part stays in a file that nobody else may read."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    path = key_file()
    if path.exists():
        raise SettingsError(f"{path} is there already: move it away if you want another one")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        private_folder(path.parent)
        write_private(path, pem.decode())
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or error}") from None
    _show(json)


@app.command()
def show(json: Json = False) -> None:
    """Show the public part of this user's key: who writes model.toml puts it into [approval] keys."""
    _show(json)


def _show(json: bool) -> None:
    from leadline.cli.asking import user
    from leadline.core.release.signatures import public_key

    private = private_key()
    if private is None:
        raise SettingsError(f"{key_file()} is not there: make a key with `leadline keys new`")
    public = public_key(private)
    if json:
        put_json({"file": str(key_file()), "public_key": public})
        return
    put(f"your key is in {key_file()}; in model.toml it is")
    put("")
    put("[approval.keys]")
    put(f'"{user()}" = "{public}"')
