# SPDX-License-Identifier: GPL-2.0-only
"""
What QEMU's amd-iommu reports, in the terms of the referee (see vtd.py).

QEMU has no event of its own for a request that is refused, and none for one that it lets
through without a look at any table. Both are in the report of translations: what was
refused has the address 0, or the one that was asked for, and what was let through has the
latter. The two cannot be told apart, and both count as refused: the IOVAs of the rig's
devices are where the machine has no memory, so that what is let through lands nowhere.

Nor does it say how large the leaf was that an address was found in: see places().
"""

import re

DMA = REFUSED = "amdvi_translation_result"
CONTROL = "amdvi_control_status"
EVENTS = (DMA, CONTROL)
COMPLAINT = "amdvi_"
SEEN = ("nic", "audio", "disk")

# Before it looks at any table QEMU refuses a request for an SMI, and says so.
INTERRUPTS = ("amdvi_ir_remap_msi_req", "amdvi_ir_remap_msi", "amdvi_ir_intctl")
INTERRUPTS_OFF = None
NO_INTERRUPT = "SMI is not supported!"
IO_APIC_PINS = 24
_MESSAGE = re.compile(r"\(?addr 0x(\w+),? data 0x(\w+)")

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


def places(iova, address):
    """Where the page at iova can be: QEMU reports where the leaf begins, and not how large it is."""
    sizes = (1 << n for n in range(12, 31))
    return {address + iova % size for size in sizes if address % size == 0}


def interrupt(event, values):
    """There is no event of remapping being off: an entry says so, or the unit is off."""
    if event in ("amdvi_ir_remap_msi_req", "amdvi_ir_remap_msi"):
        found = _MESSAGE.match(values)
        if not found:
            raise ValueError(values)
        address, data = (int(x, 16) for x in found.groups())
        return "asked" if event == "amdvi_ir_remap_msi_req" else "through", address, data
    if event == "amdvi_ir_intctl":
        return "control", int(values.split()[-1], 16)
    return None


def not_the_devices(data):
    """Is this request taken for one of the IO-APIC's own? QEMU knows the source of a device's own
    MSI only, and looks all else up as the IO-APIC's: its entries are in use."""
    return data & 0x7ff < IO_APIC_PINS
