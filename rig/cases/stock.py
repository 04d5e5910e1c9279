# SPDX-License-Identifier: GPL-2.0-only
"""
Whoever does not use live update has the kernel that he had: iommufd's own self-tests, and a
VMM that attaches and detaches running devices, on our kernel with live update off, and on
the kernel without our changes.
"""

import os

from rig.cases.luo import program
from rig.cases.update import REPLACES_NEGATIVE
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import STEADY_S, bind, errno_name, guarded
from rig.referee import dmalog, ktap

PROGRAMS = {"/test": "iommufd", "/test-2": "iommufd_fail_nth"}
# The rig's kernels have it on; the last one on the command line counts. Tests of huge
# pages are skipped without some.
OFF = "kho=off liveupdate=off"
SELFTEST_OFF = f"{OFF} hugepages=160"


def verdicts(machine):
    """Of both programs, {"program name": verdict}."""
    machine.start(init_files={"/init": program("run-test"), "/sys/kernel/debug/": b"",
                              **{path: program(name) for path, name in PROGRAMS.items()}},
                  append=SELFTEST_OFF, quiet_s=180, limit_s=1200)
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


def answers(begin, gap=False, **options):
    """What the kernel answered, [(step, errno or None)], and how many faults its IOMMU had while both
    devices had their memory. gap: the kernel takes it away for a moment; the network device gets no
    frames then, nor while it is detached: it tries its whole ring, for ever, when it is refused."""
    run = begin(append=OFF, **options)
    machine = run.machine
    run.rest(STEADY_S)
    if not gap:
        run.replace(REPLACES_NEGATIVE)
    for command in ("attach", "attach detached"):
        if run.senders and (gap or command != "attach"):
            run.senders.pop("nic").stop()
        since = len(machine.events)
        machine.send(command)
        end = machine.wait("answered", since=since)
        if command == "attach":
            attached = end["host_real_ns"] // 1000
    machine.send("off")
    machine.finish()
    said = [(e["step"], errno_name(e["errno"])) for e in machine.events if e["ev"] == "answer"]
    log, devices = machine.dma_log(), [dmalog.source_id(run.ready[name]) for name in ("nic", "audio")]
    faults = len([when for when, sid, *_ in log.faults if sid in devices and when < attached])
    machine.figures.update(tries=len(said), refused=len([error for _, error in said if error]), iommu_faults=faults)
    return said, faults


@guarded
def attaches(machine, begin, **options):
    """
    Two machines, one after the other: the same calls have the same answers. Where domains replace
    each other ours has no faults, with frames and sound coming in.

    Seen to fail: with intel_replace_domain() that returns -EOPNOTSUPP at each replace, in legacy
    mode at the second answer; and with one that leaves each replace in scalable mode to 7.3's way,
    by the faults.
    """
    ours, faults = answers(begin, **options)
    stock, _ = answers(begin, gap=True, machine=machine.another("stock", kernel=machine.next_kernel), **options)
    found = [f"step {i}: {a[0]}: {a[1]}, and {b[1]} without our changes" for i, (a, b) in enumerate(zip(ours, stock)) if a != b]
    if len(ours) != len(stock) or not ours:
        found.append(f"{len(ours)} answers, and {len(stock)} without our changes")
    if not all(any(bool(error) == refused for _, error in stock) for refused in (False, True)):
        found.append("the kernel without our changes has one answer to everything")
    if faults:
        found.append(f"{faults} IOMMU faults while domains replaced each other")
    if found:
        raise Failed("; ".join(found))


CASES = [
    *(Case(f"attach-off-{name}", f"attach and detach, live update off: as without our changes, {what}", bind(attaches, **options),
           kernel="selftest", next_kernel="stock-selftest")
      for name, what, options in (("legacy", "legacy mode", {"iommu": "vtd-legacy"}),
                                  ("scalable", "scalable mode", {"iommu": "vtd-scalable"}),
                                  ("first-stage", "first-stage tables", {"iommu": "vtd-scalable", "first_stage": True}))),
    Case("iommufd-selftests", "iommufd's own self-tests, live update off: as without our changes", iommufd,
         kernel="selftest", next_kernel="stock-selftest"),
]
