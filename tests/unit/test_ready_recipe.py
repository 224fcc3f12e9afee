"""The ready recipe orders what it was trained on as it was labelled, also where each day is another one."""

import numpy as np
import pyarrow as pa
from sklearn.metrics import roc_auc_score

from leadline.learning.training.ready import fit_ready
from leadline.settings import ModelSettings
from leadline.settings.release import TrainingSettings


def test_days_that_differ_do_not_turn_the_order_around():
    rng = np.random.default_rng(1)
    days, each = 10, 150
    rate = np.repeat(rng.permutation(np.linspace(0.1, 0.9, days)), each)
    temperature, x = np.repeat(rng.normal(size=days), each), rng.normal(size=days * each)
    truth = (rng.random(days * each) < rate).astype(float)
    table = pa.table({"temperature": temperature, "x": x})
    settings = ModelSettings(name="m", numeric=["temperature", "x"], training=TrainingSettings(params={"max_iter": 20}))
    model = fit_ready(table, truth, settings)
    scores = model.predict_proba(np.column_stack([temperature, x]))[:, 1]
    assert roc_auc_score(truth, scores) > 0.75
    assert abs(scores.mean() - truth.mean()) < 0.03
