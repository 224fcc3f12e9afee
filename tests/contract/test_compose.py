"""The compose file is a valid one, and says exactly which images it runs."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from leadline.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"


@pytest.fixture
def services() -> dict[str, Any]:
    return dict(YAML(typ="safe").load(COMPOSE)["services"])


def check(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_compose_file_fits_the_compose_schema() -> None:
    done = check(COMPOSE)
    assert done.returncode == 0, done.stdout


def test_a_misspelt_key_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(COMPOSE.read_text("utf-8").replace("healthcheck:", "heathcheck:"), "utf-8")
    assert check(wrong).returncode != 0


def test_every_image_is_pinned_to_a_full_version(services: dict[str, Any]) -> None:
    assert {name: service["image"] for name, service in services.items() if not pinned(service["image"])} == {}


def pinned(image: str) -> bool:
    return re.search(r":\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$", image) is not None


def test_the_base_image_is_of_the_python_that_is_tested_and_pinned_by_digest() -> None:
    stages = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    [base] = set(stages)
    assert len(stages) == 2
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base)


def test_ports_are_open_to_this_machine_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_waited_for_has_a_health_check(services: dict[str, Any]) -> None:
    """``service_healthy`` of a service without a health check never comes."""
    for service in services.values():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in services[other]


def test_the_compose_kafka_is_the_embedded_kafka(services: dict[str, Any]) -> None:
    lock = (ROOT / "streams/leadline/embedded/kafka.lock").read_text("utf-8")
    assert f"org.apache.kafka:kafka_2.13:{services['kafka']['image'].split(':')[1]} " in lock


def test_every_process_of_an_installation_gets_the_same_form_registry_and_store(services: dict[str, Any]) -> None:
    ours = [service["environment"] for service in services.values() if service["image"].startswith("leadline:")]
    assert len(ours) == 4
    for given in ours:
        assert given["LEADLINE_FORMAT"] == "${LEADLINE_FORMAT:-avro}"
        assert given["LEADLINE_SCHEMA_REGISTRY"] is None  # passed on where it is set
        assert given["LEADLINE_MODELS"] == "${LEADLINE_MODELS:-/var/lib/leadline/models}"
        assert {name for name in given if name.startswith("LEADLINE_")} <= set(env_names())


def env_names() -> list[str]:
    """The variables that Leadline reads: a misspelt one would be passed on to nobody."""
    return [f"LEADLINE_{name.upper()}" for name in Settings.model_fields]
