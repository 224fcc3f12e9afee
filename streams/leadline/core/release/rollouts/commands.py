"""What persons ask of rollouts. Each method returns what is answered, or raises RefusedError with what to do."""

from leadline.core.models import Models
from leadline.core.release.approvals import Approvals
from leadline.core.release.persons import RefusedError, needed
from leadline.core.release.rollouts.rolling import Rolling
from leadline.core.release.rollouts.table import Event
from leadline.core.release.rollouts.told import Said
from leadline.core.release.rollouts.under_way import MOST_ARMS, UnderWay, place
from leadline.core.release.states import State
from leadline.core.release.versions import Known, Versions
from leadline.records import Command, brief, to_number

MODE, SHARES, VERSION = "mode", "shares", "version"
_MODES = ("shadow", "canary", "ab")


class RolloutCommands:
    """Obeys what is asked about rollouts."""

    def __init__(self, versions: Versions, models: Models, approvals: Approvals, rolling: Rolling) -> None:
        self._versions = versions
        self._models = models
        self._approvals = approvals
        self._rolling = rolling

    def start(self, command: Command, version: str, person: str, at_ms: int) -> str:
        """A person begins a rollout of a version that may become champion."""
        model, champion = command.model, self._versions.champion(command.model)
        under_way = self._rolling.of(model, at_ms).under_way
        if under_way is not None:
            raise RefusedError(
                f"the rollout of {under_way.version} is under way ({place(under_way)}): wait for its end, or end it with "
                f"`leadline rollout abort {model}`"
            )
        if not version:
            raise RefusedError("it names no version: arguments are version, mode, and for ab shares")
        if not champion:
            raise RefusedError(
                f"no version answers yet: `leadline model promote {model} {version}` makes it the first champion"
            )
        mode, shares = _mode(command), _shares(command, version)
        if mode == "canary" and not self._approvals.settings(model).rollout.steps:
            raise RefusedError("[rollout] steps is empty: start it in shadow")
        arms = [self._may_start(model, each, champion, at_ms) for each in sorted(shares)]
        planned = UnderWay("", version, champion, "", "none", mode, shares, 0, 0)
        return self._rolling.begin(arms, planned, Said(person, command.reason, command.command_id), at_ms)

    def pause(self, command: Command, version: str, person: str, at_ms: int) -> str:
        """Hold it where it is."""
        return self._happen(Event.PAUSE, "paused", command, version, person, at_ms)

    def resume(self, command: Command, version: str, person: str, at_ms: int) -> str:
        """Let it go on."""
        return self._happen(Event.RESUME, "resumed", command, version, person, at_ms)

    def abort(self, command: Command, version: str, person: str, at_ms: int) -> str:
        """End it: who answers most goes on to answer, alone."""
        return self._happen(Event.ABORT, "over", command, version, person, at_ms)

    def roll_back(self, command: Command, version: str, person: str, at_ms: int) -> str:
        """Go back to the champion before. Without a rollout that is a promotion of it, as the policy has it."""
        if self._rolling.of(command.model, at_ms).under_way is not None:
            return self._happen(Event.ROLL_BACK, "rolled back", command, version, person, at_ms)
        holds = self._versions.holds(command.model)
        if holds is None or not holds.before:
            raise RefusedError("there is no champion before, to go back to")
        if version and version != holds.champion:
            raise RefusedError(
                f"{brief(version)} does not answer: {holds.champion} does, and {holds.before} did before"
            )
        return self._approvals.promote(command, holds.before, person, at_ms)

    def promote(self, command: Command, version: str, person: str, at_ms: int) -> str:
        """Make a version champion: inside its rollout at once, whatever is proven by then."""
        under_way = self._rolling.of(command.model, at_ms).under_way
        if under_way is None or under_way.state == "watched" or version not in under_way.arms:
            return self._approvals.promote(command, version, person, at_ms)
        proven = under_way.proven and version == under_way.version
        under_way.version = version
        how = "" if proven else ", before it is proven"
        reason = command.reason if proven else f"{command.reason} (promoted{how})"
        said = Said(person, reason, command.command_id)
        self._rolling.happen(command.model, Event.PROMOTE, said, at_ms)
        return f"{version} is champion instead of {under_way.champion}{how}; {under_way.champion} goes on in shadow"

    def _happen(self, event: Event, done: str, command: Command, version: str, person: str, at_ms: int) -> str:
        under_way = self._rolling.of(command.model, at_ms).under_way
        if under_way is None:
            raise RefusedError(
                f"no rollout is under way: begin one with `leadline rollout start {command.model} VERSION`"
            )
        if version not in ("", under_way.version):
            raise RefusedError(f"the rollout that is under way is of {under_way.version}")
        was = place(under_way)
        if self._rolling.happen(command.model, event, Said(person, command.reason, command.command_id), at_ms) is None:
            raise RefusedError(f"the rollout of {under_way.version} is {under_way.state} ({was}): {_instead(event)}")
        return f"the rollout of {under_way.version} ({was}) is {done}"

    def _may_start(self, model: str, version: str, champion: str, at_ms: int) -> Known:
        known, policy = self._approvals.now(model, version, at_ms), self._approvals.policy(model)
        if version == champion:
            raise RefusedError(f"{version} is the champion: name the version that is to be compared with it")
        if known.state is State.WAITING:
            raise RefusedError(f"{version} waits for approval: `leadline approve {model} {version}` first")
        if known.state is State.REJECTED:
            raise RefusedError(
                f"{version} was rejected: have it compared again, or promote it with `leadline model promote`"
            )
        if not known.is_candidate and self._models.version(model, version) is None:
            raise RefusedError(f"{brief(version)} is no candidate, and not where the worker looks for models")
        self._approvals.refuse_ungated(known, policy)
        if needed(policy):
            raise RefusedError(
                f"[approval] policy is {policy.policy}: `leadline model promote {model} {version}` asks persons, and what they "
                "agree to begins by itself where [rollout] begin is rollout"
            )
        return known


def _instead(event: Event) -> str:
    match event:
        case Event.PAUSE:
            return "what is undecided and goes on can be paused"
        case Event.RESUME:
            return "what is paused can be resumed"
    return "what is undecided can be changed"


def _mode(command: Command) -> str:
    mode = command.arguments.get(MODE, "shadow")
    if mode not in _MODES:
        raise RefusedError(f"{brief(mode)} is no mode: there are {', '.join(_MODES)}")
    if (mode == "ab") != (SHARES in command.arguments):
        raise RefusedError("shares are for mode ab, which needs them: for example v2=0.3,v3=0.2")
    return mode


def _shares(command: Command, version: str) -> dict[str, float]:
    """Of each version its share; 0 where it answers nobody yet."""
    said = command.arguments.get(SHARES)
    if said is None:
        return {version: 0.0}
    pairs = [each.rpartition("=") for each in said.split(",")]
    try:
        shares = {name.strip(): to_number(share) for name, _, share in pairs}
    except ValueError:
        shares = {}
    if len(shares) != len(pairs) or len(shares) > MOST_ARMS or version not in shares:
        raise RefusedError(
            f"{brief(said)} are no shares of {version} and at most {MOST_ARMS - 1} others, such as {version}=0.3,v9=0.2"
        )
    if not all(0 < share < 1 for share in shares.values()) or sum(shares.values()) > 1:
        raise RefusedError(f"{brief(said)}: each share is above 0, and all together are at most 1")
    return shares
