# SPDX-License-Identifier: GPL-2.0-only
"""
arm64: QEMU's machine "virt" with a GICv3, an ITS and an SMMUv3. The cases of devices are
those of the other IOMMUs.
"""

import re

from rig.cases.adopt import adopt
from rig.cases.devices import given_back, none_of_two, one_of_two
from rig.cases.interrupts import all_through, last
from rig.cases.update import bystander, hole, no_preserve, replace, replace_with_gap, undo, update
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import SHOWN_STEADY_S, bind, clean, guarded
from rig.referee import discovery

# Beyond what is mapped for devices: a word at its end is compared after each update.
MEMORY_BYTES = 96 << 20
READ = {"kho-v4", "luo-v5", "memfd-v2"}
MUST_SAY = (r"GICv3: CPU1: found redistributor", r"ITS@0x\w+: allocated", r"arm-smmu-v3 \S+: oas \d+-bit")


def must_say(machine, patterns):
    said = machine.console()
    for pattern in patterns:
        if not re.search(pattern, said):
            raise Failed(f"the kernel does not say '{pattern}'")


def boot(machine):
    machine.start(append=f"{machine.platform.early_console} rig.devs=none")
    machine.figures["uname_release"] = machine.wait("boot", stage=1)["kernel_release"]
    machine.wait("ready")
    machine.send("off")
    machine.finish()
    must_say(machine, MUST_SAY)


def formats(machine):
    """What the loaded image reads, as the kernel that is to be replaced shows it."""
    first = machine.events[:[event["ev"] for event in machine.events].index("jump")]
    view = discovery.sides(discovery.parse(discovery.texts(first)["preserved"]["view"]))["outgoing"]
    state = view.of("image")[0]["state"]
    read = {record["compatible"] for record in view.of("format") if record["state"] == "read"}
    machine.figures["image"], machine.figures["formats_read"] = state, sorted(read)
    if state != "has-list":
        raise Failed(f"the loaded image is {state}")
    if READ - read:
        raise Failed(f"the loaded image does not read {', '.join(sorted(READ - read))}")


def pending_tables(machine):
    """[[(how, where) of each CPU's table of pending LPIs] of each kernel], in its own order."""
    found = []
    for line in machine.console().splitlines():
        if "Booting Linux on physical CPU" in line:
            found.append([])
        got = re.search(r"GICv3: CPU\d+: using (allocated|reserved) LPI pending table @0x(\w+)", line)
        if got:
            found[-1].append(got.groups())
    return found


def memory(machine, updates, alone=None):
    """
    A memfd goes over, several times; the tables of pending LPIs that the redistributors write
    to are where they were, and the later kernels know it. alone: in the kernel of that stage all
    CPUs but the first one stay offline.

    To see it fail: rig.preserve=0; for the tables, no late_initcall() in
    irq-gic-v3-its-liveupdate.h ("Booted with LPIs enabled, memory probably corrupted"). With alone:
    without its_liveupdate_keep_others() there.
    """
    lost = "Expected reserved range"
    machine.start(append=f"{machine.platform.early_console} rig.devs=none rig.preserve=memfd rig.updates={updates} "
                         f"rig.memory={MEMORY_BYTES} rig.view=1")
    machine.wait("ready")
    for stage in range(2, updates + 2):
        since = len(machine.events)
        machine.send("update" if not alone else f"update next=maxcpus={1 if stage == alone else 2}")
        jump = machine.wait("jump", since=since)
        second = machine.wait("boot", stage=stage, since=since, timeout_s=60)
        done = machine.wait("resumed", since=since, timeout_s=60)
        machine.figures[f"jump_to_user_space_{stage - 1}_ms"] = (second["host_ns"] - jump["host_ns"]) // 1000000
        if done["updates_done"] != stage - 1:
            raise Failed(f"the memory says that {done['updates_done']} updates were done, not {stage - 1}")
    machine.send("off")
    machine.finish()
    formats(machine)
    if lost in machine.console():
        raise Failed("a redistributor's table of pending LPIs was lost")
    tables = pending_tables(machine)
    machine.figures["lpi_tables"] = tables
    first = [("reserved", where) for _, where in tables[0]]
    expected = [first[:1] if stage == alone else first for stage in range(2, updates + 2)]
    if len(first) < 2 or tables[1:] != expected:
        raise Failed(f"the tables of pending LPIs are not the same in each kernel: {tables}")


