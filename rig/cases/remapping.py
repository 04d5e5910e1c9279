# SPDX-License-Identifier: GPL-2.0-only
"""
Interrupt remapping all through an update: a device whose DMA goes to the interrupt
address range, because its user said so, raises nothing in either kernel.

Each frame that the network device receives ends with four bytes that go to 0xfeeff030: a
request in the remappable format, for entry 32641 of the table, which is not in use. Without
remapping it goes to all CPUs, and the four bytes say vector, delivery mode and all. QEMU
reports each request with its data, so it is known that none is missing from the report.

The audio device cannot do it: QEMU 11 lets it write to memory only, and drops what it
writes to an interrupt address ("Invalid access to non-RAM device", with -d invalid_mem).

Two things that hardware does are not shown, because QEMU 10 and 11 do not do them: to refuse
requests in the compatibility format while remapping is on, and to check whether an entry
is for the device that wrote (QEMU knows the source of a device's own MSI only).

With AMD-Vi the four bytes say which entry is meant, of the table that the device table entry
of the source leads to. What the device writes is looked up as if the IO-APIC had. The case
judges requests for entries that the IO-APIC does not use, and between the kernels all of them:
the entry has to abort them there.
"""

import re
import time

from rig.lib.case import Case
from rig.lib.iommu import NAMED
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, guarded, must_see
from rig.referee import frames, trace

ADDRESS = 0xfeeff030                           # as in rig/guest/devices/igb.c


def traced(iommu):
    """QEMU's arguments."""
    return [a for event in NAMED[iommu].referee.INTERRUPTS for a in ("-trace", f"enable={event}")]


class Requests:
    """What QEMU's interrupt remapping says: when it was off, what was asked for, what went through."""

    def __init__(self, path, referee):
        self.off, self.tried = [], []
        self.through = []                       # (time, data)
        self.messages = []                      # the data of those asked for
        self.aborted, self.looked_up = [], []   # by what the entry says of all requests, where that is reported
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                t, event, values = trace.parse(line) or (0, "", "")
                got = referee.interrupt(event, values)
                if got == ("off",):
                    self.off.append(t)
                elif got and got[0] == "control":
                    (self.looked_up if got[1] else self.aborted).append(t)
                elif got and got[:2] == ("asked", ADDRESS):
                    self.tried.append(t)
                    self.messages.append(got[2])
                elif got and got[:2] == ("through", ADDRESS):
                    self.through.append((t, got[2]))

    def devices(self, referee):
        """When the device's own went through."""
        return [t for t, data in self.through if not referee.not_the_devices(data)]


def within(times, windows):
    return sum(begin <= t <= end for t in times for begin, end in windows)


