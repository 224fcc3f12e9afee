"""What a training depends on beside its rows, its recipe and its settings: libraries, the platform, and how many threads there are."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

_GIT_S = 10


def libraries() -> dict[str, str]:
    """The release of every distribution of which something is loaded."""
    packages = metadata.packages_distributions()
    loaded = {name.partition(".")[0] for name in sys.modules}
    names = {"leadline"} | {name for top in loaded for name in packages.get(top, ())}
    return {name: metadata.version(name) for name in sorted(names, key=str.lower)}


def platform_here() -> dict[str, str]:
    """The machine and the libraries of numbers below it, which round in ways of their own."""
    from threadpoolctl import threadpool_info

    pools = {
        f"{each['internal_api']} {each['version']} {each.get('architecture', '')}".strip() for each in threadpool_info()
    }
    libc = "-".join(platform.libc_ver()) or "libc unknown"
    here = {"system": platform.system(), "machine": platform.machine(), "libc": libc}
    return here | {"python": platform.python_version(), "pools": ", ".join(sorted(pools))}


def threads_here() -> int:
    """How many threads a training may use: OMP_NUM_THREADS, or else as many as there are processors."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdigit() and int(said) else os.cpu_count() or 1


def commit_of(folder: Path) -> tuple[str, bool]:
    """The commit of the git repository in which a folder is, and whether the folder differs from it; empty where there is none."""
    commit = _git(folder, "rev-parse", "HEAD")
    return (commit, bool(_git(folder, "status", "--porcelain", "--", "."))) if commit else ("", False)


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *words],  # noqa: S607 - the git of the user
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
