"""Fit a pipeline to a data frame, and write model.skops and reference.csv."""

import pandas as pd
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

history = pd.read_csv("history.csv")
train, reference = history[:4000], history[4000:].copy()
features = ["price", "items", "country", "channel"]

columns = ColumnTransformer(
    [
        ("numbers", StandardScaler(), ["price", "items"]),
        ("texts", OneHotEncoder(handle_unknown="ignore"), ["country", "channel"]),
    ]
)
model = Pipeline([("columns", columns), ("classifier", LogisticRegression())]).fit(train[features], train["returned"])

skops.io.dump(model, "model.skops")
reference["score"] = model.predict_proba(reference[features])[
    :, 1
]  # so that Leadline can prove that it scores the same
reference.to_csv("reference.csv", index=False)
