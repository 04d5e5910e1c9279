# SPDX-License-Identifier: GPL-2.0-only
"""
Virtual functions: the network device is a VF of an igb whose physical function pci-pf-stub
has. QEMU's igb delivers to a VF only as long as its PF has SR-IOV on and is a bus master, so
what becomes of the PF shows at the VF.
"""

from rig.cases import update
from rig.cases.devices import BUS_MASTER, pci_command
from rig.cases.host import DEVICES, read, write
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded, must_see
from rig.referee import dmalog

PF, OTHER = "0000:00:04.0", "0000:00:1f.2"
STUB = "/sys/bus/pci/drivers/pci-pf-stub"
# What would take the VFs from who has them
ENDS = {
    "SR-IOV off": (f"{DEVICES}/{PF}/sriov_numvfs", "0"),
    "PF reset": (f"{DEVICES}/{PF}/reset", "1"),
    "PF removed": (f"{DEVICES}/{PF}/remove", "1"),
    "driver taken": (f"{STUB}/unbind", PF),
}


def take_pf(run):
    """The PF's driver comes in the next kernel, too."""
    for path, text in ((f"{DEVICES}/{PF}/driver_override", "pci-pf-stub"), ("/sys/bus/pci/drivers_probe", PF)):
        error = write(run, path, text)
        if error:
            raise Failed(f"{text} into {path}: {error}")


@guarded
def carried(machine, begin, iommu, append="", **options):
    """One update or more; each frame arrives in the VF, and nothing is refused."""
    update.carry(machine, begin, iommu, append=f"rig.vf=1 {append}", **options)


@guarded
def kept(machine, begin, iommu):
    """
    Whatever would take a VF from who has it is refused: before the jump from the preserve on,
    in the next kernel until the session is finished; then it is not any more.

    To see it fail: without pci_liveupdate_keeps_vfs() in sriov_numvfs_store(), in remove_store()
    or in unbind_store(), or in pci_liveupdate_held().
    """
    def all_refused(when):
        answers = {what: write(run, *attempt) for what, attempt in ENDS.items()}
        machine.figures[f"answers_{when}"] = answers
        return [f"{when}: {what}: {answer or 'done'}" for what, answer in answers.items() if answer != "EBUSY"]

    run = begin(iommu=iommu, sound=False, append="rig.vf=1")
    run.rest(STEADY_S)
    machine.send("undo 1")
    machine.wait("undone")
    found = []
    error = write(run, *ENDS["driver taken"])
    if error:
        found.append(f"undone: the driver cannot be taken from the PF: {error}")
    take_pf(run)
    machine.send("preserve idle=1")
    machine.wait("preserved")
    found += all_refused("preserved")
    run.update(2, command="jump", until="idle")
    take_pf(run)
    found += all_refused("incoming")
    since = len(machine.events)
    machine.send("resume")
    machine.wait("resumed", since=since, timeout_s=60)
    error = write(run, *ENDS["driver taken"])
    if error:
        found.append(f"finished: the driver cannot be taken from the PF: {error}")
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=2 * len(ENDS), outcome="EBUSY for each, before the jump and after it; frames arrive")
    if found:
        raise Failed("; ".join(found))
    clean(run)


def power_off(machine, run):
    """Frames first; nobody has resumed. What QEMU reported of the IOMMU."""
    for sender in run.senders.values():
        sender.stop()
    machine.send("off")
    machine.finish()
    return machine.dma_log()


@guarded
def without_iommu(machine, begin, options):
    """
    The next kernel has no IOMMU: the VF is stopped, and so is its PF, which only an IOMMU kept from memory.

    Seen to fail: if __pci_liveupdate_refuse() leaves a PF that is there for its VFs as it is.
    """
    run = begin(iommu="vtd-scalable", sound=False, append="rig.vf=1")
    run.rest(STEADY_S)
    masters = {bdf: pci_command(machine, bdf) & BUS_MASTER for bdf in (PF, run.ready["nic"])}
    must_see("PF and VF be bus masters before", all(masters.values()))
    run.update(2, f"idle=1 next={options}", until="idle")
    left = [bdf for bdf in masters if pci_command(machine, bdf) & BUS_MASTER]
    power_off(machine, run)
    machine.figures.update(tries=1, outcome="neither the VF nor its PF is a bus master in the next kernel")
    if left:
        raise Failed(f"{' and '.join(left)}: still a bus master, without an IOMMU")


