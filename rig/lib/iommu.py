# SPDX-License-Identifier: GPL-2.0-only
"""
The IOMMUs that a machine can have, by name: the arguments for QEMU and the kernels, and the
module that reads what QEMU reports of the IOMMU. To add an IOMMU, add an entry here and a
module beside rig/referee/vtd.py. "shown" is the key of its record in the view that tells it
from others (docs/discovery.md), and the value.
"""

from rig.referee import amdvi, noiommu, smmu, vtd


class Vtd:
    """Intel VT-d, in one of its two modes."""

    referee = vtd
    new_qemu = False
    nic_slot = 4

    def __init__(self, mode):
        self.name = f"vtd-{mode}"
        self.mode = mode
        self.shown = "mode", mode
        self._scalable = mode == "scalable"
        self.options = "intel_iommu=on" + (",sm_on" if self._scalable else "")

    def arguments(self, qemu, ats=False, first_stage=False):
        """QEMU's. ats: it answers what devices ask it to translate in advance. first_stage:
        HWPTs are first-stage tables."""
        return ["-device", f"intel-iommu,intremap=on,caching-mode=on,{qemu.intel_iommu(self._scalable)}"
                + ",device-iotlb=on" * ats + f",{qemu.first_stage}" * first_stage]


class AmdVi:
    """AMD-Vi, with host page tables. 7.3 remaps interrupts only if there is a southbridge where
    the IVRS table has the IO-APIC, and q35 has none. What stands in for it is where virtual
    functions of a network device in slot 4 would be."""

    referee = amdvi
    name = mode = "amd"
    shown = "type", "amd"
    new_qemu = True             # that of 10.0 translates in another way, and has other options
    nic_slot = 2
    options = ""

    def arguments(self, qemu, ats=False, first_stage=False):
        return ["-device", "amd-iommu,intremap=on,dma-remap=on",
                "-blockdev", "driver=null-co,node-name=southbridge",
                "-device", "virtio-blk-pci,drive=southbridge,class=0x0c05,addr=14.0"]


class Smmu:
    """Arm's SMMUv3, which is a part of QEMU's arm64 machine."""

    referee = smmu
    new_qemu = False
    nic_slot = 4
    name = mode = "smmuv3"
    shown = "type", "smmuv3"
    options = ""

    def arguments(self, qemu, ats=False, first_stage=False):
        return ["-machine", "iommu=smmuv3"]


class NoIommu:
    """None: user-space drivers give physical addresses to their devices. One that is receiving
    needs memory of large pieces, which are huge pages here."""

    referee = noiommu
    new_qemu = False
    nic_slot = 4
    name = mode = "none"
    shown = "type", "none"
    allowed = "vfio.enable_unsafe_noiommu_mode=1 hugepages=80 rig.hugetlb=21"
    options = f"{allowed} rig.noiommu=1"

    def arguments(self, qemu, ats=False, first_stage=False):
        return []


NAMED = {iommu.name: iommu for iommu in (Vtd("legacy"), Vtd("scalable"), AmdVi(), Smmu(), NoIommu())}
