"""What was written with a released schema can be read with today's; `schemas/released` holds every schema that was ever released."""

import io
import json
from pathlib import Path

import fastavro
import pytest
from fastavro.read import SchemaResolutionError
from fastavro.utils import generate_one

from leadline.wire.codec import FEW, MANY, read
from leadline.wire.schemas import MARKER, fingerprint_of, parsed, released, schema, schemas_dir

RELEASED = sorted((schemas_dir() / "released").glob("*.avsc"))
TOPIC = {name: topic for topic, name in MANY.items()} | {name: topic for topic, names in FEW.items() for name in names}


def written(form):
    """A record with random contents, as somebody wrote it with this schema."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(json.loads(json.dumps(form))), generate_one(form))
    return stream.getvalue()


def breaks(form, today):
    """Why today's schema cannot read what was written in a form; None where it can."""
    try:
        for _ in range(20):
            fastavro.schemaless_reader(io.BytesIO(written(form)), fastavro.parse_schema(form), today)
    except SchemaResolutionError as error:
        return f"{type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_a_released_record_is_read(path: Path):
    form = json.loads(path.read_text("utf-8"))
    assert breaks(form, parsed(form["name"])) is None
    record = read(TOPIC[form["name"]], MARKER + fingerprint_of(form) + written(form))
    assert type(record).__name__ == form["name"]


def test_every_schema_has_been_released_at_least_once():
    names = {json.loads(path.read_text("utf-8"))["name"] for path in RELEASED}
    assert set(TOPIC) <= names


def test_the_check_finds_a_field_that_nobody_wrote():
    form, today = schema("Outcome"), json.loads(json.dumps(schema("Outcome")))
    today["fields"].append({"name": "source", "type": "string"})
    assert breaks(form, fastavro.parse_schema(today))
    today["fields"][-1]["default"] = ""
    assert breaks(form, fastavro.parse_schema(today)) is None


def test_an_older_form_is_read_with_its_default_for_what_came_later(monkeypatch, tmp_path):
    older = json.loads(json.dumps(schema("PredictionRequest")))
    older["fields"] = [field for field in older["fields"] if field["name"] != "user_id"]
    (tmp_path / "released").mkdir()
    (tmp_path / "released" / "prediction_request-0.0.1.avsc").write_text(json.dumps(older), "utf-8")
    monkeypatch.setattr("leadline.wire.schemas.schemas_dir", lambda: tmp_path)
    released.cache_clear()
    try:
        assert read("prediction-requests", MARKER + fingerprint_of(older) + written(older)).user_id == ""
    finally:
        released.cache_clear()
