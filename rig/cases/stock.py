# SPDX-License-Identifier: GPL-2.0-only
"""
Whoever does not use live update has the kernel that he had: iommufd's own self-tests, on
our kernel with live update off, and on the kernel without our changes.
"""

import os

from rig.cases.luo import program
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.referee import ktap

PROGRAMS = {"/test": "iommufd", "/test-2": "iommufd_fail_nth"}
# The rig's kernels have it on; the last one on the command line counts. Tests of huge
# pages are skipped without some.
OFF = "kho=off liveupdate=off hugepages=160"


def verdicts(machine):
    """Of both programs, {"program name": verdict}."""
    machine.start(init_files={"/init": program("run-test"), "/sys/kernel/debug/": b"",
                              **{path: program(name) for path, name in PROGRAMS.items()}},
                  append=OFF, quiet_s=180, limit_s=1200)
    found, since = {}, 0
    for path, name in PROGRAMS.items():
        machine.wait("test", timeout_s=900, program=path)
        at = next(i for i, e in enumerate(machine.events) if e["ev"] == "test" and e["program"] == path)
        report = ktap.verdicts("\n".join(e["text"] for e in machine.events[since:at] if e["ev"] == "line"))
        machine.figures[f"{name}_tests"] = {verdict: list(report.values()).count(verdict) for verdict in sorted(set(report.values()))}
        if "ok" not in report.values():
            raise Failed(f"no test of {name} passed on {os.path.basename(os.path.dirname(machine.kernel))}")
        found.update({f"{name} {test}": verdict for test, verdict in report.items()})
        since = at
    machine.finish(timeout_s=60)
    return found


def iommufd(machine):
    """
    Two machines, one after the other. Tests are compared by name: what fails on 7.3 may
    fail here, and what does not may not.
    """
    ours = verdicts(machine)
    stock = verdicts(machine.another("stock", kernel=machine.next_kernel))
    found = ktap.differences(ours, stock)
    if found:
        raise Failed(f"{len(found)} of {len(stock)} tests differ: " + "; ".join(found[:10]))


CASES = [
    Case("iommufd-selftests", "iommufd's own self-tests, live update off: as without our changes", iommufd,
         kernel="selftest", next_kernel="stock-selftest"),
]
