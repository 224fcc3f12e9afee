"""Models of other libraries for tests: each with the rows that it was trained on, and its own library's answers for them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from leadline.learning.add import Added, add_file
from leadline.settings import ModelSettings

ROWS = 10_000
NUMBERS = ModelSettings(name="m", numeric=["a", "b"])
MIXED = ModelSettings(name="m", numeric=["a", "b"], categorical=["c", "k"])


@dataclass(frozen=True)
class Case:
    """A model's file, how it is to be served, the rows of its training and its own library's answers for them.

    ``unseen``: what its library does with a category that it has never seen.
    """

    data: bytes
    settings: ModelSettings
    frame: pd.DataFrame
    own: np.ndarray[Any, Any]
    truth: np.ndarray[Any, Any]
    unseen: Literal["missing", "refused", "own"] = "missing"
    parity: bool = True

    def table(self) -> pa.Table:
        return pa.Table.from_pandas(
            self.frame.assign(y=self.truth, p=np.asarray(self.own, float)), preserve_index=False
        )

    def add(self, root: Path) -> Added:
        """Add it as a person does, with the column of the library's own scores."""
        file = root / "given"
        file.write_bytes(self.data)
        return add_file(root / "models", self.settings, "v1", file, self.table(), "y", "p" if self.parity else "")


def rows(count: int = ROWS, fourth: str = "w") -> pd.DataFrame:
    """Numbers and categories of texts and of whole numbers; some of each are missing."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "b": rng.normal(size=count),
            "c": pd.Categorical(rng.choice(["x", "y", "z", fourth], count)),
            "a": rng.normal(size=count),
            "k": pd.Categorical(rng.choice([3, 5, 90], count)),
        }
    )
    frame.loc[::7, "a"] = np.nan
    frame.loc[::11, "c"] = np.nan
    return frame


def truth(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    said = frame.a.fillna(0) + 2 * (frame.c == "x") + (frame.k == 5) + np.random.default_rng(1).normal(size=len(frame))
    found: np.ndarray[Any, Any] = (said > 0.8).to_numpy().astype(int)
    return found


def value(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = (3 * frame.b + (frame.c == "y") + frame.a.fillna(1)).to_numpy()
    return found


def saved(model: Any, ending: str) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{ending}"
        model.save_model(path)
        return path.read_bytes()


def _xgb(**params: Any) -> tuple[Any, pd.DataFrame, np.ndarray[Any, Any]]:
    from xgboost import XGBClassifier

    frame = rows()
    y = truth(frame)
    model = XGBClassifier(
        n_jobs=1,
        n_estimators=60,
        max_depth=4,
        enable_categorical=True,
        early_stopping_rounds=2,
        random_state=0,
        **params,
    )
    model.fit(frame[:2000], y[:2000], eval_set=[(frame[2000:2500], y[2000:2500])], verbose=False)
    assert 0 < model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    return model, frame, y


def xgboost_file(ending: str, **params: Any) -> Case:
    """Saved by the wrapper, which stopped early."""
    model, frame, y = _xgb(**params)
    return Case(saved(model, ending), MIXED, frame, model.predict_proba(frame)[:, 1], y, unseen="refused")


def xgboost_wrapper() -> Case:
    model, frame, y = _xgb()
    return Case(skops.io.dumps(model), MIXED, frame, model.predict_proba(frame)[:, 1], y, unseen="refused")


def xgboost_booster() -> Case:
    """Of XGBoost's own interface, which answers with all rounds."""
    import xgboost

    frame = rows()
    y = truth(frame)
    data = xgboost.DMatrix(frame, y, enable_categorical=True)
    params = {"objective": "binary:logistic", "max_depth": 3, "base_score": 0.3, "nthread": 1, "max_cat_to_onehot": 1}
    model = xgboost.train(params, data, 10, evals=[(data, "e")], early_stopping_rounds=3, verbose_eval=False)
    return Case(saved(model, "ubj"), MIXED, frame, model.predict(data), y, unseen="refused")


def xgboost_regression() -> Case:
    """Without names, and a value that stands for a missing one."""
    from xgboost import XGBRegressor

    frame = rows()[["a", "b"]]
    frame.loc[::5, "b"] = -999
    model = XGBRegressor(n_jobs=1, n_estimators=10, missing=-999, objective="reg:absoluteerror")
    y = 3 * frame.b.to_numpy()
    model.fit(frame.to_numpy(), y)
    settings = NUMBERS.model_copy(update={"task": "regression"})
    return Case(skops.io.dumps(model), settings, frame, model.predict(frame.to_numpy()), y)


def xgboost_linear() -> Case:
    from xgboost import XGBRegressor

    frame = rows()[["a", "b"]].fillna(0)
    model = XGBRegressor(n_jobs=1, booster="gblinear", n_estimators=10).fit(frame, y := 3 * frame.b.to_numpy())
    settings = NUMBERS.model_copy(update={"task": "regression"})
    return Case(saved(model, "ubj"), settings, frame, model.predict(frame), y)


