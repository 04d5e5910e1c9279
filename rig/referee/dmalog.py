# SPDX-License-Identifier: GPL-2.0-only
"""
QEMU's trace log as evidence: what its emulated IOMMU translated, refused and was told.

Times are the host's wall clock in microseconds. The IOMMU reports each
translation that it did, so that the time between two of them tells how long a
device was without DMA; which of them were writes follows from the address.
"""

import bisect
from collections import Counter

from rig.referee import trace

AUDIO_OVERRUN = "hda_audio_overrun"
FAULTS_KEPT = 100_000


def source_id(bdf):
    """0000:00:04.0, or 00:04.0, as the IOMMU sees it."""
    bus, devfn = bdf.split(":")[-2:]
    slot, function = devfn.split(".")
    return int(bus, 16) << 8 | int(slot, 16) << 3 | int(function, 16)


class DmaLog:
    def __init__(self, lines, iommu):
        """iommu: the module that reads the events of the machine's IOMMU, see vtd.py."""
        self.dma = {}           # source id: ([time], [iova], [mask])
        self.faults = []        # (time, source id, reason, address, is a write), the first of them
        self.fault_counts = Counter()   # (source id, reason): all of them
        self.switched_off = []  # times at which translation was switched off
        self.switched_on = []
        self.audio_overruns = 0         # see audio.py
        self.misdirected = []   # (time, source id, iova, where it went, where it went first)
        self.unreadable = 0
        is_on = False
        home = {}
        places = getattr(iommu, "places", None)
        common = {}             # as home: where all reports so far can have led
        for line in lines:
            found = trace.parse(line)
            if not found:
                continue
            t, event, values = found
            if event == AUDIO_OVERRUN:
                self.audio_overruns += 1
                continue
            try:
                got = iommu.read(event, values)
            except ValueError:
                self.unreadable += 1
                continue
            if got is None:
                continue
            if got[0] == "dma":
                _, sid, iova, address, mask = got
                times, iovas, masks = self.dma.setdefault(sid, ([], [], []))
                # Memory that is preserved stays where it is: so must its translation.
                first = home.setdefault((sid, iova, mask), address)
                if address != first and places:
                    key = sid, iova, mask
                    common[key] = common.get(key, places(iova, first)) & places(iova, address)
                    first = address if common[key] else first
                if address != first:
                    self.misdirected.append((t, sid, iova, address, first))
                times.append(t)
                iovas.append(iova)
                masks.append(mask)
            elif got[0] == "refused":
                self._fault(t, *got[1:])
            elif got[0] == "is":
                if got[1] != is_on:
                    (self.switched_on if got[1] else self.switched_off).append(t)
                is_on = got[1]
            elif got[0] == "on":
                self.switched_on.append(t)
            elif self.switched_on:
                # One that was not on yet is told so, too, while it is set up.
                self.switched_off.append(t)

    def _fault(self, when, sid, reason, address, write):
        # A device in a loop makes millions of them.
        self.fault_counts[sid, reason] += 1
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append((when, sid, reason, address, write))

    @classmethod
    def read(cls, path, iommu):
        with open(path, encoding="utf-8", errors="replace") as f:
            return cls(f, iommu)

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
        """{(source id, reason): count} of those devices, and of nobody known."""
        return {key: n for key, n in self.fault_counts.items() if key[0] is None or key[0] in sids}


def fault_kinds(counts):
    """{"00:04.0 context entry not present": count}"""
    kinds = Counter()
    for (sid, reason), n in counts.items():
        kinds[reason if sid is None else f"{sid >> 8:02x}:{sid >> 3 & 31:02x}.{sid & 7} {reason}"] += n
    return dict(kinds)
