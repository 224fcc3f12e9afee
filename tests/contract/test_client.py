"""The client is light: a program that only asks and reads does not load what workers need."""

import subprocess
import sys

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
