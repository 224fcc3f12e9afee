"""docs/served.md says what the conformance run holds."""

from pathlib import Path

from served_page import page


def test_the_page_is_the_one_that_the_list_makes():
    assert (Path(__file__).parents[2] / "docs/served.md").read_text("utf-8") == page(), "run scripts/served-doc"
