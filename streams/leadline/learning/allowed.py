"""The types that a model's file may have beside those that skops trusts: what the public estimators of scikit-learn need.

Found by a run over all of them (tests/unit/test_conformance.py); a file never adds to it.
"""

_METRICS = {
    "_classification": "accuracy balanced_accuracy brier d2_brier d2_log_loss f1 fbeta jaccard precision recall",
    "_ranking": "average_precision roc_auc top_k_accuracy",
    "_regression": "d2_absolute_error explained_variance r2",
}
_LOSSES = {
    "_classification": ["brier_score_loss", "log_loss", "matthews_corrcoef"],
    "_regression": [
        "max_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_gamma_deviance", "mean_poisson_deviance",
        "mean_squared_error", "mean_squared_log_error", "median_absolute_error", "root_mean_squared_error", "root_mean_squared_log_error",
    ],
}  # fmt: skip
_TESTS = ["chi2", "f_classif", "f_oneway", "f_regression", "r_regression"]

FUNCTIONS = frozenset(
    {
        ("scipy._lib.array_api_compat.numpy._aliases", "asarray"),
        ("scipy.interpolate._interpolate", "_call_linear_np"),
        ("sklearn.utils.validation", "check_array"),
    }
    | {(f"sklearn.metrics.{module}", f"{name}_score") for module, names in _METRICS.items() for name in names.split()}
    | {(f"sklearn.metrics.{module}", name) for module, names in _LOSSES.items() for name in names}
    | {("sklearn.feature_selection._univariate_selection", name) for name in _TESTS}
)
"""Functions of numbers alone. What chose the model or its features is kept, and not asked again."""

_CLASSES = {
    "functools": ["partial"],  # only wraps: it can hold no function but those above
    "numpy": ["dtype", "number"],
    "scipy.interpolate._bsplines": ["BSpline"],
    "sklearn._loss.loss": ["HalfTweedieLossIdentity"],
    "sklearn.compose._column_transformer": ["make_column_selector"],  # what chose the columns is kept, and not asked again
    "sklearn.calibration": ["_CalibratedClassifier", "_SigmoidCalibration", "_TemperatureScaling"],
    "sklearn.ensemble._hist_gradient_boosting.predictor": ["TreePredictor"],
    "sklearn.gaussian_process._gpc": ["_BinaryGaussianProcessClassifierLaplace"],
    "sklearn.gaussian_process.kernels": [
        "CompoundKernel", "ConstantKernel", "DotProduct", "ExpSineSquared", "Exponentiation", "Matern", "PairwiseKernel", "Product", "RBF",
        "RationalQuadratic", "Sum", "WhiteKernel",
    ],
    "sklearn.impute._iterative": ["IterativeImputer", "_ImputerTriplet"],
    "sklearn.metrics._dist_metrics": [
        f"{name}Distance64" for name in
        "BrayCurtis Canberra Chebyshev Dice Euclidean Hamming Haversine Jaccard Mahalanobis Manhattan Minkowski RogersTanimoto RussellRao "
        "SEuclidean SokalSneath".split()
    ],
    "sklearn.metrics._scorer": ["_CurveScorer", "_PassthroughScorer", "_Scorer"],
    "sklearn.model_selection._search_successive_halving": ["HalvingGridSearchCV", "HalvingRandomSearchCV"],
    "sklearn.model_selection._split": [
        "GroupKFold", "GroupShuffleSplit", "KFold", "LeaveOneGroupOut", "LeaveOneOut", "LeavePGroupsOut", "LeavePOut", "PredefinedSplit",
        "RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit", "StratifiedGroupKFold", "StratifiedKFold", "StratifiedShuffleSplit",
        "TimeSeriesSplit",
    ],
    "sklearn.multiclass": ["_ConstantPredictor"],
    "sklearn.neighbors._ball_tree": ["BallTree"],  # built anew before they are used
    "sklearn.neighbors._kd_tree": ["KDTree"],
    "sklearn.neural_network._stochastic_optimizers": ["AdamOptimizer", "SGDOptimizer"],
    "sklearn.tree._tree": ["Tree"],
    "sklearn.utils._bunch": ["Bunch"],
    "collections": ["OrderedDict"],  # the best scores of LightGBM
    "leadline.learning.native.lightgbm_model": ["CheckedBooster"],
    "leadline.learning.native.xgboost_model": ["CheckedBooster"],
    "sklearn.utils._metadata_requests": ["MetadataRequest", "MethodMetadataRequest"],
    "lightgbm.sklearn": ["LGBMClassifier", "LGBMRegressor"],
    "xgboost.sklearn": ["XGBClassifier", "XGBRFClassifier", "XGBRFRegressor", "XGBRegressor"],
}  # fmt: skip

ALLOWED_TYPES = [
    *(f"{module}.{name}" for module, names in _CLASSES.items() for name in names),
    *(f"{module}.{name}" for module, name in sorted(FUNCTIONS)),
]
