"""No client is built but by `leadline.kafka.connections`: else a secured installation would have a hole."""

import ast
from pathlib import Path

import leadline

SOURCES = sorted(Path(leadline.__file__).parent.rglob("*.py"))


def calls(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield (
                ast.unparse(node.func).rpartition(".")[2],
                [ast.unparse(k.value) for k in node.keywords if k.arg is None],
            )


def test_every_client_of_kafka_is_made_with_the_security_of_the_environment():
    made = [(path.name, unpacked) for path in SOURCES for name, unpacked in calls(path) if name.startswith("AIOKafka")]
    assert len(made) > 10
    assert not [(path, unpacked) for path, unpacked in made if not any(u.startswith("reach(") for u in unpacked)]


def test_every_client_of_librdkafka_too():
    made = [
        (path.name, ast.unparse(node.args[0]))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Consumer", "Producer")
    ]
    assert len(made) == 2
    assert all(given.startswith(("reached | ", "producing | ")) for _, given in made)


def test_every_client_of_redis_is_made_in_one_place():
    assert {path.name for path in SOURCES for name, _ in calls(path) if name in ("from_url", "Redis")} == {
        "connections.py"
    }