def jumps(run):
    """[(begin, end)] from the last word of each kernel to the first one of the next, wall clock in us."""
    offset = time.time_ns() - time.monotonic_ns()
    said = {what: [(t + offset) // 1000 for t, line in run.clock.lines if what in line]
            for what in ("Starting new kernel", "Linux version")}
    return list(zip(said["Starting new kernel"], said["Linux version"][1:]))


@guarded
def attack(machine, begin, iommu):
    """Seen to fail: remapping-off, where remapping is off between the kernels."""
    run = begin(iommu=iommu, messages=True, append="rig.updates=2", extra=traced(iommu))
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    run.update(3)
    run.rest(AFTER_S)
    run.stop()
    requests = Requests(machine.path("trace.log"), machine.iommu.referee)
    since = run.ready["host_real_ns"] // 1000
    figures = machine.figures
    figures["requests"] = len(requests.tried)
    figures["requests_in_updates"] = figures["tries"] = within(requests.tried, run.updates)
    through = requests.devices(machine.iommu.referee)
    figures["requests_through"] = len(through)
    figures["remapping_off"] = within(requests.off, [(since, run.end)])
    # What QEMU says of a refused one is as it has to be.
    refused = machine.iommu.referee.NO_INTERRUPT
    expected = re.compile("QEMU complains about the IOMMU: .*" + re.escape(refused))
    found = [text for text in run.judge() if not expected.match(text)]
    with open(machine.path("qemu.log"), encoding="utf-8", errors="replace") as f:
        found += [f"QEMU: {line.strip()}" for line in f if machine.iommu.referee.COMPLAINT in line and refused not in line]
    if figures["remapping_off"]:
        found.append(f"interrupt remapping was switched off {figures['remapping_off']} times")
    if through:
        found.append(f"{len(through)} interrupt requests went through")
    if requests.aborted:
        # Others have entries that are in use, but none from the end of one kernel's shutdown on until
        # the next kernel has set some up, which is after its first word.
        windows = [(min([t for t in requests.aborted if begin < t < end], default=begin), end) for begin, end in jumps(run)]
        figures["requests_aborted_in_jumps"] = [within(requests.aborted, [window]) for window in windows]
        looked_up = within(requests.looked_up, windows) + within([t for t, _ in requests.through], windows)
        if looked_up or min(figures["requests_aborted_in_jumps"]) < 10:
            found.append(f"{looked_up} interrupt requests were looked up in the jumps, "
                         f"{figures['requests_aborted_in_jumps']} aborted")
    if requests.messages != [frames.message(seq) for seq in range(figures["frames_sent"])]:
        found.append(f"the {len(requests.tried)} requests that QEMU reports are not those of the {figures['frames_sent']} frames")
    if figures["requests_in_updates"] < 100:
        found.append(f"only {figures['requests_in_updates']} requests during the updates: nothing was shown")
    # "No irq handler" may be said once in a boot: what the first CPU had accepted when the kernel
    # before stopped listening, here the fault event. No vector is in use then.
    boots = machine.console().split("Linux version")[1:]
    figures["unexpected_interrupts"] = [boot.count("No irq handler") for boot in boots]
    if max(figures["unexpected_interrupts"]) > 1 or "NMI received" in machine.console():
        found.append("the kernel got interrupts that nobody sent")
    figures["outcome"] = f"{figures['requests_through']} of {figures['requests']} interrupt requests went through"
    if found:
        raise Failed("; ".join(found))


@guarded
def unremapped(machine, begin, iommu):
    """The same with remapping off between the kernels: requests go through, to all CPUs. What becomes of the
    next kernel then is not judged."""
    run = begin(iommu=iommu, messages=True, append="liveupdate.break=remap", extra=traced(iommu))
    run.rest(1)
    machine.expected.append("")
    figures, comes = machine.figures, "boots"
    try:
        run.update(2)
    except Failed as error:
        figures["update"], comes = str(error), "does not come up"
    requests = Requests(machine.path("trace.log"), machine.iommu.referee)
    since = run.ready["host_real_ns"] // 1000
    off = [t for t in requests.off if t >= since]
    figures["tries"] = 1
    through = requests.devices(machine.iommu.referee)
    figures["requests_through"] = len(through)
    figures["lost"] = "not judged"
    figures["outcome"] = f"found: interrupt requests went through; the next kernel {comes}"
    must_see("an interrupt request that went through", through)
    if machine.iommu.referee.INTERRUPTS_OFF:
        must_see("interrupt remapping switched off", off)
        must_see("that requests were refused until then", requests.tried[0] < off[0] <= through[0])
    else:
        must_see("that requests were refused until then", requests.tried[0] < through[0])


CASES = [
    *(Case(f"remapping-{mode}", f"a device asks for interrupts all through two updates, {mode} mode",
           bind(attack, iommu=f"vtd-{mode}"), fault="a preserved device writes to the interrupt address range")
      for mode in ("legacy", "scalable")),
    Case("remapping-off", "negative: the same, and interrupt remapping is off between the kernels",
         bind(unremapped, iommu="vtd-scalable"), kernel="lab", fault="the same, and interrupt remapping is off over the jump"),
]
