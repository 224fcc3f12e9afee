"""Naive answers for comparison: plain loops over plain dicts, sharing no code with the product.

`join` is a batch join of two logs, `at_maturity` says what each window is judged by, `pairs` compares the versions that said something of
the same requests, `retrain` says which alerts ask for training. A log is a list of dicts. Predictions: request_id, model_version,
event_time, score, label_pred, segment, arrival_time; one may have its own horizon, window, policy, grace, classes (None: any number is
one), names (of classes, to their numbers) and unlabelled, as one of another model has. Outcomes: request_id, outcome (a number, a name, or
None, which takes back), outcome_time, arrival_time. Both may have a log_time (else it is arrival_time): what was there at a moment goes by
that. Alerts and rollouts: their fields, and arrival_time. Times are milliseconds.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

Log = Sequence[dict[str, Any]]
Entry = tuple[int, dict[str, Any]]
WindowKey = tuple[str, int, str]
Answer = tuple[dict[str, int], dict[WindowKey, dict[str, Any]], dict[tuple[str, str], float | None]]


def join(
    predictions: Log,
    outcomes: Log,
    *,
    horizon: int,
    window: int,
    policy: str,
    as_of: int | None = None,
    grace: int | None = None,
    unlabelled: str = "unknown",
) -> Answer:
    """Counts, windows {(version, start, segment): row} and labels {(request, version): outcome} as of a moment."""
    rules = {
        "horizon": horizon,
        "window": window,
        "policy": policy,
        "grace": grace,
        "classes": None,
        "names": {},
        "unlabelled": unlabelled,
    }
    predictions = [rules | p for p in predictions if _was_there(p, as_of)]
    outcomes = [o for o in outcomes if _was_there(o, as_of)]
    first: dict[tuple[str, str], dict[str, Any]] = {}
    repeats = 0
    for p in predictions:
        repeats += (p["request_id"], p["model_version"]) in first
        first.setdefault((p["request_id"], p["model_version"]), p)
    of_request: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for p in first.values():
        of_request[p["request_id"]].append(p)
    records: defaultdict[str, list[Entry]] = defaultdict(list)
    for i, o in enumerate(outcomes):
        records[o["request_id"]].append((i, o))
    labels = {key: _winner(p, records[p["request_id"]]) for key, p in first.items()}
    counts = dict.fromkeys(
        "prediction_records predictions duplicate_predictions matched pending expired expired_no_outcome expired_late_outcome "
        "negative_delay outcome_records outcomes_used outcomes_duplicate outcomes_conflicting outcomes_late outcomes_orphan "
        "outcomes_after_grace outcomes_retractions outcomes_not_a_class assumed".split(),
        0,
    )
    counts |= {
        "prediction_records": len(predictions),
        "predictions": len(first),
        "duplicate_predictions": repeats,
        "outcome_records": len(outcomes),
    }
    states = {}
    for key, p in first.items():
        states[key] = _state(p, labels[key], records[p["request_id"]], as_of)
        counts[states[key]] += 1
        label = labels[key]
        if label:
            counts["negative_delay"] += label[1]["outcome_time"] < p["event_time"]
    counts["matched"] += counts["assumed"]
    counts["expired"] = counts["expired_no_outcome"] + counts["expired_late_outcome"]
    for request, entries in records.items():
        for entry in entries:
            counts[_outcome_class(entry, of_request[request], labels)] += 1
    labels |= {key: (-1, {"outcome": 0.0}) for key, state in states.items() if state == "assumed"}
    rows: defaultdict[WindowKey, list[Any]] = defaultdict(list)
    for key, p in first.items():
        start = math.floor(p["event_time"] / p["window"]) * p["window"]
        for segment in {"*", *([p["segment"]] if p["segment"] is not None else [])}:
            rows[p["model_version"], start, segment].append((p, labels[key], states[key]))
    return (
        counts,
        {key: _metrics(entries) for key, entries in rows.items()},
        {k: v and v[1]["outcome"] for k, v in labels.items()},
    )


def at_maturity(predictions: Log, outcomes: Log, as_of: int, **rules: Any) -> dict[WindowKey, dict[str, Any] | None]:
    """The row of each window as of the last moment before it was mature; None for those that are not mature as of a moment."""
    found: dict[WindowKey, dict[str, Any] | None] = {}
    rows: dict[int, dict[WindowKey, dict[str, Any]]] = {}
    first = {(p["request_id"], p["model_version"]): p for p in reversed(predictions) if _was_there(p, as_of)}
    for p in first.values():
        own = {"grace": None, "unlabelled": "unknown"} | rules | p
        start = math.floor(p["event_time"] / own["window"]) * own["window"]
        matures = start + own["window"] + own["horizon"] + (own["grace"] if own["unlabelled"] == "negative" else 0)
        if matures not in rows:
            rows[matures] = join(predictions, outcomes, as_of=matures, **rules)[1]
        for segment in {"*", *([p["segment"]] if p["segment"] is not None else [])}:
            key = p["model_version"], start, segment
            found[key] = rows[matures].get(key, _metrics([])) if matures < as_of else None
    return found


PairKey = tuple[str, str, int, str, float]
CELLS = ("both", "first", "second", "neither", "alike", "unlike", "first_score_sum", "second_score_sum")
NO_PAIRS: dict[str, Any] = dict.fromkeys(CELLS, 0) | {"lower": [], "upper": []}


def pairs(
    predictions: Log, shadows: Log, outcomes: Log, *, as_of: int, bound: float | None = None, **rules: Any
) -> dict[PairKey, dict[str, Any]]:
    """The counts of `CELLS`, lower and upper of each (first version, second, window start, segment, sample) as of a moment.

    Predictions may have a model and a sample. ``bound``: of the errors, where it is a regression.
    """
    own = {"grace": None, "unlabelled": "unknown", "classes": None, "names": {}, "model": "m", "sample": 1.0} | rules
    records: defaultdict[str, list[Entry]] = defaultdict(list)
    for i, o in enumerate(o for o in outcomes if _was_there(o, as_of)):
        records[o["request_id"]].append((i, o))
    counted: defaultdict[str, dict[Any, dict[str, Any]]] = defaultdict(dict)
    for log in (predictions, shadows):
        first_of = {(p["request_id"], p["model_version"]): p for p in reversed(log) if _was_there(p, as_of)}
        for (request, version), p in first_of.items():
            counted[request].setdefault((version, p["event_time"]), own | p)
    found: dict[PairKey, dict[str, Any]] = {}
    for request, said in counted.items():
        for first in said.values():
            for second in said.values():
                if first["model_version"] < second["model_version"] and _alike(first, second):
                    labels = [_label(p, records[request], as_of) for p in (first, second)]
                    sample = min(first["sample"], second["sample"])
                    start = math.floor(first["event_time"] / first["window"]) * first["window"]
                    for segment in {"*", *([first["segment"]] if first["segment"] is not None else [])}:
                        key = first["model_version"], second["model_version"], start, segment, sample
                        row = found.setdefault(key, dict(NO_PAIRS))
                        _add_pair(row, first, second, labels, bound)
    return found


def pairs_at_maturity(
    predictions: Log, shadows: Log, outcomes: Log, *, as_of: int, known: Iterable[PairKey] = (), **rules: Any
) -> dict[PairKey, dict[str, Any] | None]:
    """The counts of `pairs` as of the last moment before each window was mature; None for those that are not mature as of a moment.

    ``known``: those too that had pairs before, and have none now.
    """
    own = {"grace": None, "unlabelled": "unknown"} | rules
    wait = own["window"] + own["horizon"] + (own["grace"] if own["unlabelled"] == "negative" else 0)
    found: dict[PairKey, dict[str, Any] | None] = dict.fromkeys(
        [*pairs(predictions, shadows, outcomes, as_of=as_of, **rules), *known]
    )
    for start in {math.floor(p["event_time"] / own["window"]) * own["window"] for p in [*predictions, *shadows]}:
        if start + wait < as_of:
            then = pairs(predictions, shadows, outcomes, as_of=start + wait, **rules)
            found |= {key: dict(NO_PAIRS) for key in found if key[2] == start}
            found |= {key: row for key, row in then.items() if key[2] == start}
    return found


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[name] == other[name] for name in ("model", "event_time", "segment"))


def _label(p: dict[str, Any], entries: list[Entry], as_of: int) -> float | None:
    winner = _winner(p, entries)
    if winner is not None:
        return float(winner[1]["outcome"])
    assumed = p["unlabelled"] == "negative" and as_of > p["event_time"] + p["horizon"] + p["grace"]
    return 0.0 if assumed else None


def _add_pair(
    row: dict[str, Any],
    first: dict[str, Any],
    second: dict[str, Any],
    labels: list[float | None],
    bound: float | None,
) -> None:
    said = "score" if bound else "label_pred"
    if labels[0] is None or labels[1] is None:
        row["alike" if first[said] == second[said] else "unlike"] += 1
    elif bound:
        row["both"] += 1
        losses = [
            min(abs(p["score"] - y), bound) for p, y in zip((first, second), labels, strict=True) if y is not None
        ]
        _add_difference(row, (losses[0] - losses[1]) / bound)
    else:
        right = [p["label_pred"] == (y == 1) for p, y in zip((first, second), labels, strict=True)]
        row[{(True, True): "both", (True, False): "first", (False, True): "second"}.get(tuple(right), "neither")] += 1
    for name, p in (("first", first), ("second", second)):
        whole = math.floor(p["score"])
        row[f"{name}_score_sum"] += whole * 10**12 + round((p["score"] - whole) * 10**12)


def _add_difference(row: dict[str, Any], difference: float) -> None:
    grid = [j * abs(j) / 256 for j in range(-16, 17)]
    below = max(i for i, point in enumerate(grid[:-1]) if point <= difference)
    share = (difference - grid[below]) / (grid[below + 1] - grid[below]) * 2**20
    for name, part in (("lower", math.floor(share)), ("upper", math.ceil(share))):
        row[name] = row[name] or [0] * 33
        row[name][below] += 2**20 - part
        row[name][below + 1] += part


def _was_there(record: dict[str, Any], as_of: int | None) -> bool:
    return as_of is None or bool(record.get("log_time", record["arrival_time"]) <= as_of)


def _sealed(p: dict[str, Any], o: dict[str, Any]) -> bool:
    return p["grace"] is not None and bool(o["arrival_time"] > p["event_time"] + p["horizon"] + p["grace"])


def _said(p: dict[str, Any], o: dict[str, Any]) -> dict[str, Any]:
    """The outcome as the model of the prediction calls it."""
    return o | {"outcome": p["names"].get(o["outcome"], o["outcome"])}


def _is_class(p: dict[str, Any], o: dict[str, Any]) -> bool:
    said = _said(p, o)["outcome"]
    return said is None or (not isinstance(said, str) if p["classes"] is None else said in p["classes"])


def _winner(p: dict[str, Any], entries: list[Entry]) -> Entry | None:
    entries = [(number, _said(p, o)) for number, o in entries if _is_class(p, o)]
    usable = [e for e in entries if e[1]["outcome_time"] <= p["event_time"] + p["horizon"] and not _sealed(p, e[1])]
    if p["policy"] == "latest":
        best = max(usable, key=lambda e: (e[1]["outcome_time"], e[0]), default=None)
        return None if best is None or best[1]["outcome"] is None else best
    withdrawn = [e[1]["outcome_time"] for e in usable if e[1]["outcome"] is None]
    left = [e for e in usable if e[1]["outcome"] is not None and all(e[1]["outcome_time"] > t for t in withdrawn)]
    return min(left, key=lambda e: (e[1]["outcome_time"], e[0]), default=None)


def _state(p: dict[str, Any], label: Entry | None, entries: list[Entry], as_of: int | None) -> str:
    deadline = p["event_time"] + p["horizon"]
    if label:
        return "matched"
    if as_of is None or as_of <= deadline:
        return "pending"
    if p["unlabelled"] == "negative" and as_of > deadline + p["grace"]:
        return "assumed"
    known = [o for _, o in entries if _is_class(p, o)]
    late = any(o["outcome"] is not None and o["outcome_time"] > deadline and not _sealed(p, o) for o in known)
    return "expired_late_outcome" if late else "expired_no_outcome"


def _outcome_class(entry: Entry, predictions: Log, labels: dict[tuple[str, str], Entry | None]) -> str:
    number, o = entry
    if predictions and all(_sealed(p, o) for p in predictions):
        return "outcomes_after_grace"
    if o["outcome"] is None:
        return "outcomes_retractions"
    if not predictions:
        return "outcomes_orphan"
    winners = [labels[p["request_id"], p["model_version"]] for p in predictions]
    if any(w and w[0] == number for w in winners):
        return "outcomes_used"
    takers = [p for p in predictions if _is_class(p, o)]
    if not takers:
        return "outcomes_not_a_class"
    if all(o["outcome_time"] > p["event_time"] + p["horizon"] for p in takers):
        return "outcomes_late"
    same = winners[0] and winners[0][1]["outcome"] == _said(predictions[0], o)["outcome"]
    return "outcomes_duplicate" if same else "outcomes_conflicting"


def _metrics(entries: list[Any]) -> dict[str, Any]:
    pairs = [(p, label[1]["outcome"]) for p, label, _ in entries if label]
    n = len(pairs)

    def cell(pred: int, truth: int) -> int:
        return sum(p["label_pred"] == pred and y == truth for p, y in pairs)

    tp, fp, fn, tn = cell(1, 1), cell(1, 0), cell(0, 1), cell(0, 0)

    def clip(score: float) -> float:
        return min(max(score, 1e-15), 1 - 1e-15)

    def ratio(part: float, whole: float) -> float | None:
        return part / whole if whole else None

    return {
        "predictions": len(entries),
        "matched": n,
        "assumed": sum(state == "assumed" for *_, state in entries),
        "predicted_positive": sum(p["label_pred"] == 1 for p, *_ in entries),
        "pending": sum(state == "pending" for *_, state in entries),
        "expired": sum(state.startswith("expired") for *_, state in entries),
        "tp": tp, "fp": fp, "fn": fn, "tn": tn,
        "accuracy": ratio(tp + tn, n),
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "logloss": ratio(math.fsum(-math.log(clip(p["score"]) if y == 1 else 1 - clip(p["score"])) for p, y in pairs), n),
        "brier": ratio(math.fsum((p["score"] - y) ** 2 for p, y in pairs), n),
        "auc": auc([p["score"] for p, y in pairs if y == 1], [p["score"] for p, y in pairs if y != 1]),
        "mean_score": ratio(math.fsum(p["score"] for p, _ in pairs), n),
        "outcome_rate": ratio(math.fsum(y for _, y in pairs), n),
    }  # fmt: skip


def auc(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """Chance that a positive scores above a negative, ties one half; by ranks, so that a year of flights is quick."""
    if not positives or not negatives:
        return None
    ranked = sorted([(s, 1) for s in positives] + [(s, 0) for s in negatives])
    below, wins, i = 0, 0.0, 0
    while i < len(ranked):
        j = i
        while j < len(ranked) and ranked[j][0] == ranked[i][0]:
            j += 1
        up = sum(y for _, y in ranked[i:j])
        wins += up * (below + (j - i - up) / 2)
        below += j - i - up
        i = j
    return wins / (len(positives) * len(negatives))
