"""NannyML's estimate of chunks of equal size, in the environment of the oracles: CSV in, one JSON line out.

Called with the reference, the analysis, the chunk size, and whether its own calibration may be used. Both files have ``score``, ``said``
and ``truth``; of the analysis the last is not looked at.
"""

import json
import sys

import pandas as pd
from nannyml import CBPE

METRICS = {"accuracy": "accuracy", "f1": "f1", "auc": "roc_auc"}


def main(reference: str, analysis: str, size: str, calibrated: str) -> None:
    oracle = CBPE(
        y_pred_proba="score",
        y_pred="said",
        y_true="truth",
        metrics=list(METRICS.values()),
        chunk_size=int(size),
        problem_type="classification_binary",
    )
    oracle.fit(pd.read_csv(reference))
    if calibrated == "no":
        oracle.needs_calibration = False
    found = oracle.estimate(pd.read_csv(analysis)).filter(period="analysis").to_df()
    print(json.dumps({name: found[(theirs, "value")].tolist() for name, theirs in METRICS.items()}))


main(*sys.argv[1:])
