# SPDX-License-Identifier: GPL-2.0-only
"""A VM in an unmodified QEMU, with a device of the host's, and what becomes of it."""

import time

from rig.cases.command import continuo, program
from rig.cases.library import agent_files
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, must_see
from rig.lib.vm import AGENT, BROKER, NAME, PATIENCE_S, broker, guarded_vm


def host_files():
    return {**agent_files(), **program(), **broker()}


def registered(run):
    """Wait until the agent knows the VM, and that it can be carried over."""
    deadline = time.monotonic() + PATIENCE_S * run.machine.slow
    while True:
        status, data = continuo(run.machine, f"{AGENT} list")
        states = {row["vm"]: row["state"] for row in data["vm"]}
        if not status and states == {NAME: "idle"}:
            return
        if time.monotonic() > deadline:
            raise Failed(f"the agent does not know the VM: list ends with {status} and says {data}")
        time.sleep(0.2)


@guarded_vm
def steady(machine, begin, iommu):
    """Nothing happens: what the referee says of the VM then is its own noise."""
    run = begin(iommu=iommu)
    run.rest(STEADY_S)
    run.rest(AFTER_S)
    run.stop()
    clean(run)


@guarded_vm
def update(machine, begin, iommu, updates=1):
    """The VM goes on, and each thing that its tenant could notice is judged."""
    run = begin(iommu=iommu, prefix=BROKER, files=host_files(), append="rig.agent=1")
    registered(run)
    run.rest(STEADY_S)
    for stage in range(2, updates + 2):
        run.update(stage)
        registered(run)
        run.rest(AFTER_S)
    run.stop()
    clean(run)


@guarded_vm
def nothing_preserved(machine, begin, iommu):
    """The same jump with QEMU as it is: all that the referee judges must be seen to end."""
    run = begin(iommu=iommu, append="rig.preserve=0")
    run.rest(STEADY_S)
    run.lose(2)
    time.sleep(AFTER_S)
    run.stop_without_vm()
    run.judge()
    figures, sid = machine.figures, run.preserved["nic"]
    must_see("lost frames", figures["frames_lost"] > figures["frames_per_s"])
    must_see("the DMA stop", not run.log.times(sid, run.updates[0][1]))
    must_see("the VM fall silent", run.wire.words[-1].heard_ns < run.windows[0][1])
    # What the VM was told is on its disk was there before the jump.
    if figures["disk_records_lost"]:
        raise Failed(f"{figures['disk_records_lost']} records that the VM was told of are not on its disk")
    figures["outcome"] = "the VM ends at the jump, and its DMA"


CASES = [
    Case("vm-update", "continuo update carries a VM in an unmodified QEMU over", bind(update, iommu="vtd-scalable"), kernel="vm"),
    Case("vm-two-updates", "the same VM in two updates, one after the other",
         bind(update, iommu="vtd-scalable", updates=2), kernel="vm"),
    Case("vm-nothing-preserved", "negative: a VM in QEMU, and a jump with nothing preserved",
         bind(nothing_preserved, iommu="vtd-scalable"), kernel="vm", fault="nothing of a VM is preserved before the jump"),
    Case("vm-steady", "a VM in an unmodified QEMU answers frames, and no update", bind(steady, iommu="vtd-scalable"),
         kernel="vm"),
]
