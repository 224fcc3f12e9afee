"""Make history.csv, requests.csv and outcomes.csv of a shop that wants to know which orders come back."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

RNG = np.random.default_rng(1)
NOW = datetime.now(UTC).replace(microsecond=0)


def orders(rows):
    made = pd.DataFrame(
        {
            "price": RNG.gamma(2, 40, rows).round(2),
            "items": RNG.integers(1, 8, rows),
            "country": RNG.choice(["de", "fr", "it"], rows, p=[0.5, 0.3, 0.2]),
            "channel": RNG.choice(["app", "shop", "web"], rows),
        }
    )
    drive = made.price / 40 + made["items"] / 4 + 1.5 * (made.channel == "web") - (made.country == "it") - 3.5
    made["returned"] = (drive + RNG.logistic(0, 0.5, rows) > 0).astype(int)
    return made


orders(6000).to_csv("history.csv", index=False)

live = orders(2000)
asked = [NOW - timedelta(hours=24) + timedelta(seconds=40 * number) for number in range(len(live))]
ids = [f"order-{number}" for number in range(len(live))]
requests = live.drop(columns="returned").assign(request_id=ids, event_time=[each.isoformat() for each in asked])
requests.to_csv("requests.csv", index=False)

known = [each + timedelta(hours=1) for each in asked]
outcomes = pd.DataFrame(
    {"request_id": ids, "outcome": live.returned, "outcome_time": [each.isoformat() for each in known]}
)
outcomes.sample(frac=0.8, random_state=1).to_csv("outcomes.csv", index=False)  # of some orders nobody knows yet
