# SPDX-License-Identifier: GPL-2.0-only
"""What the project's programs are for the rig's machines: linked statically, as there are no libraries there."""

import contextlib
import fcntl
import os
import subprocess

from rig.lib.machine import Failed
from rig.lib.platform import Q35

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@contextlib.contextmanager
def folder(name):
    """A folder below build/ that nobody else builds in meanwhile: cases run two at a time."""
    path = f"{TOP}/build/{name}"
    os.makedirs(path, exist_ok=True)
    with open(f"{path}/.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def make(source, out, *flags):
    """source: a folder of the project. Called with out's folder() held."""
    command = ["make", "-s", "-C", f"{TOP}/{source}", f"O={out}", *flags]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode:             # of one that succeeds, the linker warns of what glibc cannot do in such a program
        raise Failed(f"{' '.join(command)}: {made.stdout}")


def program(source, name, platform=Q35):
    """Its bytes, for machines of that platform."""
    with folder(f"{source}-static{platform.guest.removeprefix('guest')}") as out:
        make(source, out, "STATIC=1", *platform.make, *libraries(platform), f"{out}/{name}")
        return read(f"{out}/{name}")


def libraries(platform):
    """What make is told of the libraries for that platform, which are not among the machine's own."""
    if not platform.libraries:
        return ()
    found = subprocess.run([f"{TOP}/scripts/setup", platform.libraries], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return f"CPPFLAGS=-I{found}/usr/include", f"LDFLAGS=-L{found}/usr/lib/{platform.triplet}"


def read(path):
    with open(path, "rb") as f:
        return f.read()
