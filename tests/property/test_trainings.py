"""What a trainer has to do, beside a plain list: every request ends once, in the order in which it was asked, whoever died meanwhile."""

from hypothesis import given
from hypothesis import strategies as st

from leadline.core.release.trainings import ENDS, MOST_ATTEMPTS, Trainings
from leadline.records import CANCEL, Command, RetrainRequest, Training

ENDINGS = st.sampled_from(["succeeded", "failed", "dies", "dies", "told twice"])


def request(number):
    return RetrainRequest(f"r{number}", "m" if number % 2 else "n", "v1", number, "why", "a", {})


def training(found, state, trainer):
    cut = {"0": 7} if found.last is None else found.last.cut
    return Training(found.request.retrain_id, found.request.model, state, found.attempt, cut, "", "", trainer, 0)


def heir(log):
    """Another trainer, which reads all that is there: requests and what became of them, in any order of the two."""
    known = Trainings()
    for record in log:
        known.ask(record) if isinstance(record, RetrainRequest) else known.hear(record)
    return known


@given(st.integers(1, 4), st.lists(ENDINGS, max_size=30), st.booleans())
def test_each_request_ends_once_in_its_order_and_what_kills_is_given_up(count, endings, trainings_first):
    asked, told = [request(number) for number in range(count)], []
    ended = []
    for number, ending in enumerate([*endings, *["succeeded"] * count]):
        known = heir([*told, *asked] if trainings_first else [*asked, *told, *asked])
        found = known.next()
        if found is None:
            break
        assert found.request == asked[len(ended)], "the oldest one first, and no other one before it has ended"
        if found.has_failed:
            assert found.attempt == MOST_ATTEMPTS + 1
            ending = "failed"
        else:
            told.append(training(found, "started", f"t{number}"))
        if ending == "dies":
            continue
        told += [training(found, "failed" if ending == "failed" else "succeeded", f"t{number}")] * (
            1 + (ending == "told twice")
        )
        ended.append(found.request.retrain_id)
    assert ended == [each.retrain_id for each in asked[: len(ended)]]
    for each in ended:
        attempts = [record for record in told if record.retrain_id == each]
        assert len({record.cut["0"] for record in attempts}) == 1
        assert [record.attempt for record in attempts] == sorted(record.attempt for record in attempts)


@given(st.integers(1, 4), st.integers(0, 4))
def test_an_end_is_said_once_for_each_time_that_was_asked(asked, said):
    known = Trainings()
    for _ in range(asked):
        known.ask(request(0))
    for _ in range(said):
        known.hear(Training("r0", "n", "succeeded", 1, {}, "", "v2", "t", 0))
    times = 0
    while unheard := known.unheard():
        times += len(unheard)
        for each in unheard:
            known.hear(each)
    assert times == (max(0, asked - said) if said else 0)


@given(st.integers(0, 3), st.sets(st.integers(0, 3)), st.sampled_from(["", "r0", "r1", "r9"]))
def test_a_command_ends_what_is_open_of_its_model_and_is_refused_where_nothing_is(count, done, named):
    known, open_ones = Trainings(), []
    for number in range(count):
        known.ask(request(number))
        if number in done:
            known.hear(Training(f"r{number}", request(number).model, "succeeded", 1, {}, "", "v2", "t", 0))
        elif request(number).model == "m" and named in ("", f"r{number}"):
            open_ones.append(f"r{number}")
    command = Command("c", CANCEL, "m", "ada", "enough", {"retrain_id": named} if named else {}, 0)
    answer, ends = known.cancel(command, "t", 5)
    assert [each.retrain_id for each in ends] == open_ones
    assert answer.answer == ("accepted" if open_ones else "refused")
    assert all(each.state in ENDS for each in ends)
    again, none = known.cancel(command, "t", 6)
    assert (again.answer, none) == ("refused", [])
