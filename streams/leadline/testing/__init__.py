"""The same topology without a broker: for your tests, and for ours."""

from leadline.testing.driver import Crash, Driver
from leadline.testing.simulation import simulate
from leadline.testing.simulation.world import World

__all__ = ["Crash", "Driver", "World", "simulate"]