def behind(model: Any) -> Case:
    """A wrapper behind what prepares its features."""
    frame = rows().assign(c=lambda held: held.c.astype(object), k=lambda held: held.k.astype(int))
    table = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["c", "k"])], remainder="passthrough")
    y = truth(frame)
    fitted = make_pipeline(table, model).fit(frame[:2000], y[:2000])
    return Case(skops.io.dumps(fitted), MIXED, frame, fitted.predict_proba(frame)[:, 1], y, unseen="own")


def xgboost_behind() -> Case:
    from xgboost import XGBClassifier

    return behind(XGBClassifier(n_jobs=1, n_estimators=10))


def behind_search(model: Any, grid: dict[str, list[Any]], unseen: Literal["missing", "refused"]) -> Case:
    """A wrapper that gets the columns as they are, its categories too, behind a calibration and a search."""
    frame = rows()
    y = truth(frame)
    fitted = GridSearchCV(CalibratedClassifierCV(model, cv=2), grid, cv=2).fit(frame[:2000], y[:2000])
    return Case(skops.io.dumps(fitted), MIXED, frame, fitted.predict_proba(frame)[:, 1], y, unseen=unseen)


def xgboost_searched() -> Case:
    from xgboost import XGBClassifier

    model = XGBClassifier(n_jobs=1, n_estimators=10, enable_categorical=True)
    return behind_search(model, {"estimator__max_depth": [2, 3]}, "refused")


XGBOOST: dict[str, Callable[[], Case]] = {
    "xgboost ubj": lambda: xgboost_file("ubj"),
    "xgboost json": lambda: xgboost_file("json"),
    "xgboost dart": lambda: xgboost_file("ubj", booster="dart", rate_drop=0.3),
    "xgboost wrapper": xgboost_wrapper,
    "xgboost booster": xgboost_booster,
    "xgboost regression": xgboost_regression,
    "xgboost gblinear": xgboost_linear,
    "xgboost in a pipeline": xgboost_behind,
    "xgboost searched": xgboost_searched,
}


def _lgb(frame: pd.DataFrame, **params: Any) -> tuple[Any, np.ndarray[Any, Any]]:
    from lightgbm import LGBMClassifier, early_stopping

    y = truth(frame)
    model = LGBMClassifier(
        n_estimators=80, num_leaves=12, verbose=-1, n_jobs=1, min_data_per_group=5, max_cat_to_onehot=1, **params
    )
    model.fit(
        frame[:2000],
        y[:2000],
        eval_X=frame[2000:2500],
        eval_y=y[2000:2500],
        callbacks=[early_stopping(2, verbose=False)],
    )
    return model, y


def lightgbm_text() -> Case:
    """Saved by the wrapper, which stopped early; a category beyond ASCII."""
    frame = rows(fourth="ä")
    model, y = _lgb(frame)
    assert 0 < model.best_iteration_ < 70
    return Case(saved(model.booster_, "txt"), MIXED, frame, model.predict_proba(frame)[:, 1], y)


def lightgbm_wrapper() -> Case:
    """With classes that are words."""
    from lightgbm import LGBMClassifier

    frame = rows(fourth="ä")
    y = np.array(["no", "yes"], object)[truth(frame)]
    model = LGBMClassifier(n_estimators=20, num_leaves=12, verbose=-1, n_jobs=1).fit(frame, y)
    settings = MIXED.model_copy(update={"positive": "no"})
    return Case(skops.io.dumps(model), settings, frame, model.predict_proba(frame)[:, 0], y)


def lightgbm_stopped() -> Case:
    frame = rows(fourth="ä")
    model, y = _lgb(frame)
    return Case(skops.io.dumps(model), MIXED, frame, model.predict_proba(frame)[:, 1], y)


def lightgbm_forest() -> Case:
    frame = rows()[["a", "b"]]
    from lightgbm import LGBMRegressor

    model = LGBMRegressor(boosting_type="rf", n_estimators=8, subsample=0.5, subsample_freq=1, verbose=-1, n_jobs=1)
    y = 3 * frame.b.to_numpy()
    settings = NUMBERS.model_copy(update={"task": "regression"})
    return Case(
        saved(model.fit(frame.to_numpy(), y).booster_, "txt"),
        settings,
        frame[["a", "b"]],
        model.predict(frame.to_numpy()),
        y,
    )


def lightgbm_linear() -> Case:
    frame = rows()[["a", "b"]].fillna(0)
    from lightgbm import LGBMRegressor

    model = LGBMRegressor(linear_tree=True, n_estimators=8, verbose=-1, n_jobs=1, reg_sqrt=True)
    y = 3 * frame.b.to_numpy() + frame.a.to_numpy() ** 2
    settings = NUMBERS.model_copy(update={"task": "regression"})
    return Case(saved(model.fit(frame, y).booster_, "txt"), settings, frame, model.predict(frame), y)


def lightgbm_behind() -> Case:
    from lightgbm import LGBMClassifier

    return behind(LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1))


def lightgbm_searched() -> Case:
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1, min_data_per_group=5)
    return behind_search(model, {"estimator__num_leaves": [4, 8]}, "missing")


