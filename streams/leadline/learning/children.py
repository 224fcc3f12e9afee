"""What processes do that this one starts to run somebody's code."""

import os
import sys


def end_with_parent() -> None:
    """Wait, in a thread, for the end of who started this process, and end with it: the other end of standard input closes then."""
    sys.stdin.buffer.read()
    os._exit(1)
