"""Fit the model to the oldest orders. Write build/model.skops, and of the newer ones build/reference.csv and build/held_out.csv."""

from pathlib import Path

import pandas as pd
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS, TEXTS = ["price", "items"], ["channel"]


def pipeline() -> Pipeline:
    """The model, not fitted yet."""
    columns = [("numbers", StandardScaler(), NUMBERS), ("texts", OneHotEncoder(handle_unknown="ignore"), TEXTS)]
    return Pipeline([("columns", ColumnTransformer(columns)), ("classifier", LogisticRegression())])


def main() -> None:
    """By time: the gate judges by what came after all that the model has seen."""
    history = pd.read_csv("history.csv").sort_values("ordered_at")
    train, reference, held_out = (
        history[int(a * len(history)) : int(b * len(history))] for a, b in ((0, 0.6), (0.6, 0.75), (0.75, 1))
    )
    build = Path("build")
    build.mkdir(exist_ok=True)
    model = pipeline().fit(train[NUMBERS + TEXTS], train["returned"])
    skops.io.dump(model, build / "model.skops")
    reference.to_csv(build / "reference.csv", index=False)
    held_out.to_csv(build / "held_out.csv", index=False)


if __name__ == "__main__":
    main()
