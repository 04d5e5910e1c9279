# SPDX-License-Identifier: GPL-2.0-only
"""
What QEMU's amd-iommu reports, in the terms of the referee (see vtd.py).

QEMU has no event of its own for a request that is refused, and none for one that it lets
through without a look at any table. Both are in the report of translations: what was
refused has the address 0, or the one that was asked for, and what was let through has the
latter. The two cannot be told apart, and both count as refused: the IOVAs of the rig's
devices are where the machine has no memory, so that what is let through lands nowhere.
"""

import re

DMA = REFUSED = "amdvi_translation_result"
CONTROL = "amdvi_control_status"
EVENTS = (DMA, CONTROL)
COMPLAINT = "amdvi_"
SEEN = ("nic", "audio", "disk")

PAGE = 0xfff
ENABLED = 1

_RESULT = re.compile(r"devid: (\w+):(\w+)\.(\w+) gpa 0x(\w+) hpa 0x(\w+)")


def read(event, values):
    if event == DMA:
        found = _RESULT.match(values)
        if not found:
            raise ValueError(values)
        bus, slot, function, address, result = (int(x, 16) for x in found.groups())
        sid = bus << 8 | slot << 3 | function
        if not result:
            return "refused", sid, "refused", address, None
        if result == address & ~PAGE:
            return "refused", sid, "not translated", address, None
        return "dma", sid, address & ~PAGE, result & ~PAGE, PAGE
    if event == CONTROL:
        return "is", bool(int(values.split()[-1], 16) & ENABLED)
    return None
