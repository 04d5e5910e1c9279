# SPDX-License-Identifier: GPL-2.0-only
"""
A kernel with what distributions have on (kernel/config/host.config): runtime power
management, hotplug, AER, VFIO as modules. What it does by itself, and to other devices and
to the bridges above, must not reach a preserved device.
"""

import re
import time

from rig.cases.frozen import PORT, bus_resets
from rig.cases.uncooperative import killed, resume
from rig.cases.update import update
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, errno_name, guarded, must_see, wall_us
from rig.referee import config

OTHER_PORT = "0000:00:09.0"
# Behind a port of its own: what comes and goes.
OTHER = ("-device", "pcie-root-port,id=rp9,chassis=9,slot=9,addr=9.0")
# The kernel lets no port sleep that ACPI does the hotplug of, and none without a device.
CAN_SLEEP = ("-global", "pcie-root-port.hotplug=off", *OTHER, "-device", "e1000e,bus=rp9,romfile=")
DEVICES = "/sys/bus/pci/devices"
HOTPLUG_S = 30
# Hotplug by the port itself, not by ACPI.
ECAM, PORT_EXPRESS, SLOT_CONTROL = 0xb0000000, 0x54, 0x18
NATIVE = ("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")


def read(run, path):
    """The first line of a file in the guest, or None if there is no such file."""
    return run.machine.read(path)


def write(run, path, text):
    """The errno of a write, or None."""
    return run.machine.write(path, text)


def until(what, condition):
    deadline = time.monotonic() + HOTPLUG_S
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {HOTPLUG_S} s")
        time.sleep(0.2)


def power_light(run, port):
    """"on", "blinks" or "off": the power indicator of a port. PCI Express Base Specification, "Slot
    Control Register", as the guest's CPU reads it, from QEMU's place for a port's capability."""
    at = ECAM + (int(port[8:10], 16) << 15) + PORT_EXPRESS + SLOT_CONTROL
    said = run.machine.qmp("human-monitor-command", **{"command-line": f"xp /1hx {at:#x}"})
    return ("?", "on", "blinks", "off")[int(said.split(":")[1], 16) >> 8 & 3]


def plug_and_unplug(run, native=False):
    """Another device comes, and goes. native: by the port, whose light blinks until it has done it;
    QEMU takes no order before."""
    def settled(light):
        if native:
            until(f"the power indicator {light}", lambda: power_light(run, OTHER_PORT) == light)

    bus = int(read(run, f"{DEVICES}/{OTHER_PORT}/secondary_bus_number"))
    vendor = f"{DEVICES}/0000:{bus:02x}:00.0/vendor"
    run.machine.qmp("device_add", driver="virtio-net-pci", id="hot", bus="rp9", romfile="")
    until("a device that was plugged in", lambda: read(run, vendor) == "0x1af4")
    settled("on")
    run.machine.qmp("device_del", id="hot")
    until("a device that was unplugged", lambda: read(run, vendor) is None)
    settled("off")
    run.machine.figures["tries"] = run.machine.figures.get("tries", 0) + 1


def idle_update(run, preserved):
    """Jump into a kernel in which nobody resumes for the time being; preserved() is called before it."""
    machine, since = run.machine, len(run.machine.events)
    machine.send("preserve idle=1")
    machine.wait("preserved", since=since)
    preserved()
    run.idle_since, run.idle_begin = len(machine.events), wall_us()
    machine.send("jump")
    run.jump = machine.wait("jump", since=run.idle_since)
    machine.wait("idle", since=run.idle_since, timeout_s=60)


def judge(run, *more):
    found = run.judge() + [text for text in more if text]
    run.draw()
    if found:
        raise Failed("; ".join(found))


@guarded
def hotplug(machine, begin, native=False):
    """Another device comes and goes, below a port of its own: before the preserved one is preserved,
    before the jump, before it is retrieved, and when it is finished. Not while it is taken over.

    By ACPI, which QEMU's machine has by default, or by the port itself, with the kernel's driver for
    ports (pciehp): in both kernels that has the port above the preserved device, too. No change of
    ours is known without which it fails.
    """
    run = begin(iommu="vtd-scalable", behind="port", extra=OTHER + NATIVE * native, limit_s=240)
    run.rest(STEADY_S)
    plug_and_unplug(run, native)
    idle_update(run, lambda: plug_and_unplug(run, native))
    plug_and_unplug(run, native)
    resume(run)
    plug_and_unplug(run, native)
    run.rest(AFTER_S)
    run.stop()
    machine.figures["outcome"] = "it comes and goes; DMA of the preserved device goes on"
    for port in (PORT, OTHER_PORT):
        found = len(re.findall(f"{port}: pciehp: Slot #", machine.console()))
        if found != 2 * native:
            raise Failed(f"the kernels' pciehp has found {port} {found} times, not {2 * native} times")
    judge(run)


def inject(machine, port, error):
    """An error that the port itself reports: PCI Express Base Specification 6.2."""
    said = machine.qmp("human-monitor-command", **{"command-line": f"pcie_aer_inject_error {port} {error}"})
    if not said.startswith("OK"):
        raise Failed(f"QEMU did not inject the error: {said.strip()}")


# Of each severity: what the log has to say of recovery, before the jump and after it, when
# there is no driver yet that could be asked.
BEFORE = {"RCVR": "severity=Correctable", "COMP_TIME": "AER: device recovery successful"}
AFTER = {"RCVR": "severity=Correctable", "COMP_TIME": "AER: device recovery failed",
         "DLP": "AER: subordinate device reset failed"}


