"""No client is made but with the options of a connection: else a secured installation would have a hole."""

import ast
from pathlib import Path

import leadline

SOURCES = sorted(Path(leadline.__file__).parent.rglob("*.py"))


def calls(path):
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]


def name_of(call):
    return ast.unparse(call.func).rpartition(".")[2]


def test_every_client_of_kafka_is_made_with_the_security_of_the_environment():
    made = [(path, call) for path in SOURCES for call in calls(path) if name_of(call).startswith("AIOKafka")]
    unpacked = [[ast.unparse(k.value) for k in call.keywords if k.arg is None] for _, call in made]
    assert len(made) > 5
    assert {path.parent.name for path, _ in made} == {"kafka", "client"}
    assert all(any(option.startswith("connection(") for option in each) for each in unpacked)


def test_every_client_of_librdkafka_too():
    options = "librdkafka_connection(bootstrap) | "
    made = [(path, c) for path in SOURCES for c in calls(path) if ast.unparse(c.func) in ("Consumer", "Producer")]
    assert [path.name for path, _ in made] == ["quick_consumer.py", "quick_producers.py"]
    assert all(ast.unparse(call.args[0]).startswith((options, "options | ")) for _, call in made)
    assert f"options = {options}" in made[1][0].read_text("utf-8")


def test_every_client_of_redis_is_made_in_one_place():
    made = {path for path in SOURCES for call in calls(path) if name_of(call) in ("from_url", "Redis")}
    assert {path.relative_to(Path(leadline.__file__).parent).as_posix() for path in made} == {"lookups/connections.py"}


def test_private_names_of_clients_are_in_one_module():
    """Of others' objects, that is: who says `self._name` means his own. ``KafkaError._X`` and those of named tuples are public."""
    rooms = [path for path in SOURCES if path.parent.name in ("kafka", "hosts", "lookups", "cli", "demo", "replay")]
    private = [
        f"{path.name}: {ast.unparse(node)}"
        for path in rooms
        if path.name != "private.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in ("_asdict", "_replace")
        and ast.unparse(node.value) not in ("self", "cls", "super()", "KafkaError")
        and ast.unparse(node) != "os._exit"
    ]
    assert private == []
