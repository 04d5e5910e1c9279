# SPDX-License-Identifier: GPL-2.0-only
"""
QEMU's trace log as evidence: what its emulated IOMMU translated, refused and was told.

Times are the host's wall clock in microseconds. The IOMMU reports each
translation that it did, so that the time between two of them tells how long a
device was without DMA; which of them were writes follows from the address.
"""

import bisect
import re
from collections import Counter

from rig.referee import trace

EVENTS = ("vtd_dmar_translate", "vtd_fault_disabled", "vtd_dmar_enable", "hda_audio_overrun")

_TRANSLATE = re.compile(r"dev (\w+):(\w+)\.(\w+) iova 0x(\w+) -> gpa 0x(\w+) mask 0x(\w+)")
_FAULT = re.compile(r"sid 0x(\w+) fault (\d+) addr 0x(\w+) write (\d+)")

# "Intel Virtualization Technology for Directed I/O", section "Fault Conditions".
FAULT_NAMES = {
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


def source_id(bdf):
    """0000:00:04.0, or 00:04.0, as the IOMMU sees it."""
    bus, devfn = bdf.split(":")[-2:]
    slot, function = devfn.split(".")
    return int(bus, 16) << 8 | int(slot, 16) << 3 | int(function, 16)

FAULTS_KEPT = 100_000


class DmaLog:
    def __init__(self, lines):
        self.dma = {}           # source id: ([time], [iova], [mask])
        self.faults = []        # (time, source id, kind, address, is a write), the first of them
        self.fault_counts = Counter()   # (source id, kind): all of them
        self.switched_off = []  # times at which translation was switched off
        self.switched_on = []
        self.audio_overruns = 0         # see audio.py
        self.misdirected = []   # (time, source id, iova, where it went, where it went first)
        self.unreadable = 0
        home = {}
        for line in lines:
            found = trace.parse(line)
            if not found:
                continue
            t, event, rest = found
            if event == "vtd_dmar_translate":
                got = _TRANSLATE.match(rest)
                if got:
                    bus, slot, function, iova, gpa, mask = (int(x, 16) for x in got.groups())
                    sid = bus << 8 | slot << 3 | function
                    times, iovas, masks = self.dma.setdefault(sid, ([], [], []))
                    # Memory that is preserved stays where it is: so must its translation.
                    first = home.setdefault((sid, iova, mask), gpa)
                    if gpa != first:
                        self.misdirected.append((t, sid, iova, gpa, first))
                    times.append(t)
                    iovas.append(iova)
                    masks.append(mask)
                    continue
            elif event == "vtd_dmar_fault":
                got = _FAULT.match(rest)
                if got:
                    self._fault(t, int(got[1], 16), int(got[2]), int(got[3], 16), got[4] == "1")
                    continue
            elif event == "vtd_fault_disabled":
                # A fault that the entry asked not to report: it is one all the same.
                self._fault(t, None, None, None, None)
                continue
            elif event == "vtd_dmar_enable":
                (self.switched_off if rest.strip() == "enable 0" else self.switched_on).append(t)
                continue
            elif event == "hda_audio_overrun":
                self.audio_overruns += 1
                continue
            else:
                continue
            self.unreadable += 1

    def _fault(self, when, sid, kind, address, write):
        # A device in a loop makes millions of them.
        self.fault_counts[sid, kind] += 1
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append((when, sid, kind, address, write))

    @classmethod
    def read(cls, path):
        with open(path, encoding="utf-8", errors="replace") as f:
            return cls(f)

    def times(self, sid, begin=None, end=None, within=None):
        """When that device did DMA (to an address within [from, end) if given)."""
        times, iovas, _ = self.dma.get(sid, ([], [], []))
        first = 0 if begin is None else bisect.bisect_left(times, begin)
        last = len(times) if end is None else bisect.bisect_right(times, end)
        if within is None:
            return times[first:last]
        low, high = within[0] & ~0xfff, within[1]
        return [times[i] for i in range(first, last) if low <= iovas[i] < high]

    def covering(self, sid, address, begin):
        """When, from begin on, that device used a translation that covers an address: a large
        leaf is reported by its beginning, whichever of its pages was meant."""
        times, iovas, masks = self.dma.get(sid, ([], [], []))
        first = bisect.bisect_left(times, begin)
        return [times[i] for i in range(first, len(times)) if iovas[i] <= address <= iovas[i] | masks[i]]

    def longest_gap_us(self, sid, begin, end, within=None):
        """The longest time without DMA in [begin, end], its edges included,
        so that a device that never does any has a gap as long as the window."""
        edges = [begin, *self.times(sid, begin, end, within), end]
        return max(b - a for a, b in zip(edges, edges[1:]))

    def faults_of(self, sids):
        """{(source id, kind): count} of those devices, and of nobody known."""
        return {key: n for key, n in self.fault_counts.items() if key[0] is None or key[0] in sids}


def fault_kinds(counts):
    """{"00:04.0 context entry not present": count}"""
    kinds = Counter()
    for (sid, kind), n in counts.items():
        if sid is None:
            kinds["unreported (fault processing disabled)"] += n
            continue
        name = FAULT_NAMES.get(kind, f"fault {kind:#x}")
        kinds[f"{sid >> 8:02x}:{sid >> 3 & 31:02x}.{sid & 7} {name}"] += n
    return dict(kinds)
