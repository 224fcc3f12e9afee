"""docs/served.md: what the conformance run over scikit-learn's estimators serves and refuses, as a page for people."""

from importlib import metadata

from unit.test_conformance import ALL, DECISIONS, INSTEAD, MANY_OUTPUTS, REFUSED

_TOP = """# What is served and what is not
`scripts/served-doc` writes this page from the list of `tests/unit/test_conformance.py`. That test fits every public classifier and
regressor of scikit-learn to a table, adds it, and compares a thousand scores with those of the user's own process, to 1e-9.

## How a model gets its features
| the model was fitted to | it gets |
| --- | --- |
| a data frame | a data frame: its own names in its own order, text for categories, numbers as float64 |
| a matrix of numbers | a matrix, in the order of `numeric` in model.toml |
| whole numbers in place of categories | whole numbers, where `[categories]` in model.toml says which is which |

Columns that a ColumnTransformer drops are left out. What finds outliers (`IsolationForest`, `OneClassSVM`, `LocalOutlierFactor` with
`novelty`, `EllipticEnvelope`, `SGDOneClassSVM`) is served with `score = "decision"` and `positive = -1`: the score is the higher, the
more unlike the training, and outcomes are -1 and 1.

`leadline model add` prints what it understood. What does not fit is refused in one line, never guessed.

## What is not served
| what | why, and what to do |
| --- | --- |
| more than two classes | Not supported yet. Train one model for each class that you ask for. |
| several outcomes at once | A model has one outcome. Train one model for each. |
| labels alone, no `predict_proba` and no `decision_function` | There is no score to watch. Wrap the model in `CalibratedClassifierCV`. |
| classes of two kinds, such as `0` and `"yes"` | Nobody knows what an outcome of them means. Train on two of a kind. |
| types of your own that are not named | Name them: `trusted = ["package.module.Class"]`, and install the package where workers run. |
| functions of your own | A file may not bring code. Write a transformer of your own, and name its type. |
| transformers and clusterings alone | They predict no outcome. |
| models of other libraries | Only those that stand [on their page](families.md), and river models that a [trainer](online.md) makes. |
"""


def page():
    """The page."""
    served = [(kind, name) for kind, name, _ in ALL if name not in REFUSED]
    release = ".".join(metadata.version("scikit-learn").split(".")[:2])
    lines = [f"\n## The estimators of scikit-learn {release}\n{len(served)} are served:\n"]
    lines += [_group("Classifiers", [n for kind, n in served if kind == "classifier" and n not in DECISIONS])]
    lines += [_group('Classifiers with `score = "decision"`: they have no probabilities', sorted(DECISIONS))]
    lines += [_group("Regressors", [name for kind, name in served if kind == "regressor"])]
    rows = dict.fromkeys(MANY_OUTPUTS, "It predicts several outcomes at once.") | {n: _why(n) for n in REFUSED}
    refused = "".join(f"| {name} | {why} |\n" for name, why in sorted(rows.items()))
    return _TOP + "\n".join(lines) + f"\n{len(rows)} are not:\n\n| estimator | why |\n| --- | --- |\n{refused}"


def _why(name):
    return " ".join([f"{REFUSED[name][0].upper()}{REFUSED[name][1:]}.", *([INSTEAD[name]] if name in INSTEAD else [])])


def _group(title, names):
    return f"**{title}** ({len(names)}): {', '.join(names)}.\n"
