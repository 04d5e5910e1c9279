# SPDX-License-Identifier: GPL-2.0-only
"""
What QEMU's SMMUv3 reports, in the terms of the referee (see vtd.py).

It tells of each access whether it was translated, went through as it is, or was aborted. An
access that nobody translates reaches memory at the address that the device gave: of a device
that is to be behind the SMMU that is a fault, too. A fault that software is told of is an
event in the queue, propagate_event (QEMU 10: record_event); it has another event beside it only where an entry says abort.
"""

import re

DMA, REFUSED = "smmuv3_translate_success", "smmuv3_propagate_event"
_ABORT, _BYPASS, _DISABLED = "smmuv3_translate_abort", "smmuv3_translate_bypass", "smmuv3_translate_disable"
_WRITE = "smmuv3_write_mmio"
EVENTS = (DMA, REFUSED, _ABORT, _BYPASS, _DISABLED, _WRITE)
COMPLAINT = "smmuv3"
SEEN = ("nic", "audio", "disk")

# The doorbell of the ITS, to which devices write their MSIs, is no memory.
PAGE = 0xfff
CR0, SMMUEN = 0x20, 1

_TRANSLATED = re.compile(r"\S+ sid=0x(\w+) iova=0x(\w+) translated=0x(\w+) perm=0x\w+")
_ANOTHER = re.compile(r"\S+ sid=0x(\w+) .*iova:0x(\w+) is_write=(\d)")
_EVENT = re.compile(r"(\w+) sid=0x(\w+)")
_REGISTER = re.compile(r"addr: 0x(\w+) val:0x(\w+)")

_WHY = {_ABORT: "the entry says abort", _BYPASS: "not translated: the entry says bypass",
        _DISABLED: "not translated: the SMMU is off"}


def _matched(pattern, values):
    found = pattern.match(values)
    if not found:
        raise ValueError(values)
    return found.groups()


def read(event, values):
    if event == DMA:
        sid, iova, address = (int(x, 16) for x in _matched(_TRANSLATED, values))
        # It says where the access went, and not how large the leaf was.
        return "dma", sid, iova & ~PAGE, address & ~PAGE, PAGE
    if event == REFUSED:
        kind, sid = _matched(_EVENT, values)
        return "refused", int(sid, 16), kind, None, None
    if event in _WHY:
        sid, address, write = _matched(_ANOTHER, values)
        return "refused", int(sid, 16), _WHY[event], int(address, 16), write == "1"
    if event == _WRITE:
        register, value = (int(x, 16) for x in _matched(_REGISTER, values))
        if register == CR0:
            return ("on",) if value & SMMUEN else ("off",)
    return None
