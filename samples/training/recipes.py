"""A recipe: installed, or in a folder of the trainer's PYTHONPATH."""

from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def build(params):
    encoder = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer((encoder, ["colour"]), remainder=StandardScaler())
    return make_pipeline(columns, LogisticRegression(**params))
