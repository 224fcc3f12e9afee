"""A release is built from what is locked, and says what it ships."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/release.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def pins(lock: str) -> set[str]:
    """``name==version`` and the marker, for each package of a lock."""
    lines = (ROOT / f"requirements/{lock}.txt").read_text("utf-8").splitlines()
    return {line.rstrip("\\ ") for line in lines if line[:1].isalnum()}


def copied() -> list[str]:
    return [
        path for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for path in line.split()
    ]


def test_what_is_shipped_is_what_is_tested() -> None:
    for_all = {pin.partition(" ")[0] for pin in pins("runtime")} & pins(
        "dev"
    )  # what the tests need on more systems than the image
    assert {pin for pin in pins("runtime") - pins("dev") if pin.partition(" ")[0] not in for_all} == set()


def test_the_wheel_is_built_by_what_builds_it_here() -> None:
    names = {pin.partition("==")[0] for pin in pins("dev")}
    assert "hatchling" in names
    assert {pin for pin in pins("build") if pin.partition("==")[0] in names} <= pins("dev")


def test_the_image_has_none_of_the_embedded_servers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    embedded = {Requirement(one).name for one in project["optional-dependencies"]["embedded"]}
    assert embedded
    assert not embedded & {Requirement(pin).name for pin in pins("runtime")}


def test_the_list_of_packages_is_the_same_for_every_python() -> None:
    """The SBOM is made by the Python that builds the release, for the one in the image."""
    assert not [pin for pin in pins("runtime") if re.search("python_(full_)?version", pin.partition(";")[2])]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_names_no_registry(lock: Path) -> None:
    assert not re.search(r"^-|://", lock.read_text("utf-8"), re.MULTILINE)


FETCHED = {"--require-hashes", "--only-binary"}, {"--require-hashes", "--no-build-isolation"}
OWN = {"--no-index", "--find-links", "leadline"}


@pytest.mark.parametrize("path", ["Dockerfile", "scripts/release"])
def test_what_is_fetched_is_locked_and_what_is_built_is_built_without_isolation(path: str) -> None:
    commands = re.findall(r"/bin/pip.* (?:install|wheel) .+", (ROOT / path).read_text("utf-8"))
    assert len(commands) >= 3
    assert [one for one in commands if not any(kind <= set(one.split()) for kind in (*FETCHED, OWN))] == []
    assert sum(set(one.split()) >= OWN for one in commands) == 1


def test_the_image_is_built_from_files_that_are_let_in() -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    assert [path for path in copied() if path != "."] == ["requirements/build.txt", "requirements/runtime.txt"]
    assert set(copied()) - {"."} <= set(let_in)
    assert [path for path in let_in if not (ROOT / path).exists()] == []


def steps() -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load(WORKFLOW)["jobs"]["release"]["steps"])


def test_the_workflow_fits_its_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_action_is_pinned_to_a_commit() -> None:
    actions = [step["uses"] for step in steps() if "uses" in step]
    assert actions
    assert [one for one in actions if not re.search(r"@[0-9a-f]{40}$", one)] == []


def test_a_release_is_published_last_after_the_tests_and_the_image() -> None:
    runs = [step["run"] for step in steps() if "run" in step]
    assert [run.split()[0] for run in runs] == ["scripts/release", ".ci/run", "docker", "docker", "gh"]
    assert [step["run"].split()[0] for step in steps() if "env" in step] == ["gh"]


def test_another_versions_tag_is_refused() -> None:
    done = subprocess.run([ROOT / "scripts/release", "v999.0"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("scripts/release: the tag is v999.0, and the version in pyproject.toml is ")