@guarded
def errors(machine, begin):
    """The port above the device reports errors. After a fatal one recovery resets the bus
    below, and must not while the device has not been taken over: the log says that it was
    refused, and QEMU's trace that it did not happen.

    Of AER. Not of DPC, which QEMU's ports do not have, and not of errors that the device reports.
    To see it fail: without pci_liveupdate_hold_reset() in pci_liveupdate_add() and without
    pci_liveupdate_reset_bus() in pci_bus_reset().
    """
    run = begin(iommu="vtd-scalable", behind="port", limit_s=240)
    said = []

    def report(errors):
        for error, line in errors.items():
            said.append(line)
            inject(machine, "rp", error)
            until(f"'{line}' in the log", lambda line=line: len(re.findall(f"{PORT}: .*{line}", machine.console())) >= said.count(line))

    run.rest(STEADY_S)
    machine.trace(config.EVENT)
    idle_update(run, lambda: report(BEFORE))
    report(AFTER)
    machine.trace(config.EVENT, False)
    resume(run)
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=len(said), outcome="the reset is refused; DMA goes on")
    judge(run, bus_resets(machine, PORT) and "the bus of the device was reset")


@guarded
def fatal(machine, begin):
    """A fatal error before the jump: recovery resets the bus below as ever, and there is no jump.
    In QEMU the link of a port of this speed does not come up again, so that recovery fails and
    gives the device up, which is why the jump is refused. A recovery that succeeds is not tried.

    To see it fail: without pci_liveupdate_check() in pci_liveupdate_freeze() the machine jumps.
    """
    run = begin(iommu="vtd-scalable", behind="port")
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send("preserve")
    machine.wait("preserved", since=since)
    machine.trace(config.EVENT)
    inject(machine, "rp", "DLP")
    until("the end of recovery", lambda: f"{PORT}: AER: device recovery" in machine.console())
    machine.send("jump")
    error = errno_name(machine.wait("stays", since=since)["errno"])
    machine.send("off")
    machine.finish()
    machine.figures.update(tries=1, outcome="its bus is reset, recovery fails, the jump is refused by name")
    if error != "ENODEV" or "cannot be preserved: it does not respond" not in machine.console():
        raise Failed(f"the jump was not refused by name: {error}")
    must_see("the bus of the device be reset", bus_resets(machine, PORT))


@guarded
def power(machine, begin):
    """Each device and port may sleep when nobody uses it: not the preserved one, and not the
    port above it. That they are in D0 is what the kernel says; that they work is judged by DMA.

    To see it fail: without pm_runtime_get_noresume() in pci_liveupdate_add() the port goes to
    sleep in the next kernel, as long as nobody has retrieved the device: it has no driver then,
    and so nothing else keeps it and the port awake. At all other times vfio-pci does, whose
    file is open; what pci_liveupdate_preserve() holds is not seen here.
    """
    run = begin(iommu="vtd-scalable", behind="port", extra=CAN_SLEEP, append="pcie_port_pm=force", limit_s=240)
    nic = run.ready["nic"]
    bus = int(read(run, f"{DEVICES}/{OTHER_PORT}/secondary_bus_number"))

    def let_all_sleep():
        for bdf in (nic, PORT, f"0000:{bus:02x}:00.0", OTHER_PORT):
            error = write(run, f"{DEVICES}/{bdf}/power/control", "auto")
            if error:
                raise Failed(f"power/control of {bdf}: {error}")
        # The other port shows that what nobody uses does go to sleep.
        until("the other port asleep", lambda: read(run, f"{DEVICES}/{OTHER_PORT}/power/runtime_status") == "suspended")
        for bdf in (nic, PORT):
            state = read(run, f"{DEVICES}/{bdf}/power_state")
            if state != "D0":
                raise Failed(f"{bdf} is in {state}")

    run.rest(STEADY_S)
    let_all_sleep()
    idle_update(run, let_all_sleep)
    let_all_sleep()
    resume(run)
    let_all_sleep()
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=4, outcome="the port that nobody uses sleeps, the one above the device does not")
    judge(run)


CASES = [
    Case("host-both", "live update, a distribution's options, scalable mode", bind(update, iommu="vtd-scalable"), kernel="host"),
    Case("host-legacy-both", "live update, a distribution's options, legacy mode", bind(update, iommu="vtd-legacy"), kernel="host"),
    Case("host-port", "live update behind a root port, a distribution's options",
         bind(update, iommu="vtd-scalable", behind="port", sound="port", updates=3), kernel="host"),
    Case("host-kill", "SIGKILL after each step in the next kernel, a distribution's options",
         bind(killed, iommu="vtd-scalable"), kernel="host", fault="process killed after each step, a distribution's options"),
    Case("host-hotplug", "another device comes and goes (ACPI) in each state of the preserved one",
         bind(hotplug), kernel="host", fault="another device is plugged in and out"),
    Case("host-hotplug-port", "another device comes and goes (pciehp) in each state of the preserved one",
         bind(hotplug, native=True), kernel="host", fault="another device is plugged in and out, by its port"),
    Case("host-errors", "the port above the device reports errors (AER)", bind(errors), kernel="host",
         fault="the port above the device reports errors"),
    Case("host-fatal", "the port above the device reports a fatal error before the jump", bind(fatal), kernel="host",
         fault="the port above the device reports a fatal error before the jump"),
    Case("host-power", "runtime power management of devices and ports", bind(power), kernel="host",
         fault="devices and ports may sleep"),
]
