"""The same topology without a broker: for your tests, and for ours."""

from leadline.testing.driver import Crash, Driver
from leadline.testing.simulation import World, simulate

__all__ = ["Crash", "Driver", "World", "simulate"]
