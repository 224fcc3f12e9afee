"""A worker of the shadow stage whose version v2 does no good: ``python tests/shadows.py WHAT``."""

import os
import sys
import time

import numpy as np

from leadline.core.models import LoadedVersion, Signature
from leadline.hosts import worker as hosts
from leadline.learning.cached import CachedModels
from leadline.settings import ModelSettings, load_settings
from leadline.topology import step

SETTINGS = ModelSettings(name="m", numeric=["x"])
HELD = []


def sleeps():
    time.sleep(0.05)


def raises():
    raise ValueError("no")


def leaks():
    HELD.append(np.ones(16 << 20))  # 128 MiB


def dies():
    os._exit(9)


class Doubles:
    """Scores a request by its x; ``does`` it before."""

    def __init__(self, does=lambda: None):
        self.does = does

    def predict(self, matrix, texts=None):
        self.does()
        return np.abs(matrix[:, 0]) * 2


def loaded(version, does=lambda: None):
    return LoadedVersion(SETTINGS, version, Signature("s", ["x"], [], {}), None, Doubles(does))


class Held(CachedModels):
    def names(self):
        return ["m"]

    def settings(self, model):
        return SETTINGS

    def version(self, model, version):
        return loaded(version)

    def loaded(self, model, version, rolled_out_ms):
        return loaded(version, globals()[sys.argv[1]] if version == "v2" else lambda: None)


if __name__ == "__main__":
    from leadline.logs import configure_logs

    configure_logs()
    hosts.CachedModels = Held
    settings = load_settings()
    sys.exit(hosts.worker([step("shadow")], settings, settings.kafka_bootstrap))
