"""Make history.csv, 90 days of orders of a shop and whether each came back: in your repository, a query of your warehouse."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

RNG = np.random.default_rng(1)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
ROWS, DAYS = 9000, 90

minutes = np.sort(RNG.integers(0, DAYS * 24 * 60, ROWS))
orders = pd.DataFrame(
    {
        "ordered_at": [(SINCE + timedelta(minutes=int(each))).isoformat() for each in minutes],
        "price": RNG.gamma(2, 40, ROWS).round(2),
        "items": RNG.integers(1, 8, ROWS),
        "channel": RNG.choice(["app", "shop", "web"], ROWS),
    }
)
drive = orders.price / 40 + orders["items"] / 4 + 1.5 * (orders.channel == "web") - 3.5
orders["returned"] = (drive + RNG.logistic(0, 0.5, ROWS) > 0).astype(int)
orders.to_csv("history.csv", index=False)
