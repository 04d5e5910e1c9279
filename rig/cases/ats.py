# SPDX-License-Identifier: GPL-2.0-only
"""
Devices that can do ATS. One is preserved only if its ATS is off, which pci=noats sees to.
The next kernel begins without this parameter, and knows ATS again.

QEMU's trace of the writes to configuration space says of which devices a kernel switched
ATS on. One device is preserved; the other one, of the same kind, is not.
"""

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import must_see
from rig.referee import config

# Of QEMU's virtio devices without AER; PCI Express Base Specification, "ATS Control Register"
ATS_CONTROL, ATS_ON = 0x106, 0x8000
PORTS = ("0000:00:08.0", "0000:00:09.0")
DEVICES = [argument for i, port in enumerate(PORTS, 1) for argument in (
    "-device", f"pcie-root-port,id=rp{i},io-reserve=0,hotplug=off,chassis={i},slot={i},addr={port[8:10]}.0",
    "-device", f"virtio-rng-pci,bus=rp{i},ats=on,iommu_platform=on,disable-legacy=on")]


def begin(machine):
    """The addresses of the device that is to be preserved, and of the other one."""
    # The first one that is found is taken.
    machine.start(iommu="vtd-scalable", ats=True, devices=DEVICES, append="rig.many=1", first="pci=noats")
    machine.wait("many", timeout_s=60, devices=1)
    machine.trace(config.EVENT)
    out = []
    for port in PORTS:
        since = len(machine.events)
        machine.send(f"read /sys/bus/pci/devices/{port}/secondary_bus_number")
        out.append(f"0000:{int(bytes.fromhex(machine.wait('read', since=since)['hex'])):02x}:00.0")
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


CASES = [
    Case("ats-stays-off", "ATS of a device that came running", stays_off,
         fault="the next kernel knows ATS, the one before did not"),
    Case("ats-refused", "a refused device with ATS is reset when all IOMMUs know their devices", refused,
         fault="a device with ATS is refused by the next kernel"),
]
