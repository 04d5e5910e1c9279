# SPDX-License-Identifier: GPL-2.0-only
"""
What QEMU's intel-iommu reports, in the terms of the referee.

The referee needs such a module for each IOMMU; dmalog.py itself knows none. The module has

  EVENTS          the trace events that it reads
  DMA, REFUSED    those of them that a storm, or hours, would fill the disk with
  SEEN            the devices whose DMA is in the log
  COMPLAINT       how a line of QEMU's stderr begins that is about the IOMMU
  read(event, values)
                  None if the event is not one of its own, else one of
                    ("dma", source id, iova, address, mask)
                    ("refused", source id or None, reason, address, is a write)
                    ("on",), ("off",)          translation, when it is switched
                    ("is", on)                 the same, where it is said each time anything is
                  ValueError if it is one of its own, and is not understood
  places(iova, address)
                  only if the report of a translation leaves open where it led: all places. Those of
                  one iova have to have one in common; what lands elsewhere is found by its checksum

and of interrupt remapping, for the cases that are about it,

  INTERRUPTS      the trace events
  INTERRUPTS_OFF  that of them that says that remapping is switched off, or None
  NO_INTERRUPT    what QEMU says on stderr of a request that it refuses, for entry 32641
  interrupt(event, values)
                  None if the event is not one of its own, else one of
                    ("off",)                   remapping was switched off
                    ("asked", address, data)   a device wrote to the interrupt address range
                    ("through", address, data) what it wrote became an interrupt
                    ("control", number)        what the entry says of all requests: 0 is that they are aborted
  not_the_devices(data)
                  is a request one that QEMU takes for somebody else's?
"""

import re

DMA, REFUSED = "vtd_dmar_translate", "vtd_dmar_fault"
EVENTS = (DMA, REFUSED, "vtd_fault_disabled", "vtd_dmar_enable")
COMPLAINT = "vtd_"
SEEN = ("nic", "audio", "disk")

_TRANSLATE = re.compile(r"dev (\w+):(\w+)\.(\w+) iova 0x(\w+) -> gpa 0x(\w+) mask 0x(\w+)")
_FAULT = re.compile(r"sid 0x(\w+) fault (\d+) addr 0x(\w+) write (\d+)")

# "Intel Virtualization Technology for Directed I/O", section "Fault Conditions".
REASONS = {
    0x1: "root entry not present", 0x2: "context entry not present",
    0x3: "context entry invalid", 0x4: "address beyond the width",
    0x5: "write refused", 0x6: "read refused", 0x7: "page table access",
    0x8: "root table access", 0x9: "context table access",
    0xa: "root entry reserved bits", 0xb: "context entry reserved bits",
    0xc: "page entry reserved bits", 0xd: "translation type blocked",
    0x30: "scalable root table access",
    0x40: "scalable context table access", 0x50: "PASID directory access",
    0x51: "PASID directory entry not present", 0x58: "PASID table access",
    0x59: "PASID entry not present", 0x5b: "PASID entry invalid",
    0x71: "first-stage entry not present",
}


INTERRUPTS = ("vtd_ir_enable", "vtd_ir_remap_msi_req", "vtd_ir_remap_msi")
INTERRUPTS_OFF = INTERRUPTS[0]
NO_INTERRUPT = "vtd_irte_get: detected non-present IRTE (index=32641,"
_MESSAGE = re.compile(r"\(?addr 0x(\w+),? data 0x(\w+)")


def _matched(pattern, values):
    found = pattern.match(values)
    if not found:
        raise ValueError(values)
    return found.groups()


def read(event, values):
    if event == DMA:
        bus, slot, function, iova, gpa, mask = (int(x, 16) for x in _matched(_TRANSLATE, values))
        return "dma", bus << 8 | slot << 3 | function, iova, gpa, mask
    if event == REFUSED:
        sid, kind, address, write = _matched(_FAULT, values)
        return "refused", int(sid, 16), REASONS.get(int(kind), f"fault {int(kind):#x}"), int(address, 16), write == "1"
    if event == "vtd_fault_disabled":
        # A fault that the entry asked not to report: it is one all the same.
        return "refused", None, "unreported (fault processing disabled)", None, None
    if event == "vtd_dmar_enable":
        return ("off",) if values.strip() == "enable 0" else ("on",)
    return None


def interrupt(event, values):
    if event == "vtd_ir_enable":
        return ("off",) if values.strip() == "enable 0" else None
    if event in INTERRUPTS:
        address, data = (int(x, 16) for x in _matched(_MESSAGE, values))
        return "asked" if event == "vtd_ir_remap_msi_req" else "through", address, data
    return None


def not_the_devices(data):
    return False
