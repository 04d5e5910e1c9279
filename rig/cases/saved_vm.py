# SPDX-License-Identifier: GPL-2.0-only
"""What the tenant of a VM loses in a kernel update without Continuo: to be put beside vm-update."""

import re
import time

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, SHOWN_STEADY_S, bind, must_see
from rig.lib.saved_vm import guarded_saved_vm
from rig.referee import summary

OURS = "/sys/kernel/liveupdate_back/state"        # which our kernels have, whatever is preserved
# What is lost, as the referee says it. The last answers before the unplug can go to a device that sends nothing any more.
LOST = (r"^\d+ of \d+ frames lost, ", r"^answer \d+ came where answer \d+ was expected$", r"^\d+ frames were counted, and \d+ answered$",
        r"^nic: \d+ us without a DMA write in ", r"^translation was switched off ")


@guarded_saved_vm
def stock(machine, begin, iommu):
    """
    The same machine, guest, frames and disk as in vm-update. What has to be as it is there: memory, disk, clocks, no
    complaint, no frame damaged or answered twice, and the VM has its device again.
    """
    run = begin(iommu=iommu)
    if machine.read(OURS) is not None:
        raise Failed("the kernel is not the one without our changes")
    run.rest(SHOWN_STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    found = [text for text in run.judge() if not any(re.search(pattern, text) for pattern in LOST)]
    run.draw()
    figures = machine.figures
    (since, until), figures["frames_sent_in_gap"] = run.without_device()
    print(summary.table(figures))
    if figures["frames_out_of_order"] > 1:
        found.append("answers are missing in more than one place")
    if found:
        raise Failed("; ".join(found))
    offset = time.time_ns() - time.monotonic_ns()
    jump, boot = ([(t + offset) // 1000 for t in span[1:]] for span in run.spans[0] if span[0] in ("jump", "kernel boot"))
    must_see("the VM without its device from before the jump until after the boot", since < jump[0] and until > boot[1])
    must_see("frames sent meanwhile", figures["frames_sent_in_gap"])


CASES = [
    Case("vm-stock", "7.3 and QEMU as they are: the device is plugged out, the VM saved, restored in the next kernel, the device plugged in",
         bind(stock, iommu="vtd-scalable"), kernel="stock-vm", alone=True),
]
