"""The client is light: a program that only asks and reads does not load what workers need."""

import subprocess
import sys
from typing import Any, Literal, get_args, get_origin, get_overloads, get_type_hints

from leadline.client import Client
from leadline.wire.topics import BY_NAME

SERVERS_OWN = (
    "faust",
    "pyarrow",
    "pyruhvro",
    "redis",
    "rocksdict",
    "scipy",
    "sklearn",
    "skops",
    "typer",
    "confluent_kafka",
)


def test_the_client_loads_nothing_of_the_server():
    said = f"""if True:
        import sys
        import leadline.client
        print(*{{*{SERVERS_OWN!r}}} & {{*sys.modules}})"""
    assert subprocess.check_output([sys.executable, "-c", said], text=True).split() == []


def test_the_types_of_records_are_those_of_their_topics():
    told = [get_type_hints(each) for each in get_overloads(Client.records)]
    for hints in told[:-1]:
        assert get_origin(hints["topic"]) is Literal
        [topic], [kind] = get_args(hints["topic"]), get_args(hints["return"])
        assert {each.__name__ for each in get_args(kind) or (kind,)} == set(BY_NAME[topic].schemas)
    assert (told[-1]["topic"], get_args(told[-1]["return"])) == (str, (Any,))
