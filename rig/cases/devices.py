# SPDX-License-Identifier: GPL-2.0-only
"""
The other devices: those that cannot be preserved are refused by name before
anything is changed; those that are not preserved are blocked twice over, by bus
mastering and by the IOMMU, which is shown by taking one of the two away. And
what hardware could still reach is not given back (law 4).
"""

import errno
import re
import struct
import time

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded, must_see, past, until
from rig.referee import dmalog

PAGE = 4096
BUS_MASTER = 0x4                # in the PCI command register
IOVA_BASE = 0x1000000000        # of all DMA memory; see rig/guest/devices/dma_memory.h


# -- devices that cannot be preserved ------------------------------------

def scope(device, function=0, kind=1):
    """DMAR device scope of a device on bus 0: "8.3.1 Device Scope Structure"."""
    return struct.pack("<BBHBBBB", kind, 8, 0, 0, 0, device, function)


def dmar(*rmrr_devices, only=(), base=0xf0000, limit=0xfffff):
    """q35's own DMAR table with an RMRR for these devices on bus 0, and an IOMMU that is for some
    of them only: "8.1 DMA
    Remapping Reporting Structure" to "8.4 Reserved Memory Region Reporting
    Structure". The region is one that the firmware has reserved."""
    ioapic = struct.pack("<BBHBBBB", 3, 8, 0, 0, 0xff, 0, 0)
    behind = ioapic + b"".join(scope(device) for device in only)
    drhd = struct.pack("<HHBBHQ", 0, 16 + len(behind), not only, 0, 0, 0xfed90000) + behind
    scopes = b"".join(scope(device) for device in rmrr_devices)
    rmrr = struct.pack("<HHHHQQ", 1, 24 + len(scopes), 0, 0, base, limit) + scopes if scopes else b""
    body = struct.pack("<BB10x", 47, 1) + drhd + rmrr
    # A higher OEM revision than the firmware's takes the place of its table.
    head = struct.pack("<4sIBB6s8sI4sI", b"DMAR", 36 + len(body), 1, 0, b"BOCHS ", b"BXPC    ", 2, b"BXPC", 1)
    table = bytearray(head + body)
    table[9] = -sum(table) & 0xff
    return bytes(table)


OPERATION = errno.EOPNOTSUPP


@guarded
def refused_by_name(machine, begin, tries, iommu="vtd-scalable", **options):
    """Each try(COMMAND, STEP, ERRNO, RULE) fails at that step, leaves nothing
    behind, and the update without that device works; DMA never stops."""
    run = begin(iommu=iommu, sound=False, **options)
    run.rest(STEADY_S)
    found, said, outcome = [], [], []
    for command, step, number, rule in tries:
        since = len(machine.events)
        machine.send("try " + command)
        bdf = machine.wait("tried", since=since)["bdf"]
        steps = {e["step"]: e["errno"] for e in machine.events[since:] if e["ev"] == "try"}
        failed = next((name for name, n in steps.items() if n), None)
        if failed != step or steps.get(step) != number:
            found.append(f"{command}: {failed} failed with {errno.errorcode.get(steps.get(failed), 'nothing')}, "
                         f"expected {step} with {errno.errorcode[number]} ({steps})")
        said.append((command, bdf, rule, f"{step}: {errno.errorcode[number]}"))
        run.rest(0.5)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    for command, bdf, rule, answer in said:
        line = re.search(rf"{re.escape(bdf)}(?: of \S+)?: .*({rule}).*", machine.console(), re.I)
        if not line:
            found.append(f"{command}: the log does not say '{rule}' of {bdf}")
        outcome.append(f"{answer}, {line[1] if line else '?'}")
    machine.figures["tries"] = len(tries)
    machine.figures["outcome"] = "; ".join(outcome)
    if found:
        raise Failed("; ".join(found))
    clean(run)


BEHIND_BRIDGE = ("-device", "pcie-pci-bridge,id=conv,addr=9.0", "-device", "intel-hda,bus=conv,addr=1.0")
# On the root bus QEMU's virtio devices are not PCI Express ones, which ATS needs.
ATS = ("-device", "pcie-root-port,id=rp9,chassis=9,slot=9,addr=9.0",
       "-device", "virtio-net-pci,bus=rp9,ats=on,iommu_platform=on,disable-legacy=on,romfile=")
