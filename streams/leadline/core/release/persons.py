"""Who gave a command: the person whose key signed it, or who is named in it, as the policy of the model wants it."""

from leadline.core.processor import Store
from leadline.core.release.signatures import is_signed
from leadline.core.store_keys import RolloutKeys
from leadline.errors import LeadlineError
from leadline.records import Command, identity
from leadline.settings import ApprovalSettings

FRESH_MS = 3_600_000
"""A signed command counts so long after the time in it, and so long before it: clocks differ."""
_TIMES = RolloutKeys.SIGNED + b"t"
_IDS = RolloutKeys.SIGNED + b"i"
_FORGOTTEN = RolloutKeys.SIGNED + b"f"
_BIAS = 2**63


class RefusedError(LeadlineError):
    """A command is not obeyed; the message says why, and what to do."""


def same(name: str) -> str:
    """A name as it is compared with another.

    >>> same(" Ada "), same("ada")
    ('ada', 'ada')
    """
    return name.strip().casefold()


class Persons:
    """Says who gave a command. A signed one counts once: it is known as long as its time is near enough for it to be sent again."""

    def __init__(self, store: Store, installation: str) -> None:
        self._store = store
        self._installation = installation

    def who(self, command: Command, policy: ApprovalSettings, arrival_ms: int) -> str:
        """The name of the person. Raises RefusedError where the policy wants more than is there, and where a signature is not good."""
        signer = self._signer(command, policy, arrival_ms) if command.signature or command.public_key else None
        if signer is not None:
            return signer
        if policy.proof == "signature":
            raise RefusedError(
                "only a command that is signed by a key in [approval] keys counts: make one with `leadline keys new`, and "
                "have it written into model.toml"
            )
        if not command.actor.strip():
            raise RefusedError("it names nobody: say who asks")
        return command.actor.strip()

    def _signer(self, command: Command, policy: ApprovalSettings, arrival_ms: int) -> str | None:
        """Whose key signed a command; None: a key that the policy does not know."""
        if not is_signed(command, self._installation):
            raise RefusedError(
                "its signature is not good: it was changed, or is of another key, cluster or prefix; give it again"
            )
        forgotten = int(self._store.get(_FORGOTTEN) or -_BIAS)
        if abs(arrival_ms - command.event_time) > FRESH_MS or command.event_time < forgotten:
            raise RefusedError(
                "it was signed more than an hour before or after it came: set the clock of the machine that signs, and give it again"
            )
        name = next((name for name, key in policy.keys.items() if same(key) == same(command.public_key)), None)
        if name is not None:
            self._count(command, arrival_ms)
        return name

    def _count(self, command: Command, arrival_ms: int) -> None:
        """Note a signed command. Raises RefusedError where it has counted before."""
        key = _IDS + identity(command.model, command.command_id)
        if self._store.get(key) is not None:
            raise RefusedError("it is signed, and has counted before: give a new one")
        self._forget(arrival_ms - 2 * FRESH_MS)
        self._store.put(key, b"")
        self._store.put(_TIMES + _ordered(command.event_time) + key, key)

    def _forget(self, before_ms: int) -> None:
        """Forget commands whose time is so long ago that they would not count any more."""
        for time, key in list(self._store.scan(_TIMES, _TIMES + _ordered(before_ms))):
            self._store.delete(key)
            self._store.delete(time)
            self._store.put(_FORGOTTEN, b"%d" % before_ms)


def policy_words(policy: ApprovalSettings, asked_by: str) -> str:
    """Whose agreement is waited for.

    >>> policy_words(ApprovalSettings(policy="two"), "ada")
    '2 persons other than ada'
    """
    others = f" other than {asked_by}" if policy.not_requester and asked_by else ""
    count = needed(policy)
    return f"{count} person{'' if count == 1 else 's'}{others}"


def needed(policy: ApprovalSettings) -> int:
    """How many persons have to agree."""
    return {"auto": 0, "one": 1, "two": 2}[policy.policy]


def _ordered(time_ms: int) -> bytes:
    return min(max(time_ms + _BIAS, 0), 2 * _BIAS - 1).to_bytes(8, "big")
