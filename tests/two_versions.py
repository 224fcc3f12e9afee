"""Logs of two versions, and what is to be made of them, in plain Python: who was right on which request, and what the bets on that won."""

import csv
import gzip
import math
from collections import defaultdict
from random import Random

import numpy as np

from leadline.core.release.evidence.counted import Cells, Tallies
from leadline.core.release.evidence.spreads import divided
from leadline.core.statistics.overdispersion import INDEPENDENT
from leadline.records import iso

MINUTE, HOUR = 60_000, 3_600_000
START = 1_767_225_600_000
HORIZON, WINDOW = 2 * HOUR, HOUR
STAKES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.9)
_PREDICTION = "request_id event_time model_version score label_pred segment arrival_time".split()
_OUTCOME = "request_id outcome outcome_time arrival_time".split()


class Log:
    """Requests that v1 and v2 score, right in such shares, with the faults that logs have; some only one of them scores."""

    def __init__(self, seed, hours, per_hour, right, segments=("a", "b"), missing=0.05):
        self.random, self.predictions, self.outcomes = Random(seed), [], []
        self.right, self.missing = right, missing
        for number in range(hours * per_hour):
            self._request(f"r{number}", START + number * HOUR // per_hour, segments[number % len(segments)])
        self.predictions.sort(key=lambda row: row["arrival_time"])
        self.outcomes.sort(key=lambda row: row["arrival_time"])

    def _request(self, name, at, segment):
        truth = self.random.random() < 0.4
        for version, share in self.right.items():
            if self.random.random() < 0.97:
                said = truth if self.random.random() < share else not truth
                self._say(name, at, version, said, segment, at + self.random.choice([100, 2000, 50 * MINUTE]))
                if self.random.random() < 0.05:
                    self._say(name, at, version, not said, segment, at + 51 * MINUTE)
        if self.random.random() >= self.missing:
            later = self.random.choice([10, 60, 110, 119, 121]) * MINUTE
            self._know(name, truth, at + later)
            if self.random.random() < 0.05:
                self._know(name, not truth, at + later + MINUTE)

    def _say(self, name, at, version, said, segment, arrival):
        score = 0.75 if said else 0.25
        self.predictions.append(
            dict(zip(_PREDICTION, (name, at, version, score, int(said), segment, arrival), strict=True))
        )

    def _know(self, name, truth, at):
        self.outcomes.append(dict(zip(_OUTCOME, (name, int(truth), at, at), strict=True)))

    def write(self, folder):
        """Both files, as options of the command."""
        for name, columns, rows in (("p", _PREDICTION, self.predictions), ("o", _OUTCOME, self.outcomes)):
            with gzip.open(folder / f"{name}.csv.gz", "wt", newline="") as file:
                out = csv.DictWriter(file, columns)
                out.writeheader()
                out.writerows(
                    {key: iso(value) if key.endswith("_time") else value for key, value in row.items()} for row in rows
                )
        return ["--predictions", str(folder / "p.csv.gz"), "--outcomes", str(folder / "o.csv.gz")]

    @property
    def ends(self):
        return max(row["arrival_time"] for row in self.predictions + self.outcomes)

    def requests(self):
        """The requests that both scored: when, in which segment, and whether each was right (None: nobody knows)."""
        said, known = defaultdict(dict), defaultdict(list)
        for row in self.predictions:
            said[row["request_id"]].setdefault(row["model_version"], row)
        for row in self.outcomes:
            known[row["request_id"]].append(row)
        for name, by in said.items():
            if len(by) == len(self.right):
                yield name, by["v1"]["event_time"], by["v1"]["segment"], *self._judged(by, known[name])

    def _judged(self, by, known):
        """The difference, or None where there is no label and the versions do not agree; which log tells of it when due."""
        at = by["v1"]["event_time"]
        due = at // WINDOW * WINDOW + WINDOW + HORIZON
        usable = [row for row in known if row["outcome_time"] <= at + HORIZON and row["arrival_time"] <= due]
        first, second = by["v1"]["label_pred"], by["v2"]["label_pred"]
        if first == second:
            return (0,)
        if not usable:
            return (None,)
        truth = min(usable, key=lambda row: row["outcome_time"])["outcome"]
        return (int(second == truth) - int(first == truth),)


def looks(log, margin=0.0, alpha=0.05, least=100):
    """Each look at the windows that are due by then, until one is a verdict."""
    windows = defaultdict(lambda: defaultdict(list))
    for _, at, segment, difference in log.requests():
        windows[at // WINDOW * WINDOW]["*"].append(difference)
        windows[at // WINDOW * WINDOW][segment].append(difference)
    seen = []
    for number, start in enumerate(sorted(windows)):
        at = start + WINDOW + HORIZON + 1
        if at > log.ends:
            break
        seen.append((at, *_look([windows[each] for each in sorted(windows)[: number + 1]], margin, alpha, least)))
        if seen[-1][1] in ("promote", "rollback"):
            break
    return seen


def _look(windows, margin, alpha, least):
    of = {each: [window.get(each, []) for window in windows] for each in sorted({name for w in windows for name in w})}
    known = [d for window in of["*"] for d in window]
    better, same, worse = (known.count(each) for each in (1, 0, -1))
    promote = _product(of["*"], margin)
    back = sum(
        math.exp(_cusum(rows, margin if name == "*" else 0.02)) * (0.5 if name == "*" else 0.5 / (len(of) - 1))
        for name, rows in of.items()
    )
    verdict = "hold"
    if better + same + worse >= least:
        verdict = "rollback" if back >= 1 / alpha else "promote" if math.exp(promote) >= 1 / alpha else "hold"
    return verdict, better + same + worse, better, same, worse, math.exp(promote), back


def _divided(rows):
    """By how much the evidence is divided, for a promotion and for a rollback: so much as the code says, which has tests of its own."""
    counts = np.array([[row.count(each) for each in (-1, 0, 1)] for row in rows], float)
    tallies = Tallies(counts, counts, np.zeros(len(rows)))
    return divided(
        Cells("*", np.array([-1.0, 0.0, 1.0]), np.arange(len(rows)), len(rows), np.ones(len(rows)), tallies, tallies),
        INDEPENDENT,
    )


def _won(rows, margin, side):
    """What each window wins, at each stake; what nobody knows goes against the bet."""
    found = _divided(rows)
    if found is None:
        return []
    by = found.promotion if side > 0 else found.rollback
    return [
        [
            sum(math.log1p(stake * side * ((-side if d is None else d) + margin) / (1 + margin)) for d in row) / by
            for stake in STAKES
        ]
        for row in rows
    ]


def _product(rows, margin):
    return _mean_exp([sum(each) for each in zip(*_won(rows, margin, 1), strict=True)])


def _cusum(rows, margin):
    """The product since the window that speaks most for it; to begin at window t costs 2 t (t - 1), at the first 2."""
    won = _won(rows, margin, -1)
    floors = [2 * max(1, t * (t + 1)) for t in range(len(won))]
    best = [
        max(sum(column[t:]) - math.log(floor) for t, floor in enumerate(floors)) for column in zip(*won, strict=True)
    ]
    return _mean_exp(best)


def _mean_exp(logs):
    return math.log(sum(map(math.exp, logs)) / len(STAKES)) if logs else 0.0