LIGHTGBM: dict[str, Callable[[], Case]] = {
    "lightgbm text": lightgbm_text,
    "lightgbm wrapper": lightgbm_wrapper,
    "lightgbm stopped": lightgbm_stopped,
    "lightgbm forest": lightgbm_forest,
    "lightgbm linear trees": lightgbm_linear,
    "lightgbm in a pipeline": lightgbm_behind,
    "lightgbm searched": lightgbm_searched,
}


def _converted(model: Any, types: list[tuple[str, Any]], **options: Any) -> bytes:
    from skl2onnx import convert_sklearn

    found: bytes = convert_sklearn(
        model, initial_types=types, options={id(model): options} if options else None
    ).SerializeToString()
    return found


def onnx_answers(data: bytes, feed: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Its own runtime's: of the file as it is."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data)
    said = session.run(None, feed)[-1]
    if isinstance(said, list):
        return np.array([list(each.values())[1] for each in said])
    return said[:, 1] if said.shape[1] == 2 else said[:, 0]


def onnx_matrix() -> Case:
    """Trees behind a scaler, with a map of probabilities for each row."""
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import RandomForestClassifier

    frame = rows()[["a", "b"]].fillna(0)
    y = np.array(["no", "yes"], object)[truth(rows())]
    model = make_pipeline(StandardScaler(), RandomForestClassifier(20, max_depth=6, random_state=0)).fit(
        frame.to_numpy(), y
    )
    data = _converted(model, [("X", FloatTensorType([None, 2]))])
    own = onnx_answers(data, {"X": frame.to_numpy(np.float32)})
    return Case(data, NUMBERS.model_copy(update={"positive": "yes"}), frame, own, y)


def onnx_columns() -> Case:
    """One input for each column, and probabilities as one tensor."""
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression

    frame = rows().assign(c=lambda held: held.c.astype(object).fillna("none"), k=lambda held: held.k.astype(int))
    y = truth(rows())
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    table = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["c"]), ("n", numbers, ["a", "b", "k"])])
    model = make_pipeline(table, LogisticRegression()).fit(frame, y)
    kinds = {"b": FloatTensorType, "c": StringTensorType, "a": FloatTensorType, "k": Int64TensorType}
    data = _converted(model, [(name, kind([None, 1])) for name, kind in kinds.items()], zipmap=False)
    types = {"a": np.float32, "b": np.float32, "c": object, "k": np.int64}
    own = onnx_answers(data, {name: frame[name].to_numpy(types[name]).reshape(-1, 1) for name in frame})
    settings = ModelSettings(name="m", numeric=["a", "b", "k"], categorical=["c"])
    return Case(data, settings, frame, own, y, unseen="own")


def onnx_regression() -> Case:
    from skl2onnx.common.data_types import DoubleTensorType
    from sklearn.neural_network import MLPRegressor

    frame = rows()[["a", "b"]].fillna(0)
    y = value(rows())
    model = MLPRegressor(hidden_layer_sizes=(8,), max_iter=20, random_state=0).fit(
        frame[["b", "a"]].to_numpy()[:500], y[:500]
    )
    data = _converted(model, [("X", DoubleTensorType([None, 2]))])
    settings = ModelSettings(name="m", task="regression", numeric=["b", "a"])
    return Case(data, settings, frame, onnx_answers(data, {"X": frame[["b", "a"]].to_numpy()}), y)


def graph(nodes: list[Any], output: str, width: int, *weights: tuple[str, Any], label: str = "") -> bytes:
    """A file of ONNX made by hand, of the matrix ``X`` of two columns, as exporters of neural networks write it."""
    from onnx import TensorProto, helper, numpy_helper

    labels = [helper.make_tensor_value_info(label, TensorProto.INT64, ["rows"])] if label else []
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", 2])],
        [*labels, helper.make_tensor_value_info(output, TensorProto.FLOAT, ["rows", width])],
        [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in weights],
    )
    found: bytes = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    ).SerializeToString()
    return found


def onnx_network(end: str = "Sigmoid", label: str = "") -> Case:
    """Probabilities, without a label or with the place of the higher one."""
    from onnx import helper

    weights = [[1.0], [-2.0]] if end == "Sigmoid" else [[-1.0, 1.0], [2.0, -2.0]]
    nodes = [helper.make_node("MatMul", ["X", "W"], ["z"]), helper.make_node(end, ["z"], ["p"])]
    nodes += [helper.make_node("ArgMax", ["p"], [label], axis=1, keepdims=0)] if label else []
    data = graph(nodes, "p", len(weights[0]), ("W", weights), label=label)
    frame = rows()[["a", "b"]].fillna(0)
    return Case(data, NUMBERS, frame, onnx_answers(data, {"X": frame.to_numpy(np.float32)}), truth(rows()))


ONNX: dict[str, Callable[[], Case]] = {
    "onnx matrix": onnx_matrix,
    "onnx columns": onnx_columns,
    "onnx regression": onnx_regression,
    "onnx sigmoid": onnx_network,
    "onnx softmax": lambda: onnx_network("Softmax"),
    "onnx argmax": lambda: onnx_network("Softmax", "label"),
}
FAMILIES = XGBOOST | LIGHTGBM | ONNX
