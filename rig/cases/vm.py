# SPDX-License-Identifier: GPL-2.0-only
"""A VM in an unmodified QEMU, with a device of the host's, and what becomes of it."""

from rig.lib.case import Case
from rig.lib.run import AFTER_S, STEADY_S, bind, clean
from rig.lib.vm import guarded_vm


@guarded_vm
def steady(machine, begin, iommu):
    """Nothing happens: what the referee says of the VM then is its own noise."""
    run = begin(iommu=iommu)
    run.rest(STEADY_S)
    run.rest(AFTER_S)
    run.stop()
    clean(run)


CASES = [
    Case("vm-steady", "a VM in an unmodified QEMU answers frames, and no update", bind(steady, iommu="vtd-scalable"),
         kernel="vm"),
]
