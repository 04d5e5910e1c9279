# SPDX-License-Identifier: GPL-2.0-only
"""
Devices that can do ATS: with it on, one is preserved, and goes on with what it has cached.

Frames are written by a device outside of QEMU (rig/referee/vhost.py), which has a cache of
translations. It is told to forget them by nothing but the invalidation of its device-TLB, and
counts these. QEMU's trace of the invalidation queue says in which order the others come, and
the one of the writes to configuration space says who touched the ATS capability.

With pci=noats in the first kernel a device's ATS is off; the next kernel, which knows ATS, leaves
it so. With it in the next kernel the device is refused.
"""

import errno
import functools
import re
import time

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import must_see
from rig.referee import config, trace, vhost

# Of QEMU's virtio devices without AER; PCI Express Base Specification, "ATS Control Register"
ATS_CONTROL, ATS_ON = 0x106, 0x8000
PORTS = ("0000:00:08.0", "0000:00:09.0")
DEVICES = [argument for i, port in enumerate(PORTS, 1) for argument in (
    "-device", f"pcie-root-port,id=rp{i},io-reserve=0,hotplug=off,chassis={i},slot={i},addr={port[8:10]}.0",
    "-device", f"virtio-rng-pci,bus=rp{i},ats=on,iommu_platform=on,disable-legacy=on")]


INVALIDATION = "vtd_inv_desc"           # with its kind
KIND = re.compile(r"invalidate desc type (\S+)")
FRAMES_PER_S = 30                       # 1024 buffers have to last for an update
SOME = 40                               # frames before and after


def network(memory):
    """QEMU's arguments: the device, and memory that another process can share."""
    return ["-object", f"memory-backend-memfd,id=ram,size={memory},share=on", "-machine", "memory-backend=ram",
            "-chardev", "socket,id=device,path=device.sock", "-netdev", "vhost-user,id=net,chardev=device",
            "-device", "pcie-root-port,id=rp1,io-reserve=0,hotplug=off,chassis=1,slot=1,addr=8.0",
            "-device", "virtio-net-pci,netdev=net,bus=rp1,ats=on,iommu_platform=on,disable-legacy=on,romfile=,rx_queue_size=1024"]


def with_device(run):
    """run(machine, backend), with the process there from before QEMU is started until it has ended."""
    @functools.wraps(run)
    def wrapped(machine, **arguments):
        backend = vhost.Backend(machine.folder, FRAMES_PER_S)
        try:
            run(machine, backend, **arguments)
        finally:
            machine.close()
            backend.close()
    return lambda **arguments: functools.partial(wrapped, **arguments)


def start(machine, iommu, append="", first=""):
    memory = "3G" if machine.slow != 1 else "2G"
    machine.start(iommu=iommu, ats=True, memory=memory, devices=network(memory), append=f"rig.ats=1 {append}".strip(), first=first)
    machine.trace(config.EVENT)
    machine.trace(INVALIDATION)
    bdf = machine.wait("ats", timeout_s=60)["bdf"]
    come(machine, SOME)
    return bdf


def report(machine):
    since = len(machine.events)
    machine.send("report")
    return machine.wait("ats_report", since=since)


def come(machine, frames):
    """So many frames more have come."""
    had = report(machine)["received"]
    while True:
        machine.check()
        now = report(machine)
        if now["received"] + now["bad"] >= had + frames:
            return now
        time.sleep(0.1)


def jump(machine, said="rebuilt"):
    """Update, up to what the guest says when it is done, or when it cannot be done."""
    since = len(machine.events)
    machine.send("update")
    return machine.wait(said, since=since, timeout_s=60)


def step(machine, backend, what):
    """One step of the guest's; what the device was told to forget in it."""
    had, since = len(backend.said("forget")), len(machine.events)
    machine.send(f"ats {what}")
    machine.wait("ats_did", since=since, what=what)
    return backend.said("forget")[had:]


