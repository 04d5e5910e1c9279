# SPDX-License-Identifier: GPL-2.0-only
"""
Cases of other files once more, with another IOMMU: the same bodies, the same judgement. What
differs between IOMMUs is in rig/lib/iommu.py and in the modules of rig/referee that read
what QEMU reports of them.

Not among those with AMD-Vi, because QEMU's amd-iommu lacks what they need: those with ATS (it does not answer what
devices ask it to translate in advance), with PASIDs (no guest page tables in the emulator),
with first-stage HWPTs, and of a device with an RMRR (no IVMD block in its IVRS table).

Not yet among those with an SMMUv3: uncoop-states and uncoop-outgoing, as the kernel arm has no second driver of
PCI devices.
"""

import functools
import re
from dataclasses import replace

from rig.cases import (abort, adopt, crash, discovery, disk, guestmem, interrupts, iommu, remapping, skew, uncooperative,
                       update, vf, way_back)

AMD = """
adopt-scalable adopt-each adopt-refused adopt-hole adopt-small adopt-cut adopt-unchecked
sizes sizes-unasked sizes-cut
sweep late late-undo-page ten-updates
remapping-scalable remapping-off
changed-scalable crowded
uncoop-states uncoop-kill hugetlb-kill uncoop-kill-adopt uncoop-let-go uncoop-late uncoop-never uncoop-remove
uncoop-remove-held uncoop-outgoing uncoop-punch uncoop-starve uncoop-hold-broken
hugetlb hugetlb-gigantic hugetlb-punch
guestmem guestmem-adopt guestmem-held
vf-scalable vf-three vf-kept vf-sibling vf-owned-scalable
skew-refused
discovery-scalable discovery-watched discovery-others
each-hwpt behind-port refusals interrupt-late disk
crash-preserved crash-incoming
way-back way-back-silent way-back-refused-all way-back-stray way-back-stray-free way-back-verified
way-back-at-adopted way-back-at-domain way-back-locked way-back-thrice
"""

ARM = """
adopt-each adopt-refused adopt-small adopt-cut
sizes sizes-unasked sizes-cut
ten-updates
uncoop-kill uncoop-kill-adopt uncoop-let-go uncoop-late uncoop-never uncoop-remove
"""
# Nothing is taken over in it.
ARM_DEBUG = {"uncoop-never"}
# An interrupt that is set up before the domain is replaced needs its doorbell in the restored tables.
ARM_OPTIONS = {"uncoop-kill": {"append": "rig.irq=1"}, "uncoop-kill-adopt": {"append": "rig.adopt=1 rig.irq=1"},
               "uncoop-let-go": {"append": "rig.irq=1"}, "uncoop-late": {"append": "rig.irq=1"}}
ARM_KERNELS = {"rig": "arm", "lab": "arm-lab"}


def _cases():
    found = {case.name: case for module in (abort, adopt, crash, discovery, disk, guestmem, interrupts, iommu, remapping, skew,
                                            uncooperative, update, vf, way_back) for case in module.CASES}
    for name in AMD.split():
        case = found[name]
        yield replace(case, name="amd-" + name.replace("-scalable", ""), run=functools.partial(case.run, iommu="amd"),
                      description=re.sub(r"[,;] scalable mode", "", case.description) + ", AMD-Vi")
    for name in ARM.split():
        case = found[name]
        yield replace(case, name="arm-" + name, run=functools.partial(case.run, iommu="smmuv3", **ARM_OPTIONS.get(name, {})),
                      kernel=ARM_KERNELS[case.kernel], debug=name in ARM_DEBUG, description=case.description + ", SMMUv3")


CASES = list(_cases())
