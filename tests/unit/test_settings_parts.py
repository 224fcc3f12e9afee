"""Settings in three parts: each key has one, and only the keys of the watch part change live."""

from collections import Counter

import pytest

from leadline.core.tables import Table
from leadline.core.watch.live_settings import LiveModels
from leadline.records import LiveSetting, LiveSettings
from leadline.settings import ModelSettings, SettingsError, changed, check_live, in_force, live_keys
from leadline.settings.parts import KEYS, PART_OF, Part
from stages import Models, records_batch, version

SETTINGS = ModelSettings(name="m", runbook="see the wiki")


def test_every_key_of_a_model_is_of_exactly_one_part():
    named = Counter(key for keys in KEYS.values() for key in keys)
    assert set(named.values()) == {1}
    assert set(named) == set(ModelSettings.model_fields)


def test_every_live_key_can_be_written_as_it_is_and_changes_nothing():
    """What a model.toml says of a live key is what `configure` takes."""
    values = SETTINGS.model_dump()
    for key in live_keys():
        name, _, inner = key.partition(".")
        value = values[name][inner] if inner else values[name]
        if isinstance(value, str | int | float):
            assert changed(SETTINGS, {key: str(value)}) == SETTINGS, key


def test_no_key_of_another_part_changes_live():
    for name, part in PART_OF.items():
        if part is not Part.WATCH:
            for key in (name, f"{name}.x"):
                with pytest.raises(SettingsError, match=f"a setting of the {part}"):
                    check_live({key: "1"})


@pytest.mark.parametrize(
    "key", ["", "alerts", "alerts.", "alerts.margn", "alerts.margin.x", ".margin", "no\nkey", "x" * 9999]
)
def test_a_key_that_there_is_not_is_refused_and_what_there_is_named(key):
    with pytest.raises(SettingsError, match=r"choose from alerts\.metric"):
        check_live({key: "1"})


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("alerts.margin", "-1"), ("alerts.margin", "nan"), ("alerts.margin", "much"), ("alerts.margin", ""), ("alerts.metric", "f1"),
        ("alerts.open_after", "1.5"), ("drift.psi", "0"), ("retrain_cooldown", "7 days"), ("alerts.margin", "{a = 1}"),
        ("runbook", "1"), ("alerts.margin", "[" * 5000), ("alerts.margin", "1\nrunbook = 2"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_in_one_line_that_names_the_key(key, text):
    with pytest.raises(SettingsError) as refused:
        changed(SETTINGS, {key: text})
    assert str(refused.value).startswith(f"{key}: ")
    assert "\n" not in str(refused.value)
    other = "retrain_cooldown" if key != "retrain_cooldown" else "runbook"
    assert in_force(SETTINGS, {key: text, other: "5s"}) == changed(SETTINGS, {other: "5s"}), "what fits holds"


def test_models_have_what_the_table_says_newest_and_else_their_file():
    described = Models({"m": SETTINGS}, {("m", "v1"): version(SETTINGS)})
    table = Table()
    models = LiveModels(described, table)
    assert models.settings("m") is SETTINGS
    assert models.settings("other") is None
    for number, margin in enumerate(["0.2", "0.3"]):
        setting = LiveSetting("alerts.margin", margin, "ada", "to see", f"c{number}", 0)
        live = LiveSettings("m", [setting], "ada", "to see", f"c{number}", number + 1, 0)
        batch = records_batch("model-settings", [live])
        batch.keys[0] = b"m"
        table.apply(batch)
        assert models.settings("m").alerts.margin == models.version("m", "v1").settings.alerts.margin == float(margin)
        assert models.settings("m") is models.settings("m"), "made once, not for each record"
    assert models.loaded("m", "v1", 0).settings is SETTINGS
    described.known["m"] = ModelSettings(name="m", runbook="another one")
    assert (models.settings("m").runbook, models.settings("m").alerts.margin) == ("another one", 0.3)