SECOND_IGB = ("-device", "igb,addr=9.0,mac=52:54:00:c0:00:03")
WITH_RMRR = ("-device", "intel-hda,addr=9.0", "-device", "qemu-xhci,addr=a.0")


# -- devices that misbehave during the boot -------------------------------

def bystander_dmas(run, begin, end=None):
    return run.log.times(dmalog.source_id(run.bystander["nic"]), begin, end)


def jumped_us(run):
    """When the next kernel said its first word, wall clock."""
    offset = time.time_ns() - time.monotonic_ns()
    at = [t for t, line in run.clock.lines if "Linux version" in line]
    return (at[1] + offset) // 1000 if len(at) > 1 else None


@guarded
def one_of_two(machine, begin, iommu, law):
    """The bystander is blocked by one of bus mastering and IOMMU alone, the other one being broken on purpose."""
    run = begin(iommu=iommu, bystander=True, append=f"liveupdate.break={law}")
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    begun = jumped_us(run)
    run.stop()
    sid = dmalog.source_id(run.bystander["nic"])
    faults = sum(n for (who, _), n in run.log.fault_counts.items() if who == sid)
    late = bystander_dmas(run, begun)
    must_see("the bystander do DMA before the update", len(bystander_dmas(run, None, begun)) > 1000)
    bdf = run.bystander["nic"][5:]
    removed = re.search(rf"entry of ({re.escape(bdf)}|stream {sid:#x}) (removed|blocked)", machine.console())
    machine.figures.update(tries=1, bystander_faults=faults, bystander_dmas_after=len(late),
                           outcome=f"{len(late)} DMAs landed in the next kernel, {faults} refused by the IOMMU")
    if law == "master":
        # What was not a bus master would not have been refused by the IOMMU.
        must_see("the IOMMU refuse the bystander", faults > 0)
    else:
        must_see("the IOMMU's entry be left to the next kernel", removed)
        must_see("bus mastering block the bystander before the IOMMU", not faults)
    found = run.judge()
    if law == "master":
        # The bystander runs through its whole ring, some 400,000 faults, and QEMU does
        # nothing else meanwhile: what did not get onto the wire, or was played later, was
        # not lost by a device.
        figures = machine.figures
        found = [f for f in found if not any(text in f for text in (
            "QEMU complains", "without a DMA write", "s were played", "no DMA for"))
                 and not ("frames lost" in f and figures["frames_lost"] == figures["frames_dropped_on_wire"])]
    if late:
        found.append(f"{len(late)} DMAs of a device that is not preserved, in the next kernel")
    if found:
        raise Failed("; ".join(found))


@guarded
def none_of_two(machine, begin, iommu):
    """Neither blocks it: the referee must see its DMA in the next kernel, whose memory it spoils."""
    run = begin(iommu=iommu, bystander=True, append="liveupdate.break=master,scrub")
    run.rest(STEADY_S)
    machine.expected.append("")         # What becomes of that kernel is not the point.
    machine.send("update")
    machine.wait("jump")
    until(run, lambda: any("adopted, translation stayed on" in line for _, line in run.clock.lines))
    begun = jumped_us(run)
    machine.kill()
    run.log = machine.dma_log()
    must_see("the next kernel", begun)
    late = bystander_dmas(run, begun)
    machine.figures.update(tries=1, bystander_dmas_after=len(late),
                           outcome=f"{len(late)} DMAs landed in the next kernel, as they have to in this twin")
    must_see("DMA of the bystander in the next kernel", late)


def pci_command(machine, bdf):
    """The device's PCI command register, read from outside by way of the machine's ECAM window."""
    base = int(re.search(r"ECAM \[mem (0x[0-9a-f]+)-", machine.console())[1], 16)
    address = base + (dmalog.source_id(bdf) << 12) + 4
    said = machine.qmp("human-monitor-command", **{"command-line": f"xp/1hx {address:#x}"})
    return int(said.split(":")[1], 16)


