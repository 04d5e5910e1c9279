# SPDX-License-Identifier: GPL-2.0-only
"""How fast this machine's TSC is. The emulated machine's is the same."""

import functools
import os
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@functools.cache
def khz():
    out = f"{TOP}/build/tsc-khz"
    os.makedirs(os.path.dirname(out), exist_ok=True)
    # Under a name of its own until it is whole: cases run side by side.
    part = f"{out}.{os.getpid()}"
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", part, f"{TOP}/rig/lib/tsc-khz.c"], check=True)
    os.rename(part, out)
    return int(subprocess.run([out], stdout=subprocess.PIPE, check=True, text=True).stdout)
