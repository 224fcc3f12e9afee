"""``leadline model init``: a model.toml from a model and its reference."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.common import Json, put, put_json, say
from leadline.foreign_text import shown
from leadline.settings import ModelSettings, SettingsError

if TYPE_CHECKING:
    from leadline.learning.draft import Draft


def init(
    file: Annotated[Path, typer.Argument(help="The trained model, a .skops file.")],
    reference: Annotated[Path, typer.Option(help="Labelled data of the training period (.csv, .jsonl, .parquet).")],
    outcome: Annotated[str, typer.Option(help="The column of the reference that holds the outcome.")] = "outcome",
    name: Annotated[str, typer.Option(help="Of the model. Default: the file's name.")] = "",
    positive: Annotated[str, typer.Option(help="The class whose probability is the score, such as yes.")] = "",
    features: Annotated[
        str, typer.Option(help="Columns of a model that knows no names, in its order: a,b,c. Default: all others.")
    ] = "",
    trusted: Annotated[list[str] | None, typer.Option(help="A type of your own that the file may have.")] = None,
    output: Annotated[Path, typer.Option(help="The file to write; it must not be there.")] = Path("model.toml"),
    json: Json = False,
) -> None:
    """Write a model.toml for FILE, with what the model and its reference say, and a comment on each other key."""
    from leadline.learning.confined import look_apart
    from leadline.learning.draft import draft, features_of, toml
    from leadline.learning.limits import LIMITS, MODEL
    from leadline.learning.model_files import valid_name
    from leadline.learning.reference import read_reference
    from leadline.settings.files import read_file

    try:
        table = read_reference(reference)
    except ValueError as error:
        raise SettingsError(f"--reference {error}") from None
    model, named = name or file.stem, [each.strip() for each in features.split(",") if each.strip()]
    if not valid_name(model):
        raise SettingsError(f"{shown(model)} cannot name a model: give another one by --name")
    others = named or [each for each in table.column_names if each != outcome]
    look = look_apart(
        read_file(file, LIMITS[MODEL]), ModelSettings(name="new", trusted=trusted or []), others, str(file)
    )
    made = draft(model, look, table, features_of(look, table, outcome, named), positive, tuple(trusted or ()))
    with output.open("x", encoding="utf-8") as new:
        new.write(toml(made))
    if json:
        put_json(_fields(output, made))
        return
    put(f"wrote {output}: {len(made.numeric)} numeric and {len(made.categorical)} categorical features")
    if made.lacks_positive:
        say(f"say in {output} which of its classes is positive: {', '.join(look.classes)}")
    if made.categories:
        say(f"say in {output}, below [categories], which category has which number: {', '.join(made.categories)}")
    say(f"then: leadline model add {file} --settings {output} --reference {reference} --outcome {outcome} --champion")


def _fields(output: Path, made: "Draft") -> dict[str, Any]:
    """What was written, and what is left to say."""
    return {
        "file": str(output), "name": made.name, "numeric": made.numeric, "categorical": made.categorical,
        "classes": list(made.look.classes), "positive": made.positive or None,
        "lacks": [*(["positive"] if made.lacks_positive else []), *(f"categories.{each}" for each in made.categories)],
    }  # fmt: skip
