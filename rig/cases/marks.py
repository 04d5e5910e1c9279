# SPDX-License-Identifier: GPL-2.0-only
"""Marks that survive: HWPTs are marked once, and updated again and again."""

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded

UPDATES = 3
REPLACES = 101                  # odd: it ends on the HWPT that was not marked


@guarded
def mark_once(machine, begin, iommu, hwpt="shared"):
    """
    One mark for all updates. Before the last one the devices are moved to another
    HWPT of the same kernel, and the mark has to go along.
    Seen to fail: with the hook in iommufd_device_do_replace() taken out, and by
    mark-first below, which is the same without the flag.
    """
    run = begin(iommu=iommu, append=f"rig.updates={UPDATES} rig.mark=once rig.hwpt={hwpt}")
    run.rest(STEADY_S)
    for stage in range(2, UPDATES + 2):
        if stage == UPDATES + 1:
            run.replace(REPLACES)
        run.update(stage)
        run.rest(AFTER_S)
    run.stop()
    clean(run)


@guarded
def mark_first(machine, begin, iommu):
    """A mark that is not asked to be kept goes with the kernel: the next update is refused."""
    run = begin(iommu=iommu, append=f"rig.updates={UPDATES} rig.mark=first")
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    machine.figures["tries"] = 1
    try:
        run.update(3)
    except Failed as error:
        if "preserve the iommufd: Invalid argument" not in str(error):
            raise
    else:
        raise Failed("the second update went well without a mark; it must be refused")
    machine.await_end()
    if "iommufd: cannot be preserved: no HWPT is marked" not in machine.console():
        raise Failed("the log does not say that no HWPT is marked")
    machine.figures["outcome"] = "refused before the jump: no HWPT is marked"


CASES = [
    Case("mark-once", "three updates, HWPTs marked once", bind(mark_once, iommu="vtd-scalable")),
    Case("mark-once-each", "three updates, a HWPT for each device, marked once",
         bind(mark_once, iommu="vtd-scalable", hwpt="each")),
    Case("mark-first", "negative: marked once, the mark not kept", bind(mark_first, iommu="vtd-scalable"),
         fault="HWPT not marked again"),
]
