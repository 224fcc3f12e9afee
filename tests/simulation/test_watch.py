"""A short form of ``scripts/bench watch``: false incidents stay within their budget, and falls are seen. Seeds are fixed."""

from benchmarks import kinds as other_kinds
from benchmarks import whole_loop
from benchmarks.watch import FALSE, OTHERWISE, SHORT, Cell, detection, false_alarms, kinds, opened, run


def test_false_incidents_stay_within_the_budget():
    for name, count, _, bound in false_alarms({name: FALSE[name] for name in SHORT}, 300):
        assert count <= bound, name


def test_the_spread_of_the_reference_is_what_keeps_them_there():
    """The same stream with a reference that does not vary is judged as if rows were independent."""
    cell = Cell(1000, varying=0.04)
    steady = Cell(1000, varying=0.04, known_spread=False)
    assert len(opened(run(cell, 1, 120))) <= 4 < len(opened(run(steady, 1, 120)))


def test_labels_that_are_thinned_otherwise_than_the_reference_are_named_and_nothing_else():
    assert kinds(OTHERWISE["by outcome, n 200"], 100) == {"labels-biased": 1}


def test_falls_are_seen():
    slow, fast = detection(Cell(200, fall=0.1), windows=60, repeats=5)
    assert slow <= 3
    assert fast <= slow


def test_no_kind_opens_where_nothing_is_wrong():
    outcomes = [other_kinds.OUTCOMES[name] for name in ("n 50, early too", "scores always 0.5 too low, n 1,000")]
    told = [other_kinds.run(cell, 1, 40) for cell in outcomes]
    told += [other_kinds.drifting(other_kinds.FEATURES["1 feature, own windows 31, n 200"], 1, 40)]
    told += [whole_loop.run(whole_loop.CELLS["n 40, labels missing 70%, 2 partitions"], 1, 10)]
    assert [each.kind for alerts in told for each in alerts if not each.kind.endswith("-stopped")] == []
