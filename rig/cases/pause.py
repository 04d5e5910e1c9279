# SPDX-License-Identifier: GPL-2.0-only
"""
What makes the pause shorter is checked before it is used. The machine's clock counts
instructions: what a kernel measures of its timers is the same each time.
"""

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import bind, guarded

KHZ = 1000000                   # of the timer of QEMU's local APIC
TAKEN = "APIC: timer at {} kHz, as lapic_timer_khz= says"
REFUSED = "APIC: lapic_timer_khz={} is not used"


@guarded
def timer(machine, begin, khz, taken):
    """The frequency that the kernel before has measured is used if it is true; the update goes on in any event.
    DMA is judged by other cases."""
    run = begin(iommu="vtd-scalable", sound=False, rate=50, count=True, limit_s=600, ready_s=180)
    run.update(2, f"next=lapic_timer_khz={khz}")
    run.stop()
    wanted, other = (TAKEN, REFUSED) if taken else (REFUSED, TAKEN)
    if wanted.format(khz) not in machine.console() or other.format(khz) in machine.console():
        raise Failed(f"the next kernel does not say '{wanted.format(khz)}'")
    machine.figures["tries"] = 1
    machine.figures["outcome"] = "" if taken else "the kernel measures its timer itself, and says why"


CASES = [
    Case("timer-known", "the next kernel takes the timer's frequency from its command line", bind(timer, khz=KHZ, taken=True)),
    Case("timer-wrong", "negative: the frequency of another machine's timer",
         bind(timer, khz=KHZ + KHZ // 50, taken=False), fault="the command line has a wrong frequency of the timer"),
]
