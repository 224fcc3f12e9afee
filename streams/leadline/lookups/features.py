"""Features that are looked up when a request is scored: Redis hashes, one pipelined round trip a batch."""

import math
import time
from collections.abc import Mapping

import numpy as np
import redis
import structlog
from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from leadline.core.columnar.columns import Floats, Ints
from leadline.core.models import Models
from leadline.core.processor import Batch, Lookups
from leadline.core.scoring.scoring import lookup_keys
from leadline.lookups.connections import blocking_redis_client
from leadline.records import to_number
from leadline.settings import Lookup, ModelSettings, Settings

log = structlog.get_logger("leadline.features")

Wanted = Mapping[tuple[str, str], tuple[Ints, list[str]]]
"""For each model and view: the indices of the requests that want it, and the key of each."""

UPDATED = "updated_ms"
_TIMEOUT_S = 0.4
_TRY_AGAIN_S = 1.0


class FeatureError(Exception):
    """Features cannot be looked up; the message says why and what to do, and holds no password."""


class FeaturesAwayError(FeatureError):
    """Redis does not answer for now."""


def row_key(prefix: str, view: str, key: str) -> str:
    """Name of the Redis hash of one row of a view.

    >>> row_key("leadline", "weather", "JFK")
    'leadline:features:weather:JFK'
    """
    return f"{prefix}:features:{view}:{key}"


async def put_features(
    client: Redis, prefix: str, view: str, key: str, values: dict[str, float], updated_ms: int
) -> None:
    """Write one row of a view, as of a time."""
    await client.hset(
        row_key(prefix, view, key),
        mapping={**{name: repr(value) for name, value in values.items()}, UPDATED: updated_ms},
    )


class FeatureView:
    """Reads the views that the models of a batch declare.

    A Redis that does not answer within a second is not asked again for a second. Meanwhile its features are missing, and the ``missing`` of
    each model says what that means: a score without them, or waiting for them.
    """

    def __init__(self, settings: Settings, models: Models) -> None:
        self._settings = settings
        self._models = models
        self._client: redis.Redis | None = None
        self._away_until = 0.0

    def fetch(self, batch: Batch) -> Lookups | None:
        """The looked-up features of each row, NaN where there are none; None where no model of the batch declares any.

        Raises FeaturesAwayError where a model refuses requests of which something is missing, and Redis does not answer.
        """
        wanted = lookup_keys(batch, self._models)
        if not wanted:
            return None
        names = {view: self._lookup(model, view).features for model, view in wanted}
        found = self._found(wanted, names)
        values: dict[str, Floats] = {name: np.full(len(batch), np.nan) for each in names.values() for name in each}
        updated = np.full(len(batch), np.inf)
        for (_, view), (indices, keys) in wanted.items():
            table = np.array([found[view, key] for key in keys], np.float64).reshape(len(keys), -1)
            for column, name in enumerate(names[view]):
                values[name][indices] = table[:, column]
            updated[indices] = np.minimum(updated[indices], table[:, -1])
        return Lookups(values, np.where(np.isinf(updated), np.nan, updated))

    def _found(self, wanted: Wanted, names: dict[str, list[str]]) -> dict[tuple[str, str], list[float]]:
        """The values of each row of each view that is wanted, and when it was written."""
        rows = sorted({(view, key) for (_, view), (_, keys) in wanted.items() for key in keys})
        try:
            return dict(zip(rows, self._read(rows, names), strict=True))
        except FeaturesAwayError:
            if any(self._model(model).missing == "refuse" for model, _ in wanted):
                raise
            return {(view, key): [math.nan] * (len(names[view]) + 1) for view, key in rows}

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()

    def _model(self, name: str) -> ModelSettings:
        settings = self._models.settings(name)
        assert settings is not None
        return settings

    def _lookup(self, model: str, view: str) -> Lookup:
        return self._model(model).lookups[view]

    def _read(self, rows: list[tuple[str, str]], names: dict[str, list[str]]) -> list[list[float]]:
        client, was_away = self._connected(), self._away_until > 0
        if time.monotonic() < self._away_until:
            raise FeaturesAwayError("Redis did not answer a moment ago")
        pipe = client.pipeline(transaction=False)
        for view, key in rows:
            pipe.hmget(row_key(self._settings.prefix, view, key), [*names[view], UPDATED])
        try:
            answers = pipe.execute(raise_on_error=False)
            if all(isinstance(answer, RedisError) and not _is_of_another_type(answer) for answer in answers):
                raise answers[0]
        except (RedisError, OSError) as error:
            self._away_until = time.monotonic() + _TRY_AGAIN_S
            message = f"Redis does not answer ({type(error).__name__}): check REDIS_URL, and that the server runs"
            if not was_away:
                log.warning("features are missing", error=message)
            raise FeaturesAwayError(message) from None
        if was_away:
            log.info("features are there again")
            self._away_until = 0.0
        return [_values(answer, len(names[view]) + 1) for answer, (view, _) in zip(answers, rows, strict=True)]

    def _connected(self) -> redis.Redis:
        if self._client is None:
            if self._settings.redis_url is None:
                raise FeatureError(
                    "REDIS_URL is not set, but a model looks features up: name your Redis, or use `leadline up`"
                )
            once_more = Retry(NoBackoff(), 1)  # a connection may be an old one, of a server that was started again
            self._client = blocking_redis_client(
                self._settings.redis_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=once_more
            )
        return self._client


def _values(answer: list[bytes | None] | RedisError, count: int) -> list[float]:
    """The features of a row and when it was written; what is no number is missing, and so is a row that Redis refuses."""
    if isinstance(answer, RedisError):
        return [math.nan] * count
    return [*map(_number, answer[:-1]), _whole(answer[-1])]


def _is_of_another_type(error: RedisError) -> bool:
    """Whether the key of a row holds something else than a hash: that is a fault of the row, and Redis is well."""
    return str(error).startswith("WRONGTYPE")


def _number(value: bytes | None) -> float:
    try:
        return math.nan if value is None else to_number(value.decode("ascii"))
    except ValueError:
        return math.nan


def _whole(value: bytes | None) -> float:
    number = _number(value)
    return float(round(number)) if abs(number) < 2**53 else math.nan
