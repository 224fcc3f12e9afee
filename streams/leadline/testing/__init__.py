"""The same topology without a broker: for your tests, and for ours."""

from leadline.testing.driver import Crash, Driver

__all__ = ["Crash", "Driver"]