@guarded
def passthrough(machine, begin, iommu, law=""):
    """With iommu.passthrough=1 the IOMMU lets the bystander through to all of memory
    as soon as the next kernel has found it: what keeps it off is bus mastering."""
    run = begin(iommu=iommu, bystander=True,
                append="iommu.passthrough=1" + (f" liveupdate.break={law}" if law else ""))
    run.rest(STEADY_S)
    before = pci_command(machine, run.bystander["nic"])
    run.update(2)
    after = pci_command(machine, run.bystander["nic"])
    run.rest(AFTER_S)
    begun = jumped_us(run)
    run.stop()
    late = bystander_dmas(run, begun)
    machine.figures.update(tries=1, bystander_dmas_after=len(late),
                           outcome=f"{len(late)} DMAs in the next kernel, bus mastering is "
                           + ("on" if after & BUS_MASTER else "off"))
    must_see("the bystander be a bus master before the update", before & BUS_MASTER)
    if law:
        must_see("the bystander be a bus master in the next kernel", after & BUS_MASTER)
        return
    found = run.judge()
    if late or after & BUS_MASTER:
        found.append(f"a device that is not preserved may do DMA in the next kernel (PCI command {after:#x})")
    if found:
        raise Failed("; ".join(found))


@guarded
def unused(machine, begin, iommu, options, why):
    """
    The next kernel does not use the IOMMU, which is on: the devices are stopped before it is
    switched off. QEMU goes on remapping interrupts by the table of a unit that is off, so that
    this kernel hears nothing from its serial line: it is looked at from outside.
    To see it fail: without amd_liveupdate_unused() the unit stays on, and the devices go on.
    """
    run = begin(iommu=iommu)
    run.rest(STEADY_S)
    bdfs = [run.ready["nic"], run.ready["audio"]]
    masters = [pci_command(machine, bdf) & BUS_MASTER for bdf in bdfs]
    machine.send(f"update idle=1 next={options}")
    machine.wait("jump", timeout_s=60)
    deadline = time.monotonic() + machine.bound(60)
    while sum("Run /init" in line for _, line in run.clock.lines) < 2 and time.monotonic() < deadline:
        machine.check()
        time.sleep(0.1)
    left = [bdf for bdf in bdfs if pci_command(machine, bdf) & BUS_MASTER]
    machine.kill()
    said, log = machine.console(), machine.dma_log()
    machine.figures.update(tries=1, outcome="all are stopped, and then it is switched off", lost="not judged")
    must_see("the devices be bus masters before", all(masters))
    for bdf in bdfs:
        must_see(f"the reason in the log for {bdf}", re.search(rf"{re.escape(bdf)}: liveupdate: not taken over, bus mastering is off: {why}", said))
    must_see("the IOMMU be switched off", log.switched_off)
    if left:
        raise Failed(f"{' and '.join(left)} still a bus master")


# -- law 4: what hardware can still reach ----------------------------------

