# SPDX-License-Identifier: GPL-2.0-only
"""
A machine without an IOMMU, in the terms of the referee (see vtd.py): nothing translates, so
nothing reports DMA, with one exception: QEMU's igb says where it writes each frame to. It does
not say which igb it is; all have the source id of the rig's first one.
"""

import re

DMA, REFUSED = "igb_rx_desc_buff_write", "vtd_dmar_fault"
EVENTS = (DMA,)
SEEN = ("nic",)
COMPLAINT = "iommu"
NIC = 4 << 3


def read(event, values):
    if event != DMA:
        return None
    found = re.search(r"addr: ?0x(\w+), offset: ?(\d+).*length: ?(\d+)", values)
    if not found:
        raise ValueError(values)
    address = int(found[1], 16) + int(found[2])
    return "dma", NIC, address, address, int(found[3]) - 1


def pieces(events, whose=None):
    """[(begin, end)] of where the guest has found somebody's memory, each time that it looked; all of it."""
    return sorted({(e["phys"], e["phys"] + e["bytes"]) for e in events if e["ev"] == "piece" and whose in (None, e["whose"])})


def elsewhere(events, log):
    """The frames that were written to a place that is none of the memory's."""
    homes = pieces(events)
    return [a for a in log.dma.get(NIC, ([], [], []))[1] if not any(b <= a < e for b, e in homes)]