def invalidations(machine):
    """The kinds of all descriptors that QEMU took from the queue, in their order."""
    out = []
    with open(machine.path("trace.log"), encoding="utf-8", errors="replace") as f:
        for line in f:
            event = trace.parse(line)
            found = event and event[1] == INVALIDATION and KIND.match(event[2])
            if found:
                out.append(found[1])
    return out


def in_order(kinds):
    """A device asks anew for what it was told to forget: the IOTLB has to have forgotten it before."""
    cached = [kind for kind in kinds if kind != "wait"]
    wrong = [before for before, kind in zip(cached, cached[1:]) if kind == "device" and before not in ("iotlb", "device")]
    if wrong:
        raise Failed(f"the device-TLB was invalidated {len(wrong)} times before the IOTLB, after {wrong[0]}")


def judge(machine, backend, sent):
    """Each frame that the device wrote is there, as it was, and none is where nothing may be."""
    end = report(machine)
    crcs = sum(vhost.frame(seq)[1] for seq in range(end["seq"])) & (1 << 64) - 1
    machine.figures.update(frames_sent=sent["sent"], frames_received=end["received"], frames_lost=sent["sent"] - end["received"],
                           bytes_astray=end["changed"], translations=sent["misses"], invalidations=sent["invalidations"])
    if sent["dropped"] or sent["refused"]:
        raise Failed(f"{sent['dropped']} frames found no buffer, {sent['refused']} translations were refused")
    if end["changed"] or end["bad"]:
        raise Failed(f"{end['bad']} frames are not where they belong, {end['changed']} bytes of memory were changed that was given back")
    if end["received"] != sent["sent"] or end["lost"] or end["crc_sum"] != crcs:
        raise Failed(f"{end['received']} frames of {sent['sent']} were received")
    return end


@with_device
def goes_on(machine, backend, iommu, updates=2, move=False, law=""):
    """
    ATS stays on over the jump, and no frame is lost. Nothing is invalidated from the jump
    until the HWPT is replaced; then the whole device-TLB is, after the others, and so it is for
    what is unmapped later. With move the frames are in other memory from then on.

    Seen to fail: with liveupdate.break=devtlb, see ats-stale-….
    """
    bdf = start(machine, iommu, " ".join([f"rig.updates={updates}", *["rig.ats_move=1"] * move, *[f"liveupdate.break={law}"] * bool(law)]))
    forgot = {"replace": 0, "finish": 0, "unmap": 0}
    for _ in range(updates):
        before = touched(machine, bdf), backend.said("forget")
        jump(machine)
        come(machine, SOME)
        if backend.said("forget") != before[1]:
            raise Failed("the device-TLB was invalidated with nothing changed")
        for what in ("replace", "finish"):
            told = len(step(machine, backend, what))
            forgot[what] += told
            if what == "replace" and not told and not law:
                raise Failed("the device-TLB was not invalidated at a replace")
            come(machine, SOME)
        if touched(machine, bdf) != before[0]:
            raise Failed("the ATS capability was written")
    forgot["unmap"] += len(step(machine, backend, "unmap"))
    machine.figures["device_tlb_invalidations"] = forgot
    if not forgot["unmap"]:
        raise Failed(f"the device-TLB was not invalidated: {forgot}")
    sent = backend.stop()
    judge(machine, backend, sent)
    kinds = invalidations(machine)
    must_see("descriptors for the device-TLB", "device" in kinds)
    in_order(kinds)
    machine.figures["descriptors"] = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    machine.send("off")
    machine.finish()
    machine.figures["outcome"] = "goes on with ATS; the device forgets what is replaced and unmapped"


def touched(machine, bdf):
    """What was written to the ATS control register."""
    with open(machine.path("trace.log"), encoding="utf-8", errors="replace") as f:
        return [hex(value) for where, offset, value in config.writes(f) if f"0000:{where}" == bdf and offset == ATS_CONTROL]


