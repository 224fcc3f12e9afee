"""The ``leadline`` command."""

import sys

import typer
from rich.console import Console
from rich.markup import escape

from leadline.cli import doctor, metrics, model, replay, send, simulate, tail, topics, up, worker
from leadline.embedded import EmbeddedError
from leadline.kafka.errors import KafkaConnectionError, KafkaError
from leadline.logs import quiet_libraries, why_refused
from leadline.replay.errors import LogError, StallError
from leadline.settings import SettingsError, load_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.command("up")(up.up)
app.command("worker")(worker.worker)
app.add_typer(topics.app, name="topics")
app.command("asyncapi")(topics.asyncapi)
app.add_typer(model.app, name="model")
app.command("send")(send.send)
app.command("tail")(tail.tail)
app.command("metrics")(metrics.metrics)
app.command("replay")(replay.replay)
app.command("simulate")(simulate.simulate)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command; what the user can mend is one line and exit code 1."""
    quiet_libraries()
    try:
        app()
    except KafkaConnectionError:
        where = load_settings().kafka_bootstrap or "the embedded broker"
        _fail(
            f"{where} does not answer ({why_refused()}): set KAFKA_BOOTSTRAP to your broker's host:port, and KAFKA_SECURITY_PROTOCOL, "
            "KAFKA_SASL_* and KAFKA_SSL_* as it wants them; or start one with `leadline up`"
        )
    except (SettingsError, EmbeddedError, LogError, StallError, KafkaError) as error:
        _fail(str(error))


def _fail(message: str) -> None:
    Console(stderr=True).print(f"[red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(1)
