"""docs/settings.md says each setting that there is, as the classes say it."""

from pathlib import Path

import pytest

from leadline.settings import AlertLimits, DriftLimits, Lookup, ModelSettings, Security, Settings, meanings
from leadline.settings.page import page
from leadline.settings.release import ApprovalSettings, GateSettings, RolloutSettings, TrainingSettings

PAGE = Path(__file__).parents[2] / "docs/settings.md"
ALL = [
    (ModelSettings, meanings.MODEL), (Lookup, meanings.LOOKUP), (AlertLimits, meanings.ALERTS), (DriftLimits, meanings.DRIFT),
    (TrainingSettings, meanings.TRAINING), (GateSettings, meanings.GATE), (ApprovalSettings, meanings.APPROVAL),
    (RolloutSettings, meanings.ROLLOUT), (Settings, meanings.INSTALLATION), (Security, meanings.SECURITY),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "words"), ALL, ids=[kind.__name__ for kind, _ in ALL])
def test_each_setting_has_its_words(kind, words):
    """A new setting is told in leadline/settings/meanings.py; one that is gone, no more."""
    assert list(words) == list(kind.model_fields)


def test_the_page_is_the_one_that_the_classes_make():
    assert PAGE.read_text("utf-8") == page(), "run scripts/settings-doc"


@pytest.mark.parametrize(
    "row",
    [
        "| `deadline` | duration | none |",
        "| `cycle` | duration | none |",
        "| `grace` | duration, or `never` | `1d` |",
        "| `memory` | size, at least 64MiB | `4GiB` |",
    ],
)
def test_what_may_be_none_is_a_duration_or_a_size_all_the_same(row):
    assert row in page()
