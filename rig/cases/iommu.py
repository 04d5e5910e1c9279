# SPDX-License-Identifier: GPL-2.0-only
"""
The IOMMU's entries. A device that the next kernel would refuse is refused before the jump.
A device that is no longer alone in its group does not go on after the jump. Users who do
not use live update get 7.3's behaviour.
"""

import errno

from rig.cases.handover import KEPT, STUCK
from rig.lib.amd_tables import AmdTables
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.memory import Memory, shared
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded, must_see
from rig.lib.vtd_tables import VtdTables
from rig.referee import dmalog

DID_LEGACY, DID_SCALABLE = 1 << 8, 1
DIRTY, PRESENT = 1 << 9, 1
# Of AMD-Vi's device table entry: the device may have an IOTLB; accessed and dirty bits are written.
IOTLB, TRACKED, INIT_PASSES = 1 << 32, 3 << 7, 1 << 56


# -- before the jump -------------------------------------------------------

def legacy_changes(memory, source):
    """(what the log has to say, address, value)"""
    entry = VtdTables(memory).context(source)
    low, high = memory.get(entry), memory.get(entry + 8)
    yield "its context entry has another domain id", entry + 8, high + 77 * DID_LEGACY
    yield "reserved bits of its context entry are set", entry, low | 1 << 4


def scalable_changes(memory, source):
    tables = VtdTables(memory)
    first, directory = tables.pasid(source), tables.pasid_directory(source)
    low, high = memory.get(first), memory.get(first + 8)
    yield "its PASID entry has another domain id", first + 8, high + 77 * DID_SCALABLE
    yield "dirty tracking of its HWPT is on", first, low | DIRTY
    yield "it has a PASID that was not handed over", tables.pasid(source, 3), low
    # A table that nobody has preserved: of the second entry, which is free.
    yield "a PASID table of it was not preserved", directory + 8, (first & ~0xfff) + 4096 | PRESENT


def amd_changes(memory, source):
    """Such as QEMU takes no notice of, since the device goes on meanwhile."""
    entry = AmdTables(memory).entry(source)
    _, second, third = (memory.get(entry + 8 * word) for word in range(3))
    more = "bits of its device table entry are set that say something else"
    yield "its device table entry has another domain id", entry + 8, second + 77
    yield more, entry + 8, second | IOTLB
    yield more, entry, memory.get(entry) | TRACKED
    yield "interrupts of it pass that nobody looks up", entry + 16, third | INIT_PASSES


CHANGES = {"vtd-legacy": legacy_changes, "vtd-scalable": scalable_changes, "amd": amd_changes}


@guarded
def changed(machine, begin, iommu):
    """
    Entries of a preserved device change before the jump, one at a time: EBUSY, by
    the rule that the next kernel has for it. Then the update works.
    Seen to fail: without the check in iommu_device_unchanged(), at the first change.
    """
    run = begin(iommu=iommu, extra=shared(machine))
    run.rest(STEADY_S)
    memory, source = Memory(machine), dmalog.source_id(run.ready["nic"])
    machine.send("preserve")
    machine.wait("preserved")
    rules = []
    for rule, address, value in CHANGES[iommu](memory, source):
        before, since = memory.get(address), len(machine.events)
        memory.put(address, value)
        machine.send("jump")
        answer = machine.wait("stays", since=since)["errno"]
        memory.put(address, before)
        if answer != errno.EBUSY:
            raise Failed(f"'{rule}': {errno.errorcode.get(answer, answer)}, expected EBUSY")
        rules.append(rule)
    since = len(machine.events)
    machine.send("jump")
    machine.wait("boot", stage=2, since=since, timeout_s=60)
    machine.wait("resumed", since=since, timeout_s=60)
    run.rest(AFTER_S)
    run.stop()
    for rule in rules:
        if f"({rule}): cannot be preserved" not in machine.console():
            raise Failed(f"the log does not say '{rule}'")
    machine.figures["tries"] = len(rules)
    machine.figures["outcome"] = "each is EBUSY before the jump, by name; then the update works"
    clean(run)


# -- after the jump --------------------------------------------------------

@guarded
def crowded(machine, begin, iommu):
    """
    A second function turns up in the group of a device that was alone in it.
    Seen to fail: without @alone in iommu_liveupdate_domain(), the device is kept.
    """
    # Not the NIC: the kernel knows that an 82576 keeps its functions apart.
    run = begin(iommu=iommu, append="rig.salvage=1 rig.hwpt=each",
                extra=("-global", "intel-hda.multifunction=on", "-device", "intel-hda,addr=5.1"))
    run.rest(1)
    machine.send(f"unplug {run.ready['audio'][:-1]}1")
    machine.wait("unplugged")
    end = run.update(2)
    run.rest(AFTER_S)
    run.stop()
    found = []
    for name, expected in (("nic", KEPT), ("audio", STUCK)):
        if end[name] != expected:
            found.append(f"{name} is {end[name]}, not {expected}")
    if f"{run.ready['audio']} refused: it shares its IOMMU group" not in machine.console():
        found.append("the log does not say that the device shares its group")
    if found:
        raise Failed("; ".join(found))
    sid = dmalog.source_id(run.ready["audio"])
    boot = next(e["host_real_ns"] // 1000 for e in machine.events if e["ev"] == "boot" and e["stage"] == 2)
    late = run.log.times(sid, boot)
    if late:
        raise Failed(f"{len(late)} DMAs after the new kernel refused it")
    machine.figures["outcome"] = "refused and stopped, cannot be reset; the other device goes on"


# -- without live update ---------------------------------------------------

@guarded
def first_stage(machine, begin, n=1000):
    """First-stage HWPTs replace each other under load."""
    run = begin(iommu="vtd-scalable", first_stage=True)
    run.rest(STEADY_S)
    run.replace(n)
    run.rest(1)
    run.stop()
    clean(run)


@guarded
def no_cx16(machine, begin, iommu, n=20):
    """
    On a CPU without cmpxchg16b domains are replaced as by 7.3, with a gap, and
    nothing is preserved. Seen to fail: before, the first replace was EOPNOTSUPP.
    """
    run = begin(iommu=iommu, nic=False, extra=("-cpu", "max,cx16=off"))
    run.rest(1)
    run.replace(n)
    run.rest(1)
    try:
        run.update(2)
    except Failed as error:
        if "preserve the audio device: Operation not supported" not in str(error):
            raise
    else:
        raise Failed("the device was preserved; it could not be given back")
    machine.await_end()
    rule = "this CPU cannot replace its domain without a gap"
    must_see("the refusal by name", f"cannot be preserved: {rule}" in machine.console())
    machine.figures["tries"] = n
    machine.figures["outcome"] = "replaced, and refused by name at preserve"


CASES = [
    *(Case(f"changed-{mode}", "entries of a preserved device that change before the jump", bind(changed, iommu=f"vtd-{mode}"),
           fault="an IOMMU entry of a preserved device changes before the jump") for mode in ("legacy", "scalable")),
    Case("crowded", "a preserved device is not alone in its group any more", bind(crowded, iommu="vtd-scalable"),
         fault="a second device turns up in the IOMMU group"),
    Case("first-stage-replace", "1000 replaces of first-stage tables under load", first_stage),
    *(Case(f"{mode}-no-cx16", "replaces on a CPU without cmpxchg16b", bind(no_cx16, iommu=f"vtd-{mode}"),
           fault="preserve on a CPU without cmpxchg16b") for mode in ("legacy", "scalable")),
]
