"""Verdicts of a rollout: what decides, what blocks, and how often chance does."""

import numpy as np
import pytest
from benchmarks.drawn_pairs import Cell
from benchmarks.rollouts import JUDGES, SAME, late_harm, outcome

from leadline.core.release.evidence import Pairs, Terms, look
from leadline.records import PairCounts, PairPartial
from leadline.settings import ModelSettings
from leadline.state.memory import MemoryStore

DAY = 86_400_000


def model(cycle=None, **rollout):
    alerts = {"cycle": cycle} if cycle else {}
    return ModelSettings.model_validate(
        {"name": "m", "window": DAY, "horizon": DAY, "grace": 0, "alerts": alerts, "rollout": rollout}
    )


def counts(won=0, lost=0, same=400, unlike=0):
    return PairCounts(same, lost, won, 0, 0, unlike, 0, 0)


def looked(days, settings, now=None, spent=0.0):
    """``days``: of each the counts of ``*``, or those of each segment; a pair of counts: as of maturity, and as corrected since."""
    pairs = Pairs(MemoryStore(), b"p")
    for day, given in enumerate(days):
        for segment, each in (given if isinstance(given, dict) else {"*": given}).items():
            mature, corrected = each if isinstance(each, tuple) else (each, each)
            record = PairPartial(
                "m", "v1", "v2", segment, day * DAY, (day + 1) * DAY, 0, 1.0, 1, 0, "", "binary", corrected, mature
            )
            pairs.take(record, "v1", "v2", "r")
    now = (len(days) + 1) * DAY + 1 if now is None else now
    return look(pairs.of("m", "v1", "v2"), Terms.of(settings, 0, now, spent))


def sampled(rates, settings):
    """Better by day, worse by night, as often; ``rates``: of which share of the requests there are pairs, by day and by night."""
    pairs = Pairs(MemoryStore(), b"p")
    for half in range(40):
        rate = rates[half % 2]
        each = [round(number * rate) for number in ((200, 100, 1700), (100, 200, 1700))[half % 2]]
        record = PairPartial(
            "m",
            "v1",
            "v2",
            "*",
            half * DAY,
            (half + 1) * DAY,
            0,
            rate,
            1,
            0,
            "",
            "binary",
            counts(*each),
            counts(*each),
        )
        pairs.take(record, "v1", "v2", "r")
    return look(pairs.of("m", "v1", "v2"), Terms.of(settings, 0, 99 * DAY))


def check(found, name, segment="*"):
    return next(each for each in found.checks if (each.name, each.segment) == (name, segment))


def test_a_better_one_is_promoted_and_a_worse_one_rolled_back_each_with_its_numbers():
    good, bad = looked([counts(40, 10)] * 6, model()), looked([counts(10, 40)] * 6, model())
    assert (good.verdict, good.pairs, good.better, good.same, good.worse) == ("promote", 2700, 240, 2400, 60)
    assert (bad.verdict, bad.segment) == ("roll-back", "*")
    assert "'v2' alone was right in 240 and 'v1' alone in 60" in good.reason
    assert good.promote >= 20 > good.roll_back


def test_nothing_is_judged_before_it_is_due():
    days = [counts(40, 10)] * 6
    assert looked(days, model(), now=DAY).verdict == "no-labels"
    assert looked(days, model(), now=4 * DAY + 1).pairs == 3 * 450
    assert looked([*days, (None, counts(0, 300))], model()).pairs == 6 * 450
    assert looked([(None, counts(40, 10)), *days], model()).verdict == "no-labels"


