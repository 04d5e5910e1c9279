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
"""

import re

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, guarded, must_see
from rig.referee import frames, trace

TRACE = ("-trace", "enable=vtd_ir_enable", "-trace", "enable=vtd_ir_remap_msi_req", "-trace", "enable=vtd_ir_remap_msi")
ADDRESS, ENTRY = 0xfeeff030, 32641             # as in rig/guest/devices/igb.c
TARGET = f"addr {ADDRESS:#x}"
REFUSED = f"vtd_irte_get: detected non-present IRTE (index={ENTRY},"


class Requests:
    """What QEMU's interrupt remapping says: when it was off, what was asked for, what went through."""

    def __init__(self, path):
        self.off, self.tried, self.through = [], [], []
        self.messages = []                      # the data of those asked for
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                t, event, values = trace.parse(line) or (0, "", "")
                if event == "vtd_ir_enable" and values.strip() == "enable 0":
                    self.off.append(t)
                elif event == "vtd_ir_remap_msi_req" and TARGET in values:
                    self.tried.append(t)
                    self.messages.append(int(values.split()[-1], 16))
                elif event == "vtd_ir_remap_msi" and TARGET in values:
                    self.through.append(t)


def within(times, windows):
    return sum(begin <= t <= end for t in times for begin, end in windows)


@guarded
def attack(machine, begin, iommu):
    """Seen to fail: remapping-off, where remapping is off between the kernels."""
    run = begin(iommu=iommu, messages=True, append="rig.updates=2", extra=TRACE)
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    run.update(3)
    run.rest(AFTER_S)
    run.stop()
    requests = Requests(machine.path("trace.log"))
    since = run.ready["host_real_ns"] // 1000
    figures = machine.figures
    figures["requests"] = len(requests.tried)
    figures["requests_in_updates"] = figures["tries"] = within(requests.tried, run.updates)
    figures["requests_through"] = len(requests.through)
    figures["remapping_off"] = within(requests.off, [(since, run.end)])
    # What QEMU says of a refused one is as it has to be.
    expected = re.compile("QEMU complains about the IOMMU: .*" + re.escape(REFUSED))
    found = [text for text in run.judge() if not expected.match(text)]
    with open(machine.path("qemu.log"), encoding="utf-8", errors="replace") as f:
        found += [f"QEMU: {line.strip()}" for line in f if "vtd_" in line and REFUSED not in line]
    if figures["remapping_off"]:
        found.append(f"interrupt remapping was switched off {figures['remapping_off']} times")
    if requests.through:
        found.append(f"{len(requests.through)} interrupt requests went through")
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
    run = begin(iommu=iommu, messages=True, append="liveupdate.break=remap", extra=TRACE)
    run.rest(1)
    machine.expected.append("")
    figures, comes = machine.figures, "boots"
    try:
        run.update(2)
    except Failed as error:
        figures["update"], comes = str(error), "does not come up"
    requests = Requests(machine.path("trace.log"))
    since = run.ready["host_real_ns"] // 1000
    off = [t for t in requests.off if t >= since]
    figures["tries"] = 1
    figures["requests_through"] = len(requests.through)
    figures["lost"] = "not judged"
    figures["outcome"] = f"found: interrupt requests went through; the next kernel {comes}"
    must_see("interrupt remapping switched off", off)
    must_see("an interrupt request that went through", requests.through)
    must_see("that requests were refused until then", requests.tried[0] < off[0] <= requests.through[0])


CASES = [
    *(Case(f"remapping-{mode}", f"a device asks for interrupts all through two updates, {mode} mode",
           bind(attack, iommu=f"vtd-{mode}"), fault="a preserved device writes to the interrupt address range")
      for mode in ("legacy", "scalable")),
    Case("remapping-off", "negative: the same, and interrupt remapping is off between the kernels",
         bind(unremapped, iommu="vtd-scalable"), kernel="lab", fault="the same, and interrupt remapping is off over the jump"),
]