@guarded
def passthrough(machine, begin):
    """
    With iommu.passthrough=1 devices begin with the identity, but not a PF that is a bus master for its VFs.

    To see it fail: without pci_liveupdate_blocked() in iommu_get_default_domain_type().
    """
    def begins_with(bdf):
        return read(run, f"{DEVICES}/{bdf}/iommu_group/type")

    run = begin(iommu="vtd-legacy", sound=False, append="rig.vf=1")
    run.rest(STEADY_S)
    run.update(2, "next=iommu.passthrough=1")
    kinds = {bdf: begins_with(bdf) for bdf in (OTHER, PF)}
    must_see("another device begin with the identity", kinds[OTHER] == "identity")
    must_see("the PF be a bus master", pci_command(machine, PF) & BUS_MASTER)
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=1, domains=kinds, outcome="the PF begins with an empty domain")
    clean(run)
    if not kinds[PF].startswith("DMA"):
        raise Failed(f"the PF begins with {kinds[PF]}")


@guarded
def stray(machine, begin):
    """
    The IOMMU still has an entry of the PF, which the handover does not know: the PF is refused. Its VF is finished,
    and somebody has it: the PF is not reset below it.

    Seen to fail: without pci_liveupdate_iov_in_use() in pci_liveupdate_reset_locked().
    """
    run = begin(iommu="vtd-legacy", sound=False, append="rig.vf=1 liveupdate.break=scrub")
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    command = pci_command(machine, PF)
    power_off(machine, run)
    must_see("the PF be refused", f"{PF}: liveupdate: not taken over" in machine.console())
    machine.figures.update(tries=1, outcome="the PF is stopped, and not reset as long as a driver has its VF")
    if command & BUS_MASTER:
        raise Failed("the PF is a bus master")
    if f"{PF}: liveupdate: was reset" in machine.console():
        raise Failed("the PF was reset below its VF")
    must_see("the PF wait for its reset", f"{PF}: liveupdate: cannot be reset" in machine.console())


@guarded
def stands_still(machine, begin, law, iommu="vtd-scalable"):
    """
    Negative: the PF is not left as it is, and the referee sees no DMA of the VF in the next kernel.

    Seen to fail: with no law broken the VF goes on.
    """
    run = begin(iommu=iommu, sound=False, append=f"rig.vf=1 liveupdate.break={law}")
    run.rest(STEADY_S)
    run.update(2, "idle=1", until="idle")
    booted = next(e for e in machine.events if e["ev"] == "boot" and e["stage"] == 2)["host_real_ns"] // 1000
    run.rest(AFTER_S)
    log, sid = power_off(machine, run), dmalog.source_id(run.ready["nic"])
    must_see("the VF do DMA before the update", len(log.times(sid, None, run.jump["host_real_ns"] // 1000)) > 1000)
    landed = log.times(sid, booted)
    machine.figures.update(tries=1, dmas_after=len(landed), outcome=f"found: {len(landed)} DMAs of the VF in the next kernel")
    if landed:
        raise Failed(f"{len(landed)} DMAs of the VF in the next kernel: it did not need what was taken away")


CASES = [
    *(Case(f"vf-{mode}", f"a virtual function goes on with its DMA; {mode} mode", bind(carried, iommu=f"vtd-{mode}"),
           debug=mode == "scalable")
      for mode in ("legacy", "scalable")),
    Case("vf-three", "a virtual function in three updates in a row", bind(carried, iommu="vtd-scalable", updates=3)),
    Case("vf-port", "a virtual function behind a root port, with ARI",
         bind(carried, iommu="vtd-scalable", behind="port")),
    Case("vf-kept", "nobody takes a virtual function away, by way of its PF", bind(kept, iommu="vtd-scalable"),
         fault="SR-IOV is switched off, or the PF reset, removed or unbound, while a VF is preserved or incoming"),
    Case("vf-sibling", "a virtual function that is not preserved is blocked, and its sibling goes on",
         bind(update.bystander, iommu="vtd-scalable", bystander="vf", append="rig.vf=2"),
         fault="a VF is not preserved, and its sibling is"),
    *(Case(f"vf-{name}", f"a virtual function, and the next kernel has no IOMMU: {options}",
           bind(without_iommu, options=options),
           fault=f"a VF is preserved, and the next kernel is booted with {options}")
      for name, options in (("no-iommu", "iommu=off"), ("intel-off", "intel_iommu=off"))),
    Case("vf-passthrough", "a PF that is a bus master for its virtual functions, iommu.passthrough=1", passthrough,
         fault="a VF is preserved, and the next kernel is booted with iommu.passthrough=1"),
    Case("vf-pf-stray", "a PF whose entry the handover does not know is refused, and not reset below its virtual function",
         stray, kernel="lab", fault="the IOMMU has an entry of a PF that is not preserved, and its VF is in use"),
    Case("vf-pf-stopped", "negative: the PF is shut down like any device",
         bind(stands_still, law="pf"), kernel="lab",
         fault="bus mastering of a PF is switched off while a VF of it is preserved"),
    Case("vf-sriov-off", "negative: the next kernel sets SR-IOV up as ever",
         bind(stands_still, law="sriov"), kernel="lab",
         fault="the next kernel switches SR-IOV off"),
]
