"""Of one identity the highest revision holds, against a naive search of the log."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from leadline.core.windows.latest import holds, keep, latest


@dataclass(frozen=True)
class Revised:
    identity: str
    revision: int
    number: int


LOGS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-2, 3)), max_size=12).map(
    lambda log: [Revised(identity, revision, number) for number, (identity, revision) in enumerate(log)]
)


def search(log, identity):
    """The last of those records that have the highest revision."""
    own = [record for record in log if record.identity == identity]
    highest = max(record.revision for record in own)
    return [record for record in own if record.revision == highest][-1]


@given(LOGS)
def test_the_latest_are_those_that_a_search_finds(log):
    found = latest(log, lambda record: record.identity)
    assert found == {identity: search(log, identity) for identity in {record.identity for record in log}}


@given(LOGS, st.integers(0, 12))
def test_a_log_in_two_parts_is_as_one(log, cut):
    held = latest(log[:cut], lambda record: record.identity)
    kept = [record for record in log[cut:] if keep(held, record.identity, record)]
    assert held == latest(log, lambda record: record.identity)
    assert all(search(log[: record.number + 1], record.identity) is record for record in kept)


def test_equal_revisions_are_held_by_the_later_one():
    assert (holds(0, None), holds(3, 3), holds(3, 2), holds(2, 3)) == (True, True, True, False)
    held = {}
    assert keep(held, "a", Revised("a", 5, 1))
    assert keep(held, "a", Revised("a", 5, 2))
    assert not keep(held, "a", Revised("a", 4, 3))
    assert held["a"].number == 2
