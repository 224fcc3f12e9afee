"""Wrong clocks: the library that gives one to a process."""

from pathlib import Path

from leadline.settings import SettingsError


def faketime() -> Path | None:
    """The library that gives a process a wrong clock, where it is installed."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def skewed(seconds: int) -> dict[str, str]:
    """The environment of a process whose clock is wrong, though it runs as fast as others."""
    library = faketime()
    if library is None:
        raise SettingsError("libfaketime is not installed, which sets a process's clock: apt install libfaketime")
    return {"LD_PRELOAD": str(library), "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
