"""Labeled predictions as the codec decodes them, and a model to train again on them."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from leadline.core.models import Signature
from leadline.learning.add import add_version
from leadline.learning.train import train
from leadline.records import LabeledPrediction, Prediction, RetrainRequest
from leadline.settings import ModelSettings
from leadline.settings.release import TrainingSettings

DAY = 86_400_000
COLOURS = ["red", "green", "blue"]
SIGNATURE = Signature.of(["age", "income"], ["colour"], {"colour": COLOURS})
PREDICTION = pa.struct(
    [pa.field(name, pa.string(), False) for name in ("request_id", "model", "model_version", "role", "user_id")]
    + [pa.field(name, pa.int64(), False) for name in ("event_time", "scored_at")]
    + [pa.field("score", pa.float64(), False), pa.field("predicted_label", pa.int64())]
    + [pa.field("features", pa.list_(pa.float64()), False)]
    + [pa.field("signature", pa.string(), False)]
    + [pa.field("segments", pa.list_(pa.string()), False)]
    + [pa.field("feature_age_ms", pa.int64())]
    + [pa.field("categories", pa.list_(pa.string()), False)]
    + [pa.field("rollout_id", pa.string(), False), pa.field("sample", pa.float64(), False)]
)
LABELED = pa.schema(
    [
        pa.field("prediction", PREDICTION, False),
        pa.field("outcome", pa.float64()),
        pa.field("outcome_time", pa.int64()),
        pa.field("label_delay_ms", pa.int64()),
        pa.field("revision", pa.int64(), False),
        pa.field("assumed", pa.bool_(), False),
    ]
)


class Log(NamedTuple):
    """A log that has these rows, or cannot be read, and has lost some or none."""

    has: list | Exception
    lost: bool = False

    def rows(self, receipt):
        if isinstance(self.has, Exception):
            raise self.has
        return self.has

    def has_lost(self, receipt):
        return self.lost


def settings(**training):
    """Settings of a binary model."""
    return ModelSettings(
        name="m",
        numeric=["age", "income"],
        categorical=["colour"],
        segments=["colour"],
        training=TrainingSettings(**training),
    )


def request(retrain_id="t1"):
    return RetrainRequest(retrain_id, "m", "v1", 0, "performance", "a1", {})


def drawn(count, seed=0, days=30):
    """A table of rows of which the outcome can be learned."""
    rng = np.random.default_rng(seed)
    age, income = rng.uniform(18, 80, count), rng.normal(3000, 900, count)
    colour = rng.integers(0, 3, count)
    odds = (age - 45) / 15 + (colour == 0) - (income - 3000) / 2000
    outcome = (rng.uniform(size=count) < 1 / (1 + np.exp(-odds))).astype(float)
    times = np.sort(rng.integers(0, days * DAY, count))
    ids = pa.array([f"r{at:07}" for at in range(count)])
    columns = {"request_id": ids, "event_time": times, "outcome": outcome, "age": age, "income": income}
    return pa.table(columns | {"colour": pa.array(COLOURS).take(pa.array(colour))})


def labeled(table, version="v1", revision=1, signature=SIGNATURE, users=None, named=True, **other):
    """These rows as labeled predictions; an outcome of null takes back."""
    count = len(table)
    numbers = [table[name].to_numpy().astype(float) for name in signature.numeric]
    codes = [_codes(table[name], signature.categories[name]) for name in signature.categorical]
    texts = [table[name].fill_null("").to_pylist() for name in signature.categorical]
    same = {"model": "m", "model_version": version, "role": "champion", "signature": signature.id}
    columns = {name: pa.array([value] * count) for name, value in (same | other).items()}
    columns |= {"request_id": table["request_id"], "event_time": table["event_time"]}
    columns["user_id"] = pa.array(users or [f"u{at % 50}" for at in range(count)])
    columns["scored_at"] = table["event_time"]
    columns["score"] = pa.array(np.linspace(0.01, 0.99, count))
    columns["features"] = _lists(np.stack([*numbers, *codes], 1).ravel(), len(signature.names), count)
    width = len(texts) if named else 0
    columns["categories"] = _lists(
        [each for row in zip(*texts, strict=True) for each in row][: width * count], width, count
    )
    columns["segments"] = pa.array([[f"{signature.categorical[0]}={row[0]}"] for row in zip(*texts, strict=True)])
    columns |= {name: pa.nulls(count, pa.int64()) for name in ("predicted_label", "feature_age_ms")}
    columns |= {"rollout_id": pa.repeat("", count), "sample": pa.repeat(1.0, count)}
    flat = [_whole(columns[field.name]).cast(field.type) for field in PREDICTION]
    revisions = np.broadcast_to(revision, count)
    outcomes, empty = _whole(table["outcome"]), pa.nulls(count, pa.int64())
    prediction = pa.StructArray.from_arrays(flat, fields=list(PREDICTION))
    return pa.record_batch(
        [prediction, outcomes, empty, empty, pa.array(revisions), pa.array(np.zeros(count, bool))], schema=LABELED
    )


def labeled_records(table):
    """The same as records, one by one."""
    rows = zip(
        *(table[name].to_pylist() for name in ("request_id", "event_time", "age", "income", "colour", "outcome")),
        strict=True,
    )
    for request, at, age, income, colour, outcome in rows:
        features = [age, income, float(COLOURS.index(colour))]
        prediction = Prediction(
            request, "m", "v1", "champion", "", at, at, 0.5, 1, features, SIGNATURE.id, [], None, [colour]
        )
        yield LabeledPrediction(prediction, outcome, at + 1, 1, 1)


def with_model(root, model=None, **training):
    """Settings, and a first version of the model below a folder."""
    found, reference = model or settings(**training), drawn(2000, seed=9)
    first = train(reference, found, "outcome", signature=SIGNATURE)
    add_version(root, found, "v1", first, reference, "outcome", SIGNATURE, "event_time")
    return found


def _codes(column, categories):
    return np.array(
        [
            np.nan if each is None else categories.index(each) if each in categories else -1
            for each in column.to_pylist()
        ]
    )


def _lists(values, width, count):
    return pa.ListArray.from_arrays(
        np.arange(count + 1, dtype=np.int32) * width, pa.array(values, None if width else pa.string())
    )


def _whole(column):
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
