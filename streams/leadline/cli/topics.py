"""``leadline topics`` and ``leadline asyncapi``: the topics as a contract."""

from importlib import metadata
from typing import Annotated, Any

import typer

from leadline.cli.common import Json, JsonAlways, JsonLines, broker, duration, out, put, put_json, wait_for
from leadline.wire.plan import Plan

app = typer.Typer(no_args_is_help=True, help="Look at the topics, and make them as they should be.")

Partitions = Annotated[
    int | None, typer.Option(min=1, help="Partitions of each topic. Default: LEADLINE_PARTITIONS, or 2.")
]
Retention = Annotated[str, typer.Option(help="How long records are kept, such as 30d, or never deleted: never.")]


@app.command("plan")
def show_plan(partitions: Partitions = None, retention: Retention = "30d", json: Json = False) -> None:
    """Show what apply would do; exit code 1 where it would refuse."""
    from leadline.kafka.admin import plan_topics

    keep_ms = _retention(retention)
    settings, bootstrap = broker()
    made = wait_for(plan_topics(bootstrap, settings.prefix, partitions or settings.partitions, keep_ms, _stateful()))
    _show(made, "would be", json)
    if made.refuse:
        raise SystemExit(1)


@app.command("apply")
def apply(
    partitions: Partitions = None,
    replication: Annotated[
        int | None, typer.Option(min=1, help="Replicas. Default: LEADLINE_REPLICATION, or 1.")
    ] = None,
    retention: Retention = "30d",
    json: Json = False,
) -> None:
    """Create missing topics and set their configuration; a wrong number of partitions is refused, never changed."""
    from leadline.kafka.admin import apply_topics

    keep_ms = _retention(retention)
    settings, bootstrap = broker()
    done = wait_for(
        apply_topics(
            bootstrap, settings.prefix, partitions or settings.partitions, replication or settings.replication,
            keep_ms, _stateful(),
        )
    )  # fmt: skip
    _show(done, "was", json)


@app.command("acls")
def show_acls(
    producer: Annotated[str, typer.Option(help="Who sends requests and outcomes.")] = "User:producer",
    worker: Annotated[str, typer.Option(help="Whom the workers are.")] = "User:worker",
    trainer: Annotated[str, typer.Option(help="Whom the trainers are.")] = "User:trainer",
    reader: Annotated[str, typer.Option(help="Who reads what comes out.")] = "User:reader",
    admin: Annotated[str, typer.Option(help="Who makes topics, and names champions.")] = "User:admin",
    json: JsonLines = False,
) -> None:
    """Print the least rights that each role needs, as commands of Kafka's kafka-acls.sh (add its --bootstrap-server)."""
    from leadline.settings import load_settings
    from leadline.topology import STEPS, TRAINER
    from leadline.wire.acls import acls, command

    principals = {"producer": producer, "worker": worker, "trainer": trainer, "reader": reader, "admin": admin}
    for acl in acls(load_settings().prefix, STEPS, TRAINER):
        if json:
            put_json(
                {name: getattr(acl, name) for name in type(acl).__annotations__} | {"principal": principals[acl.role]}
            )
        else:
            put(command(acl, principals[acl.role]))


def asyncapi(_: JsonAlways = False) -> None:
    """Print the contract as an AsyncAPI 3.0 document, in JSON."""
    from leadline.settings import load_settings
    from leadline.wire.asyncapi import document

    settings = load_settings()
    out.print_json(data=document(settings.prefix, metadata.version("leadline"), settings.format))


def _stateful() -> list[str]:
    from leadline.topology import STEPS

    return [step.name for step in STEPS if step.stateful]


def _retention(text: str) -> int | None:
    if text == "never":
        return None
    return duration("retention", text)


def _show(made: Plan, verb: str, json: bool) -> None:
    if json:
        put_json(_fields(made))
        return
    for new in made.create:
        config = ", ".join(f"{entry}={value}" for entry, value in new.config.items())
        put(f"{new.name} {verb} created: {new.partitions} partition(s), {config}")
    for kept in made.alter:
        changes = ", ".join(f"{entry}={value} (was {was})" for entry, (was, value) in kept.changes.items())
        put(f"{kept.name} {verb} altered: {changes}")
    for reason in made.refuse:
        put(f"refused: {reason}")
    if not (made.create or made.alter or made.refuse):
        put("nothing to do")


def _fields(made: Plan) -> dict[str, Any]:
    """A plan as JSON has it."""
    alter = [
        {"topic": kept.name, "changes": {entry: {"is": was, "wanted": wanted} for entry, (was, wanted) in kept.changes.items()}}
        for kept in made.alter
    ]  # fmt: skip
    create = [{"topic": new.name, "partitions": new.partitions, "config": dict(new.config)} for new in made.create]
    return {"create": create, "alter": alter, "refuse": made.refuse}
