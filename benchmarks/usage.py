"""Processor time and memory of a process and all its descendants, and idle time of the machine, from /proc."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 1024


def cpu_seconds(root: int) -> float:
    """User and system time of the tree so far; children that have ended count once their parent has waited for them."""
    ticks = 0
    for pid in tree(root):
        words = _stat(pid)
        ticks += sum(map(int, words[11:15])) if words else 0
    return ticks / _TICKS


def idle_seconds() -> float:
    """Time so far in which the machine's cores had nothing to run, of all cores together; waiting for a disk is idle, too."""
    words = Path("/proc/stat").read_text("utf-8").split(maxsplit=6)
    return (int(words[4]) + int(words[5])) / _TICKS


def peak_rss_mb(root: int) -> int:
    """Sum of the highest resident memory that each process of the tree has had."""
    total = 0
    for pid in tree(root):
        try:
            lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return total // _MIB


def tree(root: int) -> list[int]:
    """The process and its descendants that run now."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (words := _stat(int(entry.name))):
            parents[int(entry.name)] = int(words[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _stat(pid: int) -> list[str]:
    """The words of /proc/PID/stat from the state on; empty when the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return []
