# SPDX-License-Identifier: GPL-2.0-only
"""
User space that goes on after the freeze: reboot(2) shuts devices down while all other
processes run. Nothing that a process then does to a preserved device may reach the
device. QEMU's trace of the writes to its configuration space tells how the next kernel
finds it.

They have been seen to fail: in a kernel without the fence of the freeze (see
drivers/vfio/pci/vfio_pci_liveupdate_core.c) INTx, MSI or MSI-X is on in most jumps.
"""

import re
import time

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, FRAMES_PER_S, STEADY_S, bind, guarded, must_see
from rig.referee import config

IGB_MSI, IGB_MSIX = 0x50, 0x70  # capabilities of QEMU's igb
UPDATES, MANY = 5, 100
ONCE = 3
WAITS = "waits"                 # of a request: it has no answer before the jump
# Of a faster one the kernel waits for the link, which QEMU does not bring up after a reset.
SLOW_LINK = ("-global", "pcie-root-port.x-speed=5")
RESETTING_S = 1                 # so that there were resets before the update begins
PORT = "0000:00:08.0"           # above the device; see devices() in rig/lib/run.py
BUSY = 10                       # writes in each kernel, at least: its own alone are four


def judge_left(machine, run, updates):
    """How the kernels left the network device to each other."""
    with open(machine.path("trace.log"), encoding="utf-8", errors="replace") as f:
        lefts = config.left(f, run.ready["nic"], IGB_MSI, IGB_MSIX)
    if len(lefts) != updates:
        return [f"the trace has {len(lefts)} kernels that found the device, not {updates}"]
    must_see("the process change the device in each kernel", min(left.writes for left in lefts) >= BUSY)
    bad = {i: said for i, said in enumerate((left.wrong() for left in lefts), 1) if said}
    machine.figures["left_wrong"] = len(bad)
    return [f"update {i}: {', '.join(said)}" for i, said in list(bad.items())[:8]]


@guarded
def racing(machine, begin, what, updates, iommu="vtd-scalable"):
    """A process does it all the time; the device's DMA is judged as ever."""
    # The ring has to last for an update of a machine that is busy with this.
    run = begin(iommu=iommu, sound=False, append=f"rig.updates={updates}", rate=FRAMES_PER_S // 4,
                limit_s=60 + 60 * updates)
    run.rest(STEADY_S)
    machine.trace(config.EVENT)
    for stage in range(2, updates + 2):
        since = len(machine.events)
        machine.send(f"race {what}")
        machine.wait("racing", since=since)
        run.update(stage)
    machine.trace(config.EVENT, False)
    run.rest(AFTER_S)
    run.stop()
    found = judge_left(machine, run, updates) + run.judge()
    machine.figures.update(tries=updates, outcome="INTx, MSI and MSI-X are off at each jump, DMA goes on")
    if found:
        raise Failed("; ".join(found))


def bus_resets(machine, bridge):
    """How often the bus below a bridge was reset."""
    with open(machine.path("trace.log"), encoding="utf-8", errors="replace") as f:
        return sum(bdf == bridge[-7:] and offset == config.BRIDGE_CONTROL and bool(value & config.BUS_RESET)
                   for bdf, offset, value in config.writes(f))


@guarded
def resetting(machine, begin, updates, what="reset", slot=False, iommu="vtd-scalable", **options):
    """A process resets the device all the time, which ends its DMA; reboot(2) is tried until no
    reset is under way. The device arrives, and works when it is set up anew.

    To see frozen-bus-reset fail: without pci_liveupdate_hold_reset() in pci_liveupdate_hold()
    and without pci_liveupdate_reset_bus() in pci_try_reset_bus(). For frozen-hot-reset, and for
    frozen-slot-reset in pci_try_reset_slot(), also without pci_liveupdate_held() in
    vfio_pci_ioctl_pci_hot_reset(). With only one of them gone the others answer: the look under
    the locks alone is for a window of microseconds, which these cases do not hit for certain.
    """
    run = begin(iommu=iommu, sound=False, append=f"rig.updates={updates} rig.patient=1", limit_s=60 + 60 * updates, **options)
    if slot:
        must_see("a slot of the kernel's own below the port", f"{PORT}: pciehp: Slot #" in machine.console())
    machine.trace(config.EVENT)
    for stage in range(2, updates + 2):
        since = len(machine.events)
        machine.send(f"race {what}")
        machine.wait("racing", since=since)
        time.sleep(RESETTING_S)
        run.update(stage)
    machine.trace(config.EVENT, False)
    since = len(machine.events)
    machine.send("restart")
    machine.wait("restarted", since=since)
    time.sleep(1)
    since = len(machine.events)
    machine.send("report")
    landed = machine.wait("nic", since=since)["next"]
    machine.send("off")
    machine.finish()
    found = judge_left(machine, run, updates)
    if what != "reset":
        resets = bus_resets(machine, PORT)
        machine.figures["bus_resets"] = resets
        must_see("the bus be reset in each kernel", resets >= updates)
    machine.figures.update(tries=updates, frames_after=landed, outcome="the device arrives each time, and works")
    if not landed:
        found.append("no frame landed after the device was set up anew")
    if found:
        raise Failed("; ".join(found))


