"""What others say of drawn streams by their defaults; run in the environment of the oracles. Cells in, answers out, both as JSON.

NannyML: realised accuracy, and CBPE's, outside of three standard deviations of the reference's chunks. ADWIN of river: on the error of each
labelled row, begun on the reference. Evidently: the test of its accuracy against the reference, window by window, where it is asked for.
"""

import json
import sys
import warnings

import numpy as np
import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.metrics import Accuracy
from nannyml import CBPE, PerformanceCalculator
from river.drift import ADWIN

from oracles.draws import Cell, Drawn, drawn

warnings.filterwarnings("ignore")


def nannyml(cell: Cell, reference: Drawn, live: Drawn) -> dict[str, list[int]]:
    size = live.score.shape[1]
    known = _frame(reference)
    names = {"y_pred_proba": "score", "y_pred": "said", "y_true": "truth", "metrics": ["accuracy"]}
    names |= {"chunk_size": size, "problem_type": "classification_binary"}
    found = {}
    for name, kind in (("NannyML, realised", PerformanceCalculator), ("NannyML, CBPE", CBPE)):
        if cell.fall and kind is CBPE:
            continue  # scores do not tell of it
        oracle = kind(**names)
        oracle.fit(known)
        answer = (oracle.calculate if name.endswith("realised") else oracle.estimate)(_frame(live))
        alerts = answer.filter(period="analysis").to_df()[("accuracy", "alert")].to_numpy(bool)
        found[name] = np.flatnonzero(alerts[: cell.windows]).tolist()
    return found


def _frame(rows: Drawn) -> pd.DataFrame:
    truth = np.where(rows.known, rows.truth, np.nan).ravel()
    return pd.DataFrame({"score": rows.score.ravel(), "said": rows.said.ravel().astype(int), "truth": truth})


def adwin(reference: Drawn, live: Drawn) -> dict[str, list[int]]:
    detector = ADWIN()
    for wrong in (reference.said != reference.truth).ravel().tolist():
        detector.update(wrong)
    found = []
    for window in range(len(live.said)):
        known = live.known[window]
        for wrong in (live.said[window] != live.truth[window])[known].tolist():
            detector.update(wrong)
            if detector.drift_detected:
                found.append(window)
    return {"ADWIN": sorted(set(found))}


def evidently(reference: Drawn, live: Drawn, windows: int) -> dict[str, list[int]]:
    kinds = DataDefinition(
        classification=[BinaryClassification(target="truth", prediction_labels="said", prediction_probas=None)],
        categorical_columns=["truth", "said"],
    )
    known = Dataset.from_pandas(_labelled(reference, slice(None)), data_definition=kinds)
    report = Report([Accuracy()], include_tests=True)
    found = []
    for window in range(windows):
        current = Dataset.from_pandas(_labelled(live, window), data_definition=kinds)
        tests = json.loads(report.run(current, known).json())["tests"]
        if any(each["status"] == "FAIL" for each in tests):
            found.append(window)
    return {"Evidently": found}


def _labelled(rows: Drawn, window: object) -> pd.DataFrame:
    known = rows.known[window].ravel()
    columns = {name: getattr(rows, name)[window].ravel()[known].astype(int) for name in ("said", "truth")}
    return pd.DataFrame(columns)


def main() -> None:
    answers = []
    for row, seed, windows in json.load(sys.stdin):
        cell = Cell(*row)
        reference, live = drawn(cell, seed)
        found = nannyml(cell, reference, live) | adwin(reference, live)
        answers.append(found | (evidently(reference, live, windows) if windows else {}))
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