@guarded
def steady(machine, begin):
    """
    Devices of a user-space driver do DMA behind the SMMUv3, and nothing else happens.
    To see it fail: a page of the memory left out of build_ioas().
    """
    run = begin(iommu="smmuv3")
    run.rest(SHOWN_STEADY_S)
    run.stop()
    clean(run)


CASES = [
    Case("arm-boot", "arm64: the kernel boots with GICv3, ITS and SMMUv3, and powers off", boot, kernel="arm"),
    Case("arm-memfd", "arm64: a memfd is carried over three updates", bind(memory, updates=3), kernel="arm"),
    Case("arm-memfd-alone", "arm64: the second of three kernels leaves a CPU offline, whose LPI table stays",
         bind(memory, updates=2, alone=2), kernel="arm"),
    Case("arm-steady", "arm64: network and audio device do DMA behind the SMMUv3", steady, kernel="arm"),
    Case("arm-update", "arm64: a network device goes on behind the SMMUv3 over an update",
         bind(update, iommu="smmuv3", sound=False), kernel="arm", debug=True),
    Case("arm-no-preserve", "negative, arm64: without a preserve its DMA stops at the jump",
         bind(no_preserve, iommu="smmuv3"), kernel="arm", fault="nothing is preserved before the jump"),
    Case("arm-three", "arm64: network and audio device go on over three updates in a row",
         bind(update, iommu="smmuv3", updates=3), kernel="arm"),
    Case("arm-interrupts", "arm64: MSI-X before, during and after the update",
         bind(all_through, iommu="smmuv3"), kernel="arm"),
    Case("arm-interrupt-last", "arm64: the last interrupt falls into the jump",
         bind(last, iommu="smmuv3"), kernel="arm", fault="an interrupt is raised while there is no eventfd, and none follows"),
    Case("arm-adopt", "arm64: the restored tables are adopted, with the doorbell in them",
         bind(adopt, iommu="smmuv3", append="rig.irq=1"), kernel="arm"),
    Case("arm-undo", "arm64: 20 preserves undone under load, then an update",
         bind(undo, iommu="smmuv3"), kernel="arm", fault="everything is preserved, and the session closed again"),
    Case("arm-check-tables", "arm64: all translation tables are checked at boot",
         bind(update, iommu="smmuv3", append="liveupdate.check_tables=1 rig.irq=1"), kernel="arm"),
    Case("arm-bystander", "arm64: a device that is not preserved is blocked",
         bind(bystander, iommu="smmuv3"), kernel="arm",
         fault="a device that is not preserved receives frames all through the jump"),
    Case("arm-replace", "arm64: the HWPT is replaced under load",
         bind(replace, iommu="smmuv3"), kernel="arm", debug=True),
    Case("arm-replace-gap", "negative, arm64: 7.3's attach, which makes the descriptor invalid first",
         bind(replace_with_gap, iommu="smmuv3"), kernel="arm-lab", fault="the domain is replaced as 7.3 does it: block, then set"),
    *(Case(f"arm-bystander-{law}", "arm64: a device that is not preserved is blocked by "
           + ("the IOMMU alone" if law == "master" else "bus mastering alone"),
           bind(one_of_two, iommu="smmuv3", law=law), kernel="arm-lab",
           fault="a device that is not preserved goes on, "
           + ("its bus mastering left on" if law == "master" else "its IOMMU entry left in place"))
      for law in ("master", "scrub")),
    Case("arm-bystander-free", "negative, arm64: a device that is not preserved is not blocked at all",
         bind(none_of_two, iommu="smmuv3"), kernel="arm-lab"),
    Case("arm-given-back", "arm64: no DMA to a page that the new HWPT does not have",
         bind(given_back, iommu="smmuv3"), kernel="arm", fault="a page taken away under DMA by a replace"),
    Case("arm-hole", "negative, arm64: one page is left out of the rebuilt HWPT",
         bind(hole, iommu="smmuv3"), kernel="arm", fault="one page is left out of the rebuilt IOAS"),
]