@guarded
def once(machine, begin, what, answer, append="", iommu="vtd-scalable"):
    """A process waits for the freeze, and then asks for what would take the device from its driver, or
    change what it is. The update is done all the same; the device's DMA is judged as ever. That it
    waits means that it was seen to sleep in its request, by another process, before the jump.

    From the freeze to the jump it takes some 10 ms: on a busy host the process does not always get a
    processor in that time. What it was told is judged each time, and that it was in time once.

    Seen to fail, unbind and remove without pci_liveupdate_keeps_driver() in __device_release_driver():
    the process has the device's lock and waits for its file to be closed, device_shutdown() waits
    for the lock, and the machine stands still. vfs without pci_liveupdate_held() in
    sriov_numvfs_store(): it is done, and the device stops.
    """
    run = begin(iommu=iommu, sound=False, append=f"rig.updates={ONCE} {append}".strip(), limit_s=60 + 60 * ONCE)
    run.rest(STEADY_S)
    for stage in range(2, ONCE + 2):
        since = len(machine.events)
        machine.send(f"race {what}")
        machine.wait("racing", since=since)
        run.update(stage)
    run.rest(AFTER_S)
    run.stop()
    found = run.judge()
    said = re.findall(rf"rig: {what} after the freeze: (.*?)\s*$", machine.console(), re.M)
    machine.figures.update(tries=said.count(answer), outcome=f"{'it ' * (answer == WAITS)}{answer}; DMA goes on")
    wrong = set(said) - {answer}
    if wrong:
        found.append(f"'{what}' after the freeze: {', '.join(sorted(wrong))}")
    if found:
        raise Failed("; ".join(found))
    must_see(f"the process ask for '{what}' between freeze and jump", said)


CASES = [
    *(Case(f"frozen-{what}{'-many' * many}", f"a process {does} all through {UPDATES if not many else MANY} updates",
           bind(racing, what=what, updates=MANY if many else UPDATES), soak=many,
           fault="" if many else f"a process {does} while the kernel is replaced")
      for many in (False, True)
      for what, does in (("interrupts", "connects and disconnects MSI-X"),
                         ("config", "writes to the configuration space"))),
    *(Case(f"frozen-reset{'-many' * many}", f"a process resets the device all through {UPDATES if not many else MANY} updates",
           bind(resetting, updates=MANY if many else UPDATES), soak=many,
           fault="" if many else "a process resets the device while the kernel is replaced")
      for many in (False, True)),
    *(Case(f"frozen-{what}", f"a process resets the device's bus {how} all through {UPDATES} updates",
           bind(resetting, updates=UPDATES, what=what, behind="port", extra=SLOW_LINK),
           fault=f"a process resets the bus {how} while the kernel is replaced")
      for what, how in (("hot-reset", "through VFIO"), ("bus-reset", "through its bridge"))),
    Case("frozen-slot-reset", f"a process resets the device's slot through VFIO all through {UPDATES} updates",
         bind(resetting, updates=UPDATES, what="hot-reset", slot=True, behind="port",
              extra=(*SLOW_LINK, "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")),
         kernel="host", fault="a process resets the slot through VFIO while the kernel is replaced"),
    Case("frozen-unbind", "a process takes the driver from the device after the freeze", bind(once, what="unbind", answer=WAITS),
         fault="the driver is taken from a device while the kernel is replaced"),
    Case("frozen-remove", "a process removes the device after the freeze", bind(once, what="remove", answer=WAITS),
         fault="a device is removed while the kernel is replaced"),
    Case("frozen-vfs", "a process enables virtual functions of the device after the freeze",
         bind(once, what="vfs", answer="Device or resource busy", append="vfio-pci.enable_sriov=1"),
         fault="virtual functions are enabled while the kernel is replaced"),
]
