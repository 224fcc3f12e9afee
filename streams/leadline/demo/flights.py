"""The sample of flights: what trains the model, and what happened in the six weeks that is replayed."""

from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from leadline.records import Outcome, PredictionRequest
from leadline.settings import ModelSettings, load_model_settings

_TEXTS = {"origin": pa.string(), "carrier": pa.string(), "dest": pa.string(), "dow": pa.string(), "label": pa.float64()}


@dataclass(frozen=True, slots=True)
class Weather:
    """What an airport reported for an hour."""

    origin: str
    time: int
    values: dict[str, float]


def data(name: str) -> Path:
    """A file of the sample."""
    return Path(str(resources.files("leadline.demo") / "data" / name))


def model_settings() -> ModelSettings:
    """How the demo's model is described."""
    return load_model_settings(data("model.toml"))


def history() -> tuple[pa.Table, pa.Table]:
    """Flights to train on (January and February) and the reference (March), with outcomes."""
    table = _read("history.csv.gz")
    march = pa.compute.greater_equal(
        table["event_time"], pa.scalar(datetime.fromisoformat("2013-03-01T00:00:00Z"), table["event_time"].type)
    )
    return table.filter(pa.compute.invert(march)), table.filter(march)


def summer() -> tuple[list[PredictionRequest], list[Outcome], list[Weather]]:
    """Requests, landings and weather, each in the order in which they happened."""
    settings = model_settings()
    flights = _read("live.csv.gz").to_pylist()
    requests = [_request(row, settings) for row in flights]
    landed = [
        Outcome(row["request_id"], row["label"], _ms(row["outcome_time"]))
        for row in flights
        if row["label"] is not None
    ]
    weather = [_weather(row, settings) for row in _read("weather.csv.gz").to_pylist()]
    return requests, sorted(landed, key=lambda outcome: outcome.outcome_time), weather


def _request(row: dict[str, Any], settings: ModelSettings) -> PredictionRequest:
    features = {name: float(row[name]) for name in settings.numeric if row.get(name) is not None}
    categories = {name: row[name] for name in settings.categorical}
    return PredictionRequest(
        request_id=row["request_id"],
        model=settings.name,
        event_time=_ms(row["event_time"]),
        features=features,
        user_id=row["carrier"],
        categories=categories,
    )


def _weather(row: dict[str, Any], settings: ModelSettings) -> Weather:
    names = settings.lookups["weather"].features
    return Weather(row["origin"], _ms(row["time"]), {name: float(row[name]) for name in names if row[name] is not None})


def _read(name: str) -> pa.Table:
    return pyarrow.csv.read_csv(data(name), convert_options=pyarrow.csv.ConvertOptions(column_types=_TEXTS))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
