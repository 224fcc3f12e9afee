"""What has to be so of all counts: they are those of a naive join of the logs, and no revision of them falls behind."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from leadline.core.windows.latest import latest
from leadline.records import JoinCounts, PairPartial, WindowMetrics, WindowPartial, WindowProfile
from leadline.testing import oracle
from leadline.testing.simulation.pretended_models import CLASSES, NAMES
from leadline.testing.simulation.world import HORIZON, WINDOW, World

_CLOSE = 1e-9
_TALLIES = ("predictions", "matched", "assumed", "pending", "expired", "tp", "fp", "fn", "tn")
_JUDGED = ("predictions", "matched", "predicted_positive", "tp", "fp", "fn", "tn")
_MEANS = ("accuracy", "precision", "recall", "f1", "logloss", "brier", "mean_score", "outcome_rate")
_OUTCOME_CLASSES = ("used", "duplicate", "conflicting", "late", "orphan", "after_grace", "retractions", "not_a_class")

_Counted = WindowPartial | WindowProfile | WindowMetrics | JoinCounts | PairPartial


def wrong_numbers(world: World) -> Iterator[str]:
    """The live numbers against a batch join of the two logs."""
    rules = _rules(world)
    counts, rows, _ = oracle.join(*_logs(world), as_of=world.now_ms, **rules)
    judged = oracle.at_maturity(*_logs(world), as_of=world.now_ms, **rules)
    emitted = [r for r in world.driver.read("metrics") if isinstance(r, WindowMetrics | JoinCounts)]
    held = latest(emitted, _identity).values()
    totals = Counter[str]()
    for record in held:
        if isinstance(record, JoinCounts):
            totals.update({name: getattr(record, name) for name in counts if name != "pending"})
    totals["pending"] = totals["predictions"] - totals["matched"] - totals["expired"]
    yield from [f"{name} is {totals[name]}, not {value}" for name, value in counts.items() if totals[name] != value]
    live = {(w.model_version, w.window_start, w.segment): w for w in held if isinstance(w, WindowMetrics)}
    if set(live) != set(rows):
        yield f"windows differ: {sorted(set(live) ^ set(rows))[:3]}"
    for window_key in set(live) & set(rows):
        yield from _wrong_window(window_key, live[window_key], rows[window_key])
        yield from _wrong_at_maturity(window_key, live[window_key], judged[window_key])


def _rules(world: World) -> dict[str, Any]:
    return {
        "horizon": HORIZON, "window": WINDOW, "policy": world.policy, "grace": world.grace, "unlabelled": world.unlabelled,
    }  # fmt: skip


def wrong_pairs(world: World) -> Iterator[str]:
    """The pairs of versions against a comparison of the logs."""
    predictions, outcomes = _logs(world)
    logs = predictions, _said(world, "shadow-predictions"), outcomes
    counted = oracle.pairs(*logs, as_of=world.now_ms, **_rules(world))
    emitted = [each for each in world.driver.read("pair-partials") if isinstance(each, PairPartial)]
    held = latest(emitted, _identity)
    live: defaultdict[oracle.PairKey, list[PairPartial]] = defaultdict(list)
    for each in held.values():
        live[each.first, each.second, each.window_start, each.segment, each.sample].append(each)
    judged = oracle.pairs_at_maturity(*logs, as_of=world.now_ms, known=live, **_rules(world))
    for key in judged:
        for name in oracle.CELLS:
            found, wanted = sum(getattr(each.counts, name) for each in live[key]), counted.get(key, oracle.NO_PAIRS)
            if found != wanted[name]:
                yield f"pairs of {key}: {name} is {found}, not {wanted[name]}"
            matures, then = [each.mature for each in live[key]], judged[key]
            known = sum(getattr(each, name) for each in matures if each is not None)
            if (None in matures) != (then is None) or known != (then or oracle.NO_PAIRS)[name]:
                yield f"pairs of {key}: {name} at maturity is {known}, not {then and then[name]}"


def _logs(world: World) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return _said(world, "predictions"), _known(world)


def _said(world: World, topic: str) -> list[dict[str, Any]]:
    predictions = world.driver.log(topic)
    for row in predictions:
        row |= {"label_pred": row["predicted_label"], "segment": row["segments"][0]}
        row |= {"classes": CLASSES, "names": NAMES}
    return predictions


def _known(world: World) -> list[dict[str, Any]]:
    outcomes = world.driver.log("outcomes")
    for row in outcomes:
        row["outcome"] = row["outcome"] if row["class_name"] is None else row["class_name"]
    return outcomes


def wrong_profiles(world: World) -> Iterator[str]:
    """The live profiles against a count of the log of predictions; of windows that have ended."""
    counted: defaultdict[tuple[str, int], Counter[Any]] = defaultdict(Counter)
    first = {(row["request_id"], row["model_version"]): row for row in reversed(_logs(world)[0])}
    for row in first.values():
        window = row["model_version"], row["event_time"] // WINDOW * WINDOW
        if window[1] + WINDOW <= world.now_ms:
            counted[window].update(["predictions", *_bins(world, row)])
    live: defaultdict[tuple[str, int], Counter[Any]] = defaultdict(Counter)
    for record in {_identity(record): record for record in _profiles(world)}.values():
        emitted = live[record.model_version, record.window_start]
        emitted["predictions"] += record.predictions
        emitted.update({(f.name, bin_): count for f in record.features for bin_, count in enumerate(f.counts)})
    for window in sorted(set(counted) | set(live)):
        if counted[window] != live[window]:
            yield f"profile of {window} is {dict(live[window])}, not {dict(counted[window])}"


def _bins(world: World, row: dict[str, Any]) -> list[tuple[str, int]]:
    """The bin of the score and of each feature of a prediction."""
    profile = world.models.versions[row["model_version"]].profile
    assert profile is not None
    values = {"x": row["features"][0]}
    return [(f.name, sum(values.get(f.name, row["score"]) >= edge for edge in f.edges)) for f in profile.features]


def _profiles(world: World) -> list[WindowProfile]:
    return [record for record in world.driver.read("window-profiles") if isinstance(record, WindowProfile)]


def wrong_history(world: World) -> Iterator[str]:
    """What holds at every moment: no revision falls behind, and counts add up."""
    for topic in ("window-partials", "pair-partials", "window-profiles", "metrics"):
        for partition in range(world.driver.partitions):
            held: dict[Any, int] = {}
            for record in world.driver.read(topic, partition):
                assert isinstance(record, _Counted)
                identity = _identity(record)
                if record.revision < held.get(identity, record.revision):
                    yield f"{topic}: {identity} went back to revision {record.revision}"
                held[identity] = record.revision
                yield from _not_adding_up(record)


def _identity(record: _Counted) -> tuple[Any, ...]:
    if isinstance(record, JoinCounts):
        return "counts", record.model, record.source_partition
    if isinstance(record, WindowProfile):
        return "profile", record.model_version, record.window_start, record.source_partition
    if isinstance(record, PairPartial):
        return (
            "pairs",
            record.first,
            record.second,
            record.segment,
            record.window_start,
            record.sample,
            record.source_partition,
        )
    source = record.source_partition if isinstance(record, WindowPartial) else None
    return record.model, record.model_version, record.segment, record.window_start, source


def _not_adding_up(record: _Counted) -> Iterator[str]:
    if isinstance(record, WindowPartial) and sum(record.prediction_counts) != record.predictions:
        yield f"predictions by score of {_identity(record)} do not add up at revision {record.revision}"
    if isinstance(record, PairPartial):
        if min(getattr(record.counts, name) for name in oracle.CELLS) < 0:
            yield f"{_identity(record)} has a negative count at revision {record.revision}"
    elif isinstance(record, WindowProfile):
        if any(sum(feature.counts) != record.predictions for feature in record.features):
            yield f"bins of {_identity(record)} do not add up at revision {record.revision}"
    elif isinstance(record, JoinCounts):
        if record.outcome_records != sum(getattr(record, f"outcomes_{name}") for name in _OUTCOME_CLASSES):
            yield f"outcomes of {_identity(record)} do not add up at revision {record.revision}"
        if record.expired != record.expired_no_outcome + record.expired_late_outcome:
            yield f"expired of {_identity(record)} does not add up at revision {record.revision}"
        if record.prediction_records != record.predictions + record.duplicate_predictions:
            yield f"predictions of {_identity(record)} do not add up at revision {record.revision}"
    elif record.matched != record.tp + record.fp + record.fn + record.tn:
        yield f"the confusion of {_identity(record)} does not add up at revision {record.revision}"
    elif record.matched + record.expired > record.predictions:
        yield f"more than all of {_identity(record)} at revision {record.revision}"


def _wrong_window(window_key: oracle.WindowKey, window: WindowMetrics, row: dict[str, Any]) -> Iterator[str]:
    for name in _TALLIES:
        if getattr(window, name) != row[name]:
            yield f"{window_key}: {name} is {getattr(window, name)}, not {row[name]}"
    for name in _MEANS:
        value = getattr(window, name)
        if (value is None) != (row[name] is None) or (value is not None and abs(value.value - row[name]) > _CLOSE):
            yield f"{window_key}: {name} is {value and value.value}, not {row[name]}"
    if (window.auc is None) != (row["auc"] is None):
        yield f"{window_key}: auc is {window.auc}, not {row['auc']}"
    elif window.auc is not None and abs(window.auc.value - row["auc"]) > (window.auc_error or 0) + _CLOSE:
        yield f"{window_key}: auc is {window.auc.value} within {window.auc_error}, not {row['auc']}"


def _wrong_at_maturity(
    window_key: oracle.WindowKey, window: WindowMetrics, row: dict[str, Any] | None
) -> Iterator[str]:
    if (window.mature is None) != (row is None):
        yield f"{window_key}: at maturity it is {window.mature}, not {row}"
    for name in _JUDGED if window.mature and row else ():
        if getattr(window.mature, name) != (row or {})[name]:
            yield f"{window_key}: {name} at maturity is {getattr(window.mature, name)}, not {(row or {})[name]}"
