"""Run as a module: a process that native code ends."""

import os
import signal

os.kill(os.getpid(), signal.SIGSEGV)
