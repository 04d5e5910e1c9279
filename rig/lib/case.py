# SPDX-License-Identifier: GPL-2.0-only
"""What a case is, and how its result is written down."""

import importlib.util
import json
import os
import re
import sys
from dataclasses import dataclass
from typing import Callable, Optional

FORMAT_VERSION = 1
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def flavours():
    """What scripts/build-kernel can build: a case says in which of them it runs."""
    with open(f"{TOP}/scripts/build-kernel", encoding="utf-8") as f:
        return re.search(r"^#   scripts/build-kernel (\S+)", f.read(), re.M)[1].split("|")


@dataclass
class Case:
    name: str
    description: str
    run: Callable                  # run(machine); see lib/machine.py
    debug: bool = False            # it is repeated on the debug kernel
    fault: str = ""                # what goes wrong in it on purpose, for the table of faults
    kernel: str = "rig"            # flavour of scripts/build-kernel that it begins with,
                                   # "lab" if it breaks a law or damages a handover,
    next_kernel: str = ""          # and that it goes over to, if that is another one
    soak: bool = False             # takes an hour or so: for "make soak" alone
    alone: bool = False            # judges times, or takes all processors: nothing else runs meanwhile
    setup: str = ""                # part of scripts/setup that it needs


@dataclass
class Tiers:
    """What "make test" runs, from the table in tests/tiers; the rest is for "make test-all"."""
    normal: set                    # cases
    debug: set                     # cases that it repeats on the debug kernel
    native: dict                   # {folder below tests/, or a part of its tests: tier}, of those that are not quick

    @classmethod
    def read(cls, path=f"{TOP}/tests/tiers"):
        tiers = cls(set(), set(), {})
        with open(path, encoding="utf-8") as f:
            for line in f:
                fields = [field.split() for field in line.partition("#")[0].split("|")]
                if len(fields) == 2:
                    tiers.native.update(dict.fromkeys(fields[1], fields[0][0]))
                elif len(fields) == 4:
                    tiers.normal.update(fields[1], fields[2])
                    tiers.debug.update(fields[3])
                elif any(fields):
                    raise ValueError(f"{path}: '{line.strip()}' has neither two columns nor four")
        return tiers

    def of(self, case):
        return "soak" if case.soak else "test" if case.name in self.normal else "all"


def load(folder):
    """All cases of the *.py files in a folder: {name: Case}, in file order."""
    cases = {}
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".py") or name.startswith("_"):
            continue
        spec = importlib.util.spec_from_file_location(
            "rig.cases." + name[:-3], os.path.join(folder, name))
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        for case in getattr(module, "CASES", ()):
            if case.name in cases:
                raise ValueError(f"two cases are called {case.name}")
            cases[case.name] = case
    return cases


def kernel_release(image: str) -> Optional[str]:
    """The release as the boot protocol's header has it (offset 0x20e), or where there is none,
    as the kernel, which is not compressed then, says it of itself."""
    with open(image, "rb") as f:
        head = f.read(0x10000)
        if head[0x38:0x3c] == b"ARM\x64":
            found = re.search(rb"Linux version (\S+) \(", f.read())
            return found and found[1].decode()
    if head[0x202:0x206] != b"HdrS":
        return None
    at = int.from_bytes(head[0x20e:0x210], "little") + 0x200
    return head[at:head.index(b"\0", at)].split(b" ")[0].decode()


def write_result(machine, case, verdict, why, release):
    result = {"format_version": FORMAT_VERSION, "case": case.name, "fault": case.fault,
              "verdict": verdict, "why": why, "kernel_release": release,
              **machine.figures}
    with open(machine.path("result.json"), "w", encoding="utf-8") as f:
        json.dump(result, f, indent=2)
        f.write("\n")
