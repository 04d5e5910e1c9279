# SPDX-License-Identifier: GPL-2.0-only
"""
Where a machine that counts instructions was when: QEMU with the plugin of trail.c.

    trail = Trail(machine.path(""), kernel, profile=False)
    machine.start(count=True, devices=[*trail.arguments, ...], append=f"{trail.options} ...")
    ...
    for mark in trail.read(): ...

A mark is reached when a function of the kernel is called. Besides those that are asked for
there are the calls of initcalls, and "entry", which is where a bzImage begins.
"""

import bisect
import os
import re
import subprocess
from collections import namedtuple

from rig.lib import gate
from rig.lib.machine import Skipped

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INITCALL = "do_one_initcall"
USER = "first-of-user-space"            # the first instruction of process 1
EXECUTED = "begin_new_exec"             # after which it comes
ENTRY = "entry"
CODE = 24                               # so many bytes are known by sight

# name: of the function, or of the initcall after "initcall:"; tsc and instructions: of the machine until it;
# blocks: with a profile {address: instructions} since the mark before
Mark = namedtuple("Mark", "name tsc instructions blocks")


class Symbols:
    """Of a kernel whose System.map is beside its bzImage."""

    def __init__(self, kernel):
        self.addresses, pairs = {}, []
        with open(os.path.join(os.path.dirname(os.path.realpath(kernel)), "System.map"), encoding="utf-8") as f:
            for line in f:
                address, kind, name = line.split()
                if kind in "tTwW":
                    pairs.append((int(address, 16), name))
                    self.addresses.setdefault(name, int(address, 16))
        pairs.sort()
        self._begins, self._names = [a for a, _ in pairs], [n for _, n in pairs]

    def at(self, address):
        """The function that an address is in."""
        i = bisect.bisect_right(self._begins, address) - 1
        return self._names[i] if i >= 0 else f"{address:#x}"


def plugin():
    out = f"{TOP}/build/trail.so"
    os.makedirs(os.path.dirname(out), exist_ok=True)
    part = f"{out}.{os.getpid()}"
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", part, f"{TOP}/rig/lib/trail.c"], check=True)
    os.rename(part, out)
    return out


class Trail:
    # Addresses are those of System.map.
    options = "nokaslr"

    def __init__(self, machine, functions, profile=False):
        """machine: has not been started; functions: the marks that are asked for, of both kernels, which
        are the same."""
        if machine.qemu.old:
            raise Skipped(f"QEMU {machine.qemu.text} has another interface for plugins")
        self._path = machine.path("trail")
        self.symbols = Symbols(machine.next_kernel)
        with open(machine.next_kernel, "rb") as f:
            image = f.read()
        entry = ((image[gate.SETUP_SECTORS] or 4) + 1) * 512 + gate.ENTRY_64
        with open(machine.path("marks"), "w", encoding="utf-8") as f:
            f.write(f"{ENTRY} code {image[entry:entry + CODE].hex()}\n")
            for name in functions:
                # What the compiler has put into its caller has no address.
                if name in self.symbols.addresses:
                    f.write(f"{name} at {self.symbols.addresses[name]:x}\n")
            f.write(f"{INITCALL} at {self.symbols.addresses[INITCALL]:x}\n")
            f.write(f"{EXECUTED} at {self.symbols.addresses[EXECUTED]:x}\n{USER} low\n")
        self.arguments = ["-plugin", f"file={plugin()},marks=marks,out=trail" + ",profile=on" * profile]

    def read(self):
        """All marks of a machine that has ended, in their order."""
        blocks = {}
        with open(self._path, encoding="utf-8") as f:
            for line in f:
                what, *values = line.split()
                if what == "block":
                    blocks[int(values[0], 16)] = int(values[1])
                    continue
                name, tsc, instructions, argument = values
                if name == INITCALL:
                    name = "initcall:" + re.sub(r"\.llvm.*|\.cfi$", "", self.symbols.at(int(argument, 16)))
                yield Mark(name, int(tsc), int(instructions), blocks)
                blocks = {}
