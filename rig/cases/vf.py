# SPDX-License-Identifier: GPL-2.0-only
"""
Virtual functions: the network device is a VF of an igb whose physical function pci-pf-stub
has. QEMU's igb delivers to a VF only as long as its PF has SR-IOV on and is a bus master, so
what becomes of the PF shows at the VF.
"""

from rig.cases.update import carry
from rig.lib.case import Case
from rig.lib.run import bind, guarded


@guarded
def update(machine, begin, iommu, append="", **options):
    """One update or more; each frame arrives in the VF, and nothing is refused."""
    carry(machine, begin, iommu, append=f"rig.vf=1 {append}", **options)


CASES = [
    *(Case(f"vf-{mode}", f"a virtual function goes on with its DMA; {mode} mode", bind(update, iommu=f"vtd-{mode}"))
      for mode in ("legacy", "scalable")),
]
