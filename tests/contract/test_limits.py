"""What one record may change in the state fits into one batch of a changelog, by the table of limits alone."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from leadline.core.join.request_state import HEAD, MAX_OUTCOMES, OUTCOME, PREDICTION
from leadline.core.watch.configuration import Configuration
from leadline.core.windows.aggregates.by_score import SCORE_BINS
from leadline.core.windows.aggregates.outcomes_by_score import OutcomesByScore
from leadline.core.windows.aggregates.predictions_by_score import PredictionsByScore
from leadline.core.windows.counts import WindowCounts
from leadline.core.windows.keys import WindowKey
from leadline.records import Command, PredictionRequest, RetrainRequest, Training
from leadline.settings import ModelSettings, live_keys
from leadline.settings.parts import VALUE_CHARS
from leadline.wire import limits
from leadline.wire.codec import decode, value_of
from leadline.wire.run import Run
from stages import Host, Models, records_batch

ESCAPED = "\x01"
"""A character that a key in JSON needs six bytes for: none needs more for one of its own."""
BLOCK = 100
"""An entry of a timeline, and of a batch, besides its key and value, and more."""


def key_bytes():
    """The longest key of a window."""
    return len(WindowKey(*[ESCAPED * limits.NAME_BYTES] * 2, ESCAPED * limits.SEGMENT_BYTES, -(2**62)).pack()) + 1


def window_bytes():
    """The counts of a window in which every bin of the score holds something."""
    every = np.arange(SCORE_BINS), np.ones((2, SCORE_BINS), np.int64)
    full = WindowCounts(outcomes=OutcomesByScore(*every), scores=PredictionsByScore(*every))
    return len(full.pack()) + 10 * 20


def request_bytes():
    """The state of a request."""
    entries = limits.REQUEST_WINDOWS * PREDICTION.itemsize + MAX_OUTCOMES * OUTCOME.itemsize
    return limits.REQUEST_BYTES + HEAD.itemsize + entries


def test_the_longest_prediction_of_a_request_is_kept():
    names = 4 * limits.NAME_BYTES + limits.REQUEST_ID_BYTES + limits.USER_ID_BYTES
    body = names + 8 * limits.FEATURES + limits.SEGMENTS * limits.SEGMENT_BYTES + 1000
    assert body < limits.REQUEST_BYTES
    assert limits.SEGMENTS + 1 <= limits.REQUEST_WINDOWS


def test_what_an_outcome_changes_fits():
    """It changes a request, all windows of its predictions, and an entry of the timeline where it waits."""
    windows = limits.REQUEST_WINDOWS * (key_bytes() + window_bytes() + BLOCK)
    entry = limits.REQUEST_ID_BYTES + BLOCK
    assert request_bytes() + windows + entry + 10_000 < limits.CHANGELOG_BYTES


def test_what_a_prediction_changes_fits():
    """A request, and the windows of one prediction: each may be new, and is filed. Its cohort, the edges of its scores, its live profile,
    two timelines.
    """
    windows = (limits.SEGMENTS + 1) * (2 * key_bytes() + window_bytes() + 2 * BLOCK)
    cohort = len(json.dumps([ESCAPED * limits.NAME_BYTES] * (2 + limits.SEGMENTS))) + 8 * SCORE_BINS
    profile = 8 * 12 * limits.FEATURES + 3 * key_bytes()
    entries = 2 * (limits.REQUEST_ID_BYTES + BLOCK)
    assert request_bytes() + windows + cohort + profile + entries + 10_000 < limits.CHANGELOG_BYTES


def request(**changes):
    return PredictionRequest(**{"request_id": "r", "model": "m", "event_time": 0, "features": {}} | changes)


LONGEST = {
    "model": lambda more: request(model="é" * (500 + more)),
    "user_id": lambda more: request(user_id="u" * (4096 + more)),
    "features": lambda more: request(features={str(n): 0.5 for n in range(10_000 + more)}),
    "categories": lambda more: request(categories={str(n): "" for n in range(10_000 + more)}),
    "a name in features": lambda more: request(features={"f" * (1000 + more): 0.5}),
    "a name in categories": lambda more: request(categories={"c" * (1000 + more): ""}),
    "a category": lambda more: request(categories={"c": "é" * (32_768 + more)}),
}


def test_every_limit_of_a_request_holds_for_few_and_for_many():
    """Just the limit passes; a little more is a dead letter that names the part."""
    for times in (1, 40):
        for part, make in LONGEST.items():
            values = [value_of(make(0)), value_of(make(1))] * times
            run = Run(
                "prediction-requests",
                0,
                list(range(len(values))),
                [0] * len(values),
                [b"r"] * len(values),
                values,
                [()] * len(values),
            )
            batch, letters = decode(run, 1 << 20)
            assert (len(batch), len(letters)) == (times, times), part
            assert {(each.reason, each.detail.partition(" has at most")[0]) for each in letters} == {("too-long", part)}


def command(**changes):
    return Command(
        **{
            "command_id": "c",
            "kind": "configure",
            "model": "m",
            "actor": "a",
            "reason": "",
            "arguments": {},
            "event_time": 0,
        }
        | changes
    )


LONGEST_COMMAND = {
    **{
        part: lambda more, part=part: command(**{part: "é" * (500 + more)})
        for part in ("command_id", "kind", "model", "actor")
    },
    "reason": lambda more: command(reason="r" * (4096 + more)),
    "arguments": lambda more: command(arguments={str(n): "" for n in range(100 + more)}),
    "an argument": lambda more: command(arguments={"k" * (4096 + more): ""}),
}


ASKED = RetrainRequest("r", "m", "v1", 0, "", "a", {})
SAID = Training("r", "m", "started", 1, {}, "", "", "t", 0)
LONGEST_TRAINING = {
    "cut": lambda more: replace(SAID, cut={str(n): 0 for n in range(limits.TRAINED_PARTITIONS + more)}),
    "a partition of cut": lambda more: replace(SAID, cut={"k" * (1000 + more): 0}),
}


@pytest.mark.parametrize(
    ("topic", "longest"),
    [("commands", LONGEST_COMMAND), ("trainings", LONGEST_TRAINING)]
    + [
        (topic, {part: lambda more, part=part, record=record: replace(record, **{part: "é" * (500 + more)})})
        for topic, record in (("retrain-requests", ASKED), ("trainings", SAID))
        for part in (
            field.name for field in fields(record) if field.type is str and field.name not in ("cause", "message")
        )
    ],
)
def test_every_limit_of_what_is_asked_for_and_told_of_holds(topic, longest):
    for part, make in longest.items():
        records = [make(0), make(1)]
        keys, values = [each.model.encode() for each in records], [value_of(each) for each in records]
        batch, letters = decode(Run(topic, 0, [0, 1], [0, 0], keys, values, [(), ()]), 1 << 20)
        assert len(batch) == 1, part
        assert [(each.reason, each.detail.partition(" has at most")[0]) for each in letters] == [("too-long", part)]


def test_what_a_command_changes_fits():
    """Each live key with the longest value, by whom and why, and the longest refusal that a command can get."""
    longest = {"command_id": ESCAPED * 1000, "model": ESCAPED * 1000, "actor": ESCAPED * 1000, "reason": ESCAPED * 4096}
    host = Host(lambda store: Configuration(store, Models({longest["model"]: ModelSettings(name="m")})))
    host.feed(
        records_batch("commands", [command(**longest, arguments={"runbook": '"' + "x" * (VALUE_CHARS - 2) + '"'})])
    )
    [entry] = host.emitted[0].settings
    everything = len(live_keys()) * (
        len(value_of(host.emitted[0])) + len(json.dumps([entry.actor, entry.reason, entry.command_id]))
    )
    assert everything < limits.MESSAGE_BYTES < limits.CHANGELOG_BYTES
    refused = host.feed(
        records_batch("commands", [command(**longest | {"command_id": "d"}, arguments={"k" * 4096: ""})])
    )
    assert len(value_of(refused[0])) < limits.MESSAGE_BYTES