def test_only_whole_cycles_count():
    assert [looked([counts(40, 10)] * 7, model(cycle=cycle * DAY)).pairs // 450 for cycle in (1, 2, 3)] == [7, 6, 6]


def test_pairs_of_another_sampling_rate_stand_for_their_requests():
    """Of the pairs most are of the day, on which the challenger is better; of the requests it is no better."""
    fewer = sampled((1.0, 0.1), model(cycle=2 * DAY))
    assert fewer.better > 1.5 * fewer.worse
    assert (fewer.verdict, sampled((1.0, 1.0), model(cycle=2 * DAY)).verdict) == ("hold", "hold")
    assert "10 times the lowest" in check(fewer, "sampling").reason


def test_two_windows_do_not_say_how_much_windows_vary():
    found = looked([counts(300, 0)] * 2, model())
    assert (found.verdict, found.promote, check(found, "spread").outcome) == ("hold", 1.0, "no-evidence")


def test_what_was_known_when_due_and_what_is_known_now_both_have_to_say_it():
    good, even = counts(40, 10), counts(25, 25)
    for days in ([(good, even)] * 6, [(even, good)] * 6):
        assert looked(days, model()).verdict == "hold"
    assert "as corrected" in check(looked([(good, even)] * 6, model()), "not-worse").reason


def test_disagreements_without_a_label_count_against_the_challenger_and_for_it():
    found = looked([counts(40, 10, unlike=40)] * 6, model())
    assert (found.verdict, found.unlike) == ("hold", 240)
    missing = check(found, "missing-labels")
    assert (missing.outcome, missing.value) == ("no-evidence", pytest.approx(240 / 540))
    assert "of 540 pairs in which they differ 240 have no label" in missing.reason
    assert looked([counts(10, 40, unlike=40)] * 6, model()).verdict == "hold"
    assert looked([counts(40, 10, unlike=1)] * 6, model()).verdict == "promote"


def test_each_protected_segment_has_to_be_proven_and_one_without_pairs_is_not():
    both = {"*": counts(80, 20, 800), "a": counts(40, 10), "b": counts(40, 10)}
    assert looked([both] * 6, model(protected=["a", "b"])).verdict == "promote"
    worse = both | {"*": counts(65, 35, 800), "b": counts(25, 25)}
    assert looked([worse] * 6, model(protected=["a", "b"], segment_margin=0)).segment == "b"
    none = looked([both] * 6, model(protected=["c"]))
    assert (none.verdict, none.segment, check(none, "not-worse", "c").outcome) == ("hold", "c", "no-evidence")


def test_a_segment_is_named_where_its_own_share_is_enough():
    days = [{"*": counts(45, 45, 800), "a": counts(40, 5), "b": counts(5, 40)}] * 8
    assert looked(days, model())[:2] == ("roll-back", "b")


def test_the_margin_is_what_is_left_of_the_budget():
    days = [counts(21, 24, 2000)] * 20
    rollout = {"margin": 0.02, "budget": 0.03}
    assert [looked(days, model(**rollout), spent=spent).verdict for spent in (0.0, 0.01, 0.03)] == [
        "promote",
        "promote",
        "hold",
    ]
    assert looked(days, model(**rollout, automatic=False), spent=0.03).verdict == "promote"


def test_before_the_least_pairs_there_is_no_verdict():
    assert looked([counts(40, 10)] * 6, model(min_pairs=2701)).verdict == "hold"


def test_pairs_without_any_label_are_no_labels():
    found = looked([PairCounts(0, 0, 0, 0, 400, 50, 0, 0)] * 6, model(margin=0.1, budget=0.1))
    assert (found.verdict, found.unlike) == ("no-labels", 300)


def test_numbers_stay_numbers():
    found = looked([counts(10**9, 10, 10**12)] * 6, model(margin=0.5, budget=0.5))
    assert 1e100 < found.promote < float("inf")
    assert found.roll_back >= 0


def test_pairs_of_a_model_are_forgotten_and_those_of_another_are_not():
    pairs = Pairs(MemoryStore(), b"p")
    for name in ("m", "m2"):
        pairs.take(PairPartial(name, "v1", "v2", "*", 0, DAY, 0, 1.0, 1, 0, "", "binary", counts(1)), "v1", "v2", "r")
    pairs.forget("m")
    assert [len(pairs.of(name, "v1", "v2").rows) for name in ("m", "m2")] == [0, 1]


@pytest.mark.parametrize("name", [each for each in SAME if "pairs a day" not in each])
def test_chance_decides_seldom(name):
    """Of 8 rollouts with 25 looks each; the study has a thousand with a hundred."""
    rng = np.random.default_rng(5)
    cell = SAME[name]
    ends = [outcome(Cell(**{f: getattr(cell, f) for f in Cell.__slots__} | {"windows": 25}), rng) for _ in range(8)]
    assert sum(each.verdict in ("promote", "roll-back") for each in ends) <= 2


def test_what_turns_bad_late_is_rolled_back_within_days():
    cell = Cell(better=0.065, worse=0.035, windows=80, then=(60, 0.03, 0.08))
    found = [late_harm(cell, np.random.default_rng(seed)) for seed in range(3)]
    assert all(each is not None and each <= 9 for each in found)


@pytest.mark.parametrize(("better", "worse"), [(0.03, 0.08), (0.10, 0.03), (0.05, 0.05)])
def test_the_stage_says_what_the_evidence_says(better, worse):
    cell = Cell(better=better, worse=worse, windows=12)
    by_evidence, by_stage = (outcome(cell, np.random.default_rng(1), judge=each) for each in JUDGES.values())
    assert by_stage[:2] == by_evidence[:2]
    assert by_evidence.verdict == ("hold" if better == worse else "promote" if better > worse else "roll-back")
