# SPDX-License-Identifier: GPL-2.0-only
"""
Virtual functions: the network device is a VF of an igb whose physical function pci-pf-stub
has. QEMU's igb delivers to a VF only as long as its PF has SR-IOV on and is a bus master, so
what becomes of the PF shows at the VF.
"""

from rig.cases import update
from rig.cases.devices import BUS_MASTER, pci_command
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, errno_name, guarded, must_see

PF = "0000:00:04.0"
DEVICES, STUB = "/sys/bus/pci/devices", "/sys/bus/pci/drivers/pci-pf-stub"
# What would take the VFs from who has them
ENDS = {
    "SR-IOV off": (f"{DEVICES}/{PF}/sriov_numvfs", "0"),
    "more VFs": (f"{DEVICES}/{PF}/sriov_numvfs", "2"),
    "PF reset": (f"{DEVICES}/{PF}/reset", "1"),
    "PF removed": (f"{DEVICES}/{PF}/remove", "1"),
    "driver taken": (f"{STUB}/unbind", PF),
}


def write(machine, path, text):
    since = len(machine.events)
    machine.send(f"write {path} {text}")
    return errno_name(machine.wait("written", since=since)["errno"])


def take_pf(machine):
    """The PF's driver comes in the next kernel, too."""
    for path, text in ((f"{DEVICES}/{PF}/driver_override", "pci-pf-stub"), ("/sys/bus/pci/drivers_probe", PF)):
        error = write(machine, path, text)
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
        answers = {what: write(machine, *attempt) for what, attempt in ENDS.items()}
        machine.figures[f"answers_{when}"] = answers
        return [f"{when}: {what}: {answer or 'done'}" for what, answer in answers.items() if answer != "EBUSY"]

    run = begin(iommu=iommu, sound=False, append="rig.vf=1")
    run.rest(STEADY_S)
    machine.send("undo 1")
    machine.wait("undone")
    found = []
    error = write(machine, *ENDS["driver taken"])
    if error:
        found.append(f"undone: the driver cannot be taken from the PF: {error}")
    take_pf(machine)
    machine.send("preserve idle=1")
    machine.wait("preserved")
    found += all_refused("preserved")
    run.update(2, command="jump", until="idle")
    take_pf(machine)
    found += all_refused("incoming")
    since = len(machine.events)
    machine.send("resume")
    machine.wait("resumed", since=since, timeout_s=60)
    error = write(machine, *ENDS["driver taken"])
    if error:
        found.append(f"finished: the driver cannot be taken from the PF: {error}")
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=2 * len(ENDS), outcome="EBUSY for each, before the jump and after it; frames arrive")
    if found:
        raise Failed("; ".join(found))
    clean(run)


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
    machine.send("off")
    machine.finish()
    for sender in run.senders.values():
        sender.stop()
    machine.figures.update(tries=1, outcome="neither the VF nor its PF is a bus master in the next kernel")
    if left:
        raise Failed(f"{' and '.join(left)}: still a bus master, without an IOMMU")


@guarded
def stands_still(machine, begin, law, says, iommu="vtd-scalable"):
    """Negative: the PF is not left as it is, and the referee sees that frames are lost in the VF."""
    run = begin(iommu=iommu, sound=False, append=f"rig.vf=1 liveupdate.break={law}")
    run.rest(STEADY_S)
    run.update(2, "idle=1", until="idle")
    run.rest(AFTER_S)
    machine.send("off")
    machine.finish()
    for sender in run.senders.values():
        sender.stop()
    must_see(f"'{says}' in the log", says in machine.console())
    end = machine.events[-1]["host_real_ns"] // 1000
    landed = machine.dma_log().times(update.dmalog.source_id(run.ready["nic"]), run.updates[0][1], end)
    machine.figures.update(tries=1, dmas_after=len(landed), outcome=f"{len(landed)} DMAs of the VF in the next kernel")
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
    Case("vf-pf-stopped", "negative: the PF is shut down like any device",
         bind(stands_still, law="pf", says="the law \"pf\" is broken"), kernel="lab",
         fault="bus mastering of a PF is switched off while a VF of it is preserved"),
    Case("vf-sriov-off", "negative: the next kernel sets SR-IOV up as ever",
         bind(stands_still, law="sriov", says="the law \"sriov\" is broken"), kernel="lab",
         fault="the next kernel switches SR-IOV off"),
]
