"""Features that are looked up when a request is scored: Redis hashes, one pipelined round trip a batch."""

import asyncio
import math

import numpy as np
import redis.asyncio as redis
from redis.exceptions import RedisError

from leadline.core.batch import Batch, Lookups
from leadline.core.catalog import Catalog
from leadline.core.columns import Floats
from leadline.core.scoring import lookup_keys
from leadline.settings import Settings

UPDATED = "updated_ms"
_TRIES = 3
_TIMEOUT_S = 2.0


class FeatureError(Exception):
    """Features cannot be looked up; the message says why and what to do, and holds no password."""


def row_key(prefix: str, view: str, key: str) -> str:
    """Name of the Redis hash of one row of a view.

    >>> row_key("leadline", "weather", "JFK")
    'leadline:features:weather:JFK'
    """
    return f"{prefix}:features:{view}:{key}"


async def put_features(
    client: redis.Redis, prefix: str, view: str, key: str, values: dict[str, float], updated_ms: int
) -> None:
    """Write one row of a view, as of a time."""
    await client.hset(
        row_key(prefix, view, key),
        mapping={**{name: repr(value) for name, value in values.items()}, UPDATED: updated_ms},
    )


class FeatureView:
    """Reads the views that the models of a batch declare."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog
        self._client: redis.Redis | None = None

    async def fetch(self, batch: Batch) -> Lookups | None:
        """The looked-up features of each row, NaN where there are none; None where no model of the batch declares any."""
        wanted = lookup_keys(batch, self._catalog)
        if not wanted:
            return None
        names = {view: self._features(model, view) for model, view in wanted}
        places = sorted({(view, key) for (_, view), (_, keys) in wanted.items() for key in keys})
        found = dict(zip(places, await self._read(places, names), strict=True))
        values: dict[str, Floats] = {name: np.full(len(batch), np.nan) for each in names.values() for name in each}
        updated = np.full(len(batch), 2**62, np.int64)
        for (_, view), (rows, keys) in wanted.items():
            table = np.array([found[view, key] for key in keys], np.float64).reshape(len(keys), -1)
            for at, name in enumerate(names[view]):
                values[name][rows] = table[:, at]
            updated[rows] = np.minimum(
                updated[rows], np.where(np.isnan(table[:, -1]), 0, table[:, -1]).astype(np.int64)
            )
        return Lookups(values, np.where(updated == 2**62, 0, updated))

    async def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            await self._client.aclose()

    def _features(self, model: str, view: str) -> list[str]:
        settings = self._catalog.settings(model)
        assert settings is not None
        return settings.lookups[view].features

    async def _read(self, places: list[tuple[str, str]], names: dict[str, list[str]]) -> list[list[float]]:
        for attempt in range(_TRIES):
            try:
                pipe = self._connected().pipeline(transaction=False)
                for view, key in places:
                    pipe.hmget(row_key(self._settings.prefix, view, key), [*names[view], UPDATED])
                return [[_number(value) for value in row] for row in await pipe.execute()]
            except (RedisError, OSError) as error:
                if attempt + 1 == _TRIES:
                    raise FeatureError(
                        f"Redis does not answer ({type(error).__name__}): check REDIS_URL, and that the server runs"
                    ) from None
                await asyncio.sleep(0.2 * 2**attempt)
        raise AssertionError

    def _connected(self) -> redis.Redis:
        if self._client is None:
            if self._settings.redis_url is None:
                raise FeatureError(
                    "REDIS_URL is not set, but a model looks features up: name your Redis, or use `leadline up`"
                )
            url = self._settings.redis_url.get_secret_value()
            self._client = redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        return self._client


def _number(value: bytes | None) -> float:
    try:
        return math.nan if value is None else float(value)
    except ValueError:
        return math.nan
