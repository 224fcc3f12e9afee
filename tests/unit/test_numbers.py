"""Text from outside that only Python takes for a number is none, wherever it comes in."""

import pytest

from leadline.cli.tables import RowError, to_outcome
from leadline.learning.classes import number
from leadline.records import to_number
from leadline.settings.values import duration_ms
from leadline.wire.codec import decode
from leadline.wire.run import ARRIVAL_HEADER, Run

ODD = ["1_0", "\u0661\u0660", "\uff11", "1\u00b2"]
EACH = pytest.mark.parametrize("text", ODD)


@EACH
def test_it_is_no_number_and_no_class(text):
    with pytest.raises(ValueError, match=r"no number|not convert"):
        to_number(text)
    assert number(text) is None


@EACH
def test_a_row_of_a_file_that_has_it_is_refused_or_names_a_class(text):
    row = {"request_id": "r", "outcome": "1", "outcome_time": "1000"}
    assert (to_outcome(row).outcome, to_outcome(row).outcome_time) == (1.0, 1000)
    with pytest.raises(RowError, match="outcome_time"):
        to_outcome(row | {"outcome_time": text})
    named = to_outcome(row | {"outcome": text})
    assert (named.outcome, named.class_name) == (None, text)


@EACH
def test_it_is_no_duration(text):
    with pytest.raises(ValueError, match="duration"):
        duration_ms(f"{text}s")


@EACH
def test_a_header_that_has_it_says_no_arrival_time(text):
    headers = [(ARRIVAL_HEADER, text.encode())]
    run = Run("outcomes", 0, [0], [77], [b"r"], [b'{"request_id":"r","outcome":1,"outcome_time":5}'], [headers])
    assert decode(run, 1000)[0].arrival_max_ms == 77
