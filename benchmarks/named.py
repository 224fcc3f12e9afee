"""What named columns cost: rows that a model scores in a second of a processor, beside the same model on a matrix.

Run it by ``python -m benchmarks.named``: it needs no broker, and prints one line a way and size of a run.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from leadline.core.models import LoadedVersion
from leadline.learning.add import add_version
from leadline.learning.model_files import ModelFiles
from leadline.learning.reference import inputs
from leadline.settings import ModelSettings

_ROWS, _RUNS, _SECONDS = 5000, (500, 5000), 1.0
_NUMBERS, _TEXTS = [f"n{i}" for i in range(8)], ["c50", "c3"]


def main() -> None:
    """Measure all ways."""
    frame, truth = _data()
    for name, model, settings in _ways(frame, truth):
        table = pa.table({each: frame[each].tolist() for each in frame} | {"outcome": truth.tolist()})
        with tempfile.TemporaryDirectory() as folder:
            add_version(Path(folder), settings, None, model, table, "outcome")
            version = ModelFiles(Path(folder)).load("m", "v1")
        for rows in _RUNS:
            print(f"{name:44s} runs of {rows:5d}: {_rate(version, table.slice(0, rows)):12,.0f} rows a CPU-second")


def _data() -> tuple[Any, Any]:
    import pandas as pd

    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {name: rng.normal(size=_ROWS) for name in _NUMBERS}
    columns |= {"c50": rng.choice([f"v{i}" for i in range(50)], _ROWS), "c3": rng.choice(["a", "b", "c"], _ROWS)}
    frame = pd.DataFrame(columns)
    return frame, (frame.n0 + (frame.c3 == "a") + rng.normal(size=_ROWS) > 0).astype(int)


def _ways(frame: Any, truth: Any) -> Iterator[tuple[str, Any, ModelSettings]]:
    numbers, named = frame[_NUMBERS].to_numpy(), ModelSettings(name="m", numeric=_NUMBERS, categorical=_TEXTS)
    plain = ModelSettings(name="m", numeric=_NUMBERS)
    coding = {name: sorted(frame[name].unique()) for name in _TEXTS}
    coded = named.model_copy(update={"categories": coding})
    codes = np.column_stack([numbers, OrdinalEncoder().fit_transform(frame[_TEXTS])])
    encode = ColumnTransformer(
        [("n", StandardScaler(), _NUMBERS), ("t", OneHotEncoder(handle_unknown="ignore"), _TEXTS)]
    )
    linear, boosting = LogisticRegression(max_iter=500), HistGradientBoostingClassifier(max_iter=50)
    yield "numbers of a linear model (8)", make_pipeline(StandardScaler(), linear).fit(numbers, truth), plain
    yield "matrix: scaler, logistic regression (8)", make_pipeline(MinMaxScaler(), linear).fit(numbers, truth), plain
    yield "named: one-hot, logistic regression (8 and 2)", make_pipeline(encode, linear).fit(frame, truth), named
    by_code = HistGradientBoostingClassifier(max_iter=50, categorical_features=[8, 9])
    yield "matrix: boosting on codes (8 and 2)", by_code.fit(codes, truth), coded
    yield "named: boosting, native categories (8 and 2)", boosting.fit(_native(frame), truth), named


def _native(frame: Any) -> Any:
    return frame.astype(dict.fromkeys(_TEXTS, "category"))


def _rate(version: LoadedVersion, table: pa.Table) -> float:
    given, count = inputs(table, version.signature), 0
    version.predictor.predict(*given)
    start = time.process_time()
    while time.process_time() - start < _SECONDS:
        version.predictor.predict(*given)
        count += len(table)
    return count / (time.process_time() - start)


if __name__ == "__main__":
    main()
