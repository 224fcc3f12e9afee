"""What has to be so of the answers: each request has one, from the version that it is routed to."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from leadline.testing.naive_routing import answers, says
from leadline.testing.simulation.pretended_models import SLOPES
from leadline.testing.simulation.world import World

_CLOSE = 1e-9


def wrong_scores(world: World) -> Iterator[str]:
    emitted = world.driver.log("predictions")
    if missing := world.asked - {row["request_id"] for row in emitted}:
        yield f"requests without a prediction: {sorted(missing)[:5]}"
    for row in emitted:
        slope = SLOPES[row["model_version"]]
        if abs(row["score"] - 1 / (1 + np.exp(-slope * row["features"][0]))) > _CLOSE:
            yield f"{row['request_id']} has the score {row['score']}"


def wrong_routes(world: World) -> Iterator[str]:
    """One version answers a request at a time, whoever died meanwhile: the one that its arrival asks for; the others say theirs."""
    acted: defaultdict[tuple[str, int], set[tuple[str, str]]] = defaultdict(set)
    for row in world.driver.log("predictions"):
        if row["role"] != "shadow":
            acted[row["request_id"], row["scored_at"]].add((row["model_version"], row["role"]))
    said: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for row in world.driver.log("shadow-predictions"):
        if row["rollout_id"]:  # else somebody else wrote it, by chance
            said[row["request_id"], row["scored_at"]].add(row["model_version"])
    for request in world.driver.log("prediction-requests"):
        name, arrival = request["request_id"], request["arrival_time"]
        who = answers(world.assigned, name, arrival, SLOPES)
        if acted[name, arrival] != {who}:
            yield f"{name} at {arrival} is answered by {acted[name, arrival]}, not by {who}"
        others = says(world.assigned, name, name, arrival, SLOPES)
        if said[name, arrival] != others:
            yield f"{name} at {arrival} has shadows {said[name, arrival]}, not {others}"
