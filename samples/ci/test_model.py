"""What has to hold of the code before anything is trained."""

import numpy as np
import pandas as pd
import pyarrow as pa
from shop_checks import profit
from train import NUMBERS, TEXTS, pipeline

ORDERS = pd.DataFrame({"price": [10.0, 400.0] * 20, "items": [1, 7] * 20, "channel": ["shop", "web"] * 20})


def test_the_pipeline_learns_and_takes_a_channel_that_it_never_saw():
    model = pipeline().fit(ORDERS[NUMBERS + TEXTS], [0, 1] * 20)
    asked = ORDERS[:2].assign(channel="stall")
    assert model.predict(asked[NUMBERS + TEXTS]).tolist() == [0, 1]


def test_profit_fails_where_less_is_earned():
    held_out = pa.table({"returned": [1, 1, 0, 0]})
    good, bad = np.array([0.9, 0.9, 0.1, 0.1]), np.array([0.1, 0.9, 0.9, 0.1])
    assert (profit(held_out, bad, good).outcome, profit(held_out, good, bad).outcome) == ("passed", "failed")
