# SPDX-License-Identifier: GPL-2.0-only
"""
The IOMMUs that a machine can have, by name: the arguments for QEMU and the kernels, and the
module that reads what QEMU reports of the IOMMU. To add an IOMMU, add an entry here and a
module beside rig/referee/vtd.py.
"""

from rig.referee import noiommu, vtd


class Vtd:
    """Intel VT-d, in one of its two modes."""

    referee = vtd

    def __init__(self, mode):
        self.name = f"vtd-{mode}"
        self.mode = mode
        self._scalable = mode == "scalable"
        self.options = "intel_iommu=on" + (",sm_on" if self._scalable else "")

    def arguments(self, qemu, ats=False, first_stage=False):
        """QEMU's. ats: it answers what devices ask it to translate in advance. first_stage:
        HWPTs are first-stage tables."""
        return ["-device", f"intel-iommu,intremap=on,caching-mode=on,{qemu.intel_iommu(self._scalable)}"
                + ",device-iotlb=on" * ats + f",{qemu.first_stage}" * first_stage]


class NoIommu:
    """None: user-space drivers give physical addresses to their devices. One that is receiving
    needs memory of large pieces, which are huge pages here."""

    referee = noiommu
    name = mode = "none"
    allowed = "vfio.enable_unsafe_noiommu_mode=1 hugepages=80 rig.hugetlb=21"
    options = f"{allowed} rig.noiommu=1"

    def arguments(self, qemu, ats=False, first_stage=False):
        return []


NAMED = {iommu.name: iommu for iommu in (Vtd("legacy"), Vtd("scalable"), NoIommu())}
