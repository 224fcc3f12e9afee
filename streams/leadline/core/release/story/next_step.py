"""What a rollout waits for, and what comes next: by its state and the policy of its model."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from leadline.core.release.story.told import percent
from leadline.records import Rollout, iso
from leadline.settings import RolloutSettings

_LATEST = (1 << 63) - 1


class Ahead(NamedTuple):
    """Of a rollout: what it waits for, and what then comes."""

    waits_for: str
    then: str


def ahead(rollout: Rollout, policy: RolloutSettings | None) -> Ahead:
    """What is ahead of a rollout; ``policy`` None: the settings of the model are not known here, and no time can be named.

    >>> rollout = Rollout("fraud", "v1", 0, "ann", "go", challenger="v2", state="shadow")
    >>> ahead(rollout, RolloutSettings()).then
    'the canary: v2 answers 1 % of the requests'
    """
    says = _AHEAD.get(rollout.state)
    return says(rollout, policy) if says else Ahead("nothing", "nothing: no rollout is under way")


def _shadow(rollout: Rollout, policy: RolloutSettings | None) -> Ahead:
    until = f" at {_after(rollout, policy.shadow)}" if policy else ""
    return Ahead(f"the end of the time in shadow{until}, with good guardrails", _step(rollout, policy, 0))


def _canary(rollout: Rollout, policy: RolloutSettings | None) -> Ahead:
    until = f" at {_after(rollout, policy.bake)}" if policy else ""
    is_last = policy is not None and rollout.step + 1 >= len(policy.steps)
    bake = f"the end of this step{until}"
    proof = "the verdict promote, or a person's `leadline rollout promote`"
    return Ahead(
        f"{bake}, and {proof}" if is_last else f"{bake}, and nothing that speaks against it",
        _step(rollout, policy, rollout.step + 1),
    )


def _after(rollout: Rollout, ms: int) -> str:
    """So long after a change; it may claim any time that a record can hold."""
    return iso(min(rollout.event_time + ms, _LATEST))


def _step(rollout: Rollout, policy: RolloutSettings | None, step: int) -> str:
    if policy is None:
        return "the next step of its policy"
    if step < len(policy.steps):
        return f"the canary: {rollout.challenger} answers {percent(policy.steps[step])} of the requests"
    return f"{rollout.challenger} is champion, once it is proven"


def _watched(rollout: Rollout, policy: RolloutSettings | None) -> Ahead:
    until = f" until {_after(rollout, policy.watch)}" if policy and policy.watch else ""
    return Ahead(
        f"the labels of its first windows{until}",
        f"it is settled; or back to {rollout.before}, where they speak against it",
    )


_AHEAD: Mapping[str, Callable[[Rollout, RolloutSettings | None], Ahead]] = {
    "shadow": _shadow,
    "canary": _canary,
    "ab": lambda *_: Ahead(
        "a person: `leadline rollout promote` or `leadline rollout abort`", "nothing by itself: the shares are fixed"
    ),
    "paused": lambda *_: Ahead(
        "a person: `leadline rollout resume` or `leadline rollout abort`", "it goes on where it was"
    ),
    "watched": _watched,
}