@guarded
def given_back(machine, begin, iommu, law="", in_use=False):
    """
    A page is not in the new HWPT: not one DMA may land there once the replace has returned. in_use: it is
    one that the device has just used, alone, so that QEMU has its translation cached; else one that comes next.
    """
    name = "audio" if in_use else "nic"
    run = begin(iommu=iommu, nic=not in_use, append=f"liveupdate.break={law}" if law else "")
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send("shrink in-use" if in_use else "shrink")
    done = machine.wait("shrunk", since=since)
    if not in_use:
        past(machine, done)
    run.rest(AFTER_S)
    run.stop()
    page = (IOVA_BASE + done["hole"]) & ~(PAGE - 1)
    sid = dmalog.source_id(run.ready[name])
    landed = run.log.covering(sid, page, done["host_real_ns"] // 1000)
    faults = [f for f in run.log.faults if f[1] == sid]
    machine.figures.update(tries=1, dmas_given_back=len(landed), iommu_faults=len(faults),
                           outcome=f"{len(landed)} DMAs to a page that was given back, {len(faults)} refused")
    if law:
        must_see("DMA to a page that was given back", landed)
        return
    if landed:
        raise Failed(f"{len(landed)} DMAs to a page that was given back")
    must_see(f"a fault of the {name} device", faults)
    for when, _, _, address, _ in faults:
        if when < run.steady[0][1] or address is not None and address & ~(PAGE - 1) != page:
            raise Failed(f"a fault at {address:#x}, but the page given back is {page:#x}")


def _cases():
    yield Case("refused-bridge", "a device behind a PCIe-to-PCI bridge",
               bind(refused_by_name, extra=BEHIND_BRIDGE,
                    tries=[("8086:2668", "preserve", OPERATION, "shares its IOMMU group|requester id")]),
               fault="preserve of a device behind a PCIe-to-PCI bridge")
    yield Case("refused-sriov", "a virtual function of vfio-pci's, whose physical one is not preserved",
               bind(refused_by_name, extra=SECOND_IGB, append="vfio_pci.enable_sriov=1",
                    tries=[("8086:10c9 1 vf=8086:10ca", "preserve", errno.ENOENT, "preserve its physical function first")]),
               fault="preserve of a VF of vfio-pci's, whose PF is not preserved")
    yield Case("refused-rmrr", "devices whose firmware needs a 1:1 mapping (RMRR)",
               bind(refused_by_name, extra=WITH_RMRR, files={"/kernel/firmware/acpi/DMAR.aml": dmar(0x9, 0xa)},
                    tries=[("1b36:000d", "preserve", OPERATION, "RMRR"),
                           ("8086:2668", "bind", errno.EINVAL, "1:1 IOMMU mapping")]),
               fault="preserve of a device with an RMRR")
    for mode, iommu in (("legacy", "vtd-legacy"), ("scalable", "vtd-scalable"), ("amd", "amd")):
        for law in ("master", "scrub"):
            yield Case(f"{mode}-bystander-{law}", "a device that is not preserved is blocked by "
                       + ("the IOMMU alone" if law == "master" else "bus mastering alone"),
                       bind(one_of_two, iommu=iommu, law=law), kernel="lab",
                       fault="a device that is not preserved goes on, "
                       + ("its bus mastering left on" if law == "master" else "its IOMMU entry left in place"))
        yield Case(f"{mode}-bystander-free", "negative: a device that is not preserved is not blocked at all",
                   bind(none_of_two, iommu=iommu), kernel="lab")
    yield Case("amd-off", "the next kernel has AMD-Vi off",
               bind(unused, iommu="amd", options="amd_iommu=off", why="this kernel does not use the IOMMU; see amd_iommu=off"),
               fault="the next kernel has the IOMMU off")
    # In scalable mode QEMU does not notice that a device leaves the identity, and there is no DMA at all.
    yield Case("legacy-bystander-passthrough", "a device that is not preserved is blocked, iommu.passthrough=1",
               bind(passthrough, iommu="vtd-legacy"), fault="a device that is not preserved goes on, iommu.passthrough=1")
    yield Case("legacy-bystander-passthrough-master",
               "negative: with iommu.passthrough=1 nothing but bus mastering blocks it",
               bind(passthrough, iommu="vtd-legacy", law="master"), kernel="lab")
    for mode, iommu in (("legacy", "vtd-legacy"), ("scalable", "vtd-scalable"), ("amd", "amd")):
        yield Case(f"{mode}-given-back", "no DMA to a page that the new HWPT does not have",
                   bind(given_back, iommu=iommu), fault="a page taken away under DMA by a replace")
    # In scalable mode QEMU keeps no entry of the PASID table that could be stale.
    yield Case("legacy-given-back-early", "negative: a HWPT given up before hardware has left it",
               bind(given_back, iommu="vtd-legacy", law="free"), kernel="lab")
    # QEMU's amd-iommu reads the device table entry each time, and caches single translations.
    yield Case("amd-given-back-in-use", "no DMA to a page that the new HWPT does not have, and that was in use",
               bind(given_back, iommu="amd", in_use=True), fault="a page in use taken away under DMA by a replace")
    yield Case("amd-given-back-early", "negative: a HWPT given up before hardware has left it, AMD-Vi",
               bind(given_back, iommu="amd", law="free", in_use=True), kernel="lab")


CASES = list(_cases())