def begin(machine, more=""):
    """
    The addresses of the device that is to be preserved, and of the other one. They have no ATS
    because the first kernel has pci=noats, or because of @more, which is their property.
    """
    # The first one that is found is taken.
    machine.start(iommu="vtd-scalable", ats=True, devices=[device + more * device.startswith("virtio") for device in DEVICES],
                  append="rig.many=1", first="" if more else "pci=noats")
    machine.wait("many", timeout_s=60, devices=1)
    machine.trace(config.EVENT)
    out = []
    for port in PORTS:
        out.append(f"0000:{int(machine.read(f'/sys/bus/pci/devices/{port}/secondary_bus_number')):02x}:00.0")
    return out


def switched_on(machine):
    """The devices whose ATS a kernel switched on."""
    with open(machine.path("trace.log"), encoding="utf-8", errors="replace") as f:
        return {f"0000:{bdf}" for bdf, offset, value in config.writes(f) if offset == ATS_CONTROL and value & ATS_ON}


def stays_off(machine):
    """The next kernel switches ATS on for the other device, and not for the one that came running.

    Seen to fail: without intel_liveupdate_as_found() in intel_iommu_probe_device().
    """
    preserved, other = begin(machine)
    since = len(machine.events)
    machine.send("update")
    machine.wait("resumed", since=since, timeout_s=60, devices=1)
    machine.send("off")
    machine.finish()
    on = switched_on(machine)
    machine.figures.update(tries=1, outcome="its ATS stays off, that of other devices is switched on")
    must_see(f"{preserved} be handed over", f"{preserved}: liveupdate: finished" in machine.console())
    must_see(f"ATS of {other}", other in on)
    if preserved in on:
        raise Failed(f"ATS of {preserved} was switched on while it was running")


def refused(machine):
    """The next kernel has the IOMMU in another mode, and refuses the device: it is reset when the
    IOMMU code knows all devices. The kernel must not warn.

    Seen to fail: with the reset queued on system_dfl_wq in pci_liveupdate_stop(), without asking
    pci_liveupdate_booted. The IOMMU code then comes to know the device during the reset, and
    pci_dev_reset_iommu_done() warns. PCI Express gives a device 100 ms for a reset, which is
    long enough for that.
    """
    preserved = begin(machine)[0]
    since = len(machine.events)
    machine.send("update idle=1 next=intel_iommu=sm_off")
    machine.wait("idle", since=since, timeout_s=60)
    machine.send("off")
    machine.finish()
    machine.figures.update(tries=1, outcome="stopped; reset at the end of the boot")
    for line in ("this kernel uses another mode", f"{preserved}: liveupdate: was reset"):
        if line not in machine.console():
            raise Failed(f"the log does not say '{line}'")


@with_device
def removed(machine, backend, iommu):
    """
    An operator takes the device away that nobody came for: it is stopped, the IOMMU is told to
    have it forget what it has cached, and its ATS is switched off. When it is found again its ATS
    is set up as that of any other device.
    """
    bdf = start(machine, iommu)
    since = len(machine.events)
    machine.send("update idle=1")
    machine.wait("idle", since=since, timeout_s=60)
    had = len(touched(machine, bdf)), invalidations(machine).count("device"), len(backend.said("stopped"))
    machine.send(f"unplug {bdf}")
    machine.wait("unplugged", since=since)
    # The device itself does not hear of it: it has no connection to the machine any more.
    must_see("the device be stopped", len(backend.said("stopped")) > had[2])
    if invalidations(machine).count("device") == had[1]:
        raise Failed("its device-TLB was not invalidated")
    removed_at = len(touched(machine, bdf))
    if touched(machine, bdf)[had[0]:] != ["0x0"]:
        raise Failed(f"its ATS was set to {touched(machine, bdf)[had[0]:]} when it was removed")
    machine.put("/sys/bus/pci/rescan", 1)
    machine.send("off")
    machine.finish()
    machine.figures.update(tries=1, outcome="stopped, told to forget, its ATS off; found again, it is set up anew")
    if not any(int(value, 16) & ATS_ON for value in touched(machine, bdf)[removed_at:]):
        raise Failed("its ATS was not switched on again")


