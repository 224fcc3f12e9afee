"""Every step of samples/ci/pipeline.yml, as a CI would run it: three environments are three prefixes and three models' folders."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from leadline.kafka import cluster
from leadline.kafka.admin import apply_topics
from leadline.kafka.sender import publish
from leadline.learning.model_files import ModelFiles
from leadline.records import Rollout
from pages import ROOT

pytestmark = pytest.mark.integration

ENVIRONMENTS = ("dev", "staging", "production")


@pytest.fixture
def repository(kafka, tmp_path):
    """A copy of the repository, topics of each environment, and the folders of their models."""
    shutil.copytree(ROOT / "samples" / "ci", tmp_path / "repository")
    prefixes = {name: f"test-{name}-{uuid.uuid4().hex[:8]}" for name in ENVIRONMENTS}
    for name, prefix in prefixes.items():
        (tmp_path / name).mkdir()
        asyncio.run(apply_topics(kafka, prefix, 1, 1, None, []))
    yield tmp_path / "repository", prefixes
    for prefix in prefixes.values():
        asyncio.run(cluster.remove(kafka, prefix))


def pipeline(repository, prefixes, kafka, number, jobs=("candidate", "staging", "production")):
    """Run the steps of these jobs until one fails; the names of those that ran, and the one that failed."""
    known = {f"vars.MODELS_{name.upper()}": str(repository.parent / name) for name in ENVIRONMENTS}
    known |= {"vars.KAFKA_BOOTSTRAP": kafka, "github.run_number": str(number)}

    def filled(block):
        found = {name: re.sub(r"\$\{\{ (.*?) \}\}", lambda at: known[at[1]], str(text)) for name, text in block.items()}
        return {name: prefixes.get(text, text) if name == "LEADLINE_PREFIX" else text for name, text in found.items()}

    workflow, ran = yaml.safe_load((repository / "pipeline.yml").read_text("utf-8")), []
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    assert tuple(workflow["jobs"]) == ("candidate", "staging", "production")
    for job in jobs:
        said = workflow["jobs"][job]
        for step in [each for each in said["steps"] if "run" in each]:
            environment = os.environ | {"PATH": path}
            for block in (workflow, said, step):
                environment |= filled(block.get("env", {}))
            ran.append(f"{job} {step['name']}")
            done = subprocess.run(
                ["bash", "-ec", step["run"]], cwd=repository, env=environment, capture_output=True, text=True
            )
            if done.returncode:
                return ran, done
    return ran, None


def test_the_pipeline_promotes_what_passes_and_ends_at_the_gate_where_it_does_not(repository, kafka):
    folder, prefixes = repository
    steps = ["candidate test", "candidate train", "candidate register", "candidate gate"]
    promoted = [*steps, "staging push", "staging promote", "production push", "production promote"]
    assert pipeline(folder, prefixes, kafka, 1) == (promoted, None)
    for name in ENVIRONMENTS:
        assert ModelFiles(folder.parent / name).versions("returns") == ["r1"]
    assert [each.get("name") for each in ElementTree.parse(folder / "build" / "gate.xml").getroot()[0]][:2] == [
        "golden *",
        "first *",
    ]

    asyncio.run(publish(kafka, prefixes["production"], "rollouts", Rollout("returns", "r1", 1, "ada", "the first")))
    assert pipeline(folder, prefixes, kafka, 2, ["candidate"]) == (steps, None)  # an equal one: margin = 0.01
    names = [each.get("name") for each in ElementTree.parse(folder / "build" / "gate.xml").getroot()[0]]
    assert {"not-worse *", "not-worse channel=web", "calibration *", "latency *", "size *", "profit *"} <= set(names)

    train = folder / "train.py"
    worse = train.read_text("utf-8").replace(
        'train["returned"])', 'train["returned"].sample(frac=1, random_state=1).to_numpy())'
    )
    train.write_text(worse, "utf-8")
    ran, failed = pipeline(folder, prefixes, kafka, 3)
    assert ran == steps
    assert failed.returncode == 1
    assert "reject: returns r3 beside r1" in failed.stdout
    assert "not-worse channel=web" in failed.stdout
    suite = ElementTree.parse(folder / "build" / "gate.xml").getroot()[0]
    assert "not-worse *" in [case.get("name") for case in suite if case.find("failure") is not None]
    assert ModelFiles(folder.parent / "staging").versions("returns") == ["r1"]