def unaligned(machine):
    """
    A device whose requests are not aligned to pages does not get ATS, and its entry allows it
    all the same. It stays so.
    """
    preserved = begin(machine, ",x-ats-page-aligned=off")[0]
    since = len(machine.events)
    machine.send("update")
    machine.wait("resumed", since=since, timeout_s=60, devices=1)
    machine.send("off")
    machine.finish()
    must_see(f"{preserved} be handed over", f"{preserved}: liveupdate: finished" in machine.console())
    if switched_on(machine):
        raise Failed(f"ATS of {switched_on(machine)} was switched on")


def stale(machine, iommu):
    """The device is not told to forget, and goes on writing to memory that was given back: found."""
    try:
        MOVED(iommu=iommu, law="devtlb")(machine)
    except Failed:
        if not machine.figures.get("bytes_astray"):
            raise
        machine.figures.update(lost="not to be told", outcome="found: the device writes to memory that was given back")
        return
    raise Failed("the device forgets what nobody told it to forget")


@with_device
def not_taken(machine, backend, iommu, line="", jumps=True, handed=""):
    """
    The next kernel cannot go on with ATS, by its command line or by the handover formats that
    it reads: refused by name; before the jump if that is known there.
    """
    bdf = start(machine, iommu)
    since = len(machine.events)
    if jumps:
        machine.send(f"update idle=1 next={line}")
        machine.wait("idle", since=since, timeout_s=60)
    else:
        machine.send("update")
        answer = machine.wait("stays", since=since)
        if answer["errno"] != errno.ENOEXEC:
            raise Failed(f"reboot(2): errno {answer['errno']}, expected ENOEXEC")
        come(machine, SOME)
    sent = backend.stop()
    if not jumps:
        judge(machine, backend, sent)
    machine.send("off")
    machine.finish()
    must_see(handed, handed in machine.console())
    if jumps:
        must_see(f"a reset of {bdf}", f"{bdf}: liveupdate: was reset" in machine.console())
    machine.figures.update(tries=1, outcome="the next kernel stops and resets it, and says why" if jumps else
                           "reboot(2): ENOEXEC, the log names the format; DMA goes on")


MOVED = functools.partial(goes_on, updates=1, move=True)

CASES = [
    *(Case(f"ats-{mode}", f"a device with ATS on, {mode} mode", goes_on(iommu=f"vtd-{mode}")) for mode in ("legacy", "scalable")),
    *(Case(f"ats-moved-{mode}", f"a device with ATS on gets other memory, {mode} mode", MOVED(iommu=f"vtd-{mode}"))
      for mode in ("legacy", "scalable")),
    *(Case(f"ats-stale-{mode}", f"negative: its device-TLB is not invalidated, {mode} mode", functools.partial(stale, iommu=f"vtd-{mode}"),
           kernel="lab", fault="the device-TLB is not invalidated when the HWPT is replaced") for mode in ("legacy", "scalable")),
    Case("ats-removed", "a device with ATS on is removed before anybody has come for it", removed(iommu="vtd-scalable"),
         fault="a device with ATS is removed while it is incoming"),
    Case("ats-unaligned", "a device that may use ATS, and does not", unaligned),
    Case("ats-noats", "a device with ATS on, and the next kernel has pci=noats",
         not_taken(iommu="vtd-scalable", line="pci=noats", handed="it may use ATS, which is off in this kernel; see pci=noats"),
         fault="the next kernel has pci=noats, the one before used ATS"),
    Case("ats-other-mode", "a device with ATS on, and the next kernel refuses it for another reason",
         not_taken(iommu="vtd-scalable", line="intel_iommu=sm_off", handed="this kernel uses another mode"),
         fault="a device with ATS on is refused by the next kernel"),
    Case("ats-older", "a device with ATS on, and the next kernel reads older formats only",
         not_taken(iommu="vtd-scalable", jumps=False, handed="does not read the handover format"), next_kernel="prev",
         fault="the next kernel does not know of devices with ATS"),
    Case("ats-stays-off", "ATS of a device that came running", stays_off,
         fault="the next kernel knows ATS, the one before did not"),
    Case("ats-refused", "a refused device with ATS is reset when all IOMMUs know their devices", refused,
         fault="a device with ATS is refused by the next kernel"),
]
