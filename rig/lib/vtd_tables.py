# SPDX-License-Identifier: GPL-2.0-only
"""Where the entries of Intel VT-d are in the machine's memory."""

from rig.lib.machine import Failed

REGISTERS = 0xfed90000
RTADDR, RTADDR_SCALABLE = 0x20, 1 << 10
ADDRESS = 0xffffffffff000


class VtdTables:
    def __init__(self, memory):
        self.memory = memory

    def _root(self):
        return self.memory.machine.register(REGISTERS + RTADDR)

    def _next(self, entry):
        value = self.memory.get(entry)
        if not value & 1:
            raise Failed(f"an entry of the IOMMU at {entry:#x} is not present")
        return value & ADDRESS

    def context(self, source):
        """Address of the context entry of a requester id."""
        root = self._root()
        slot, devfn = (root & ADDRESS) + (source >> 8) * 16, source & 0xff
        if not root & RTADDR_SCALABLE:
            return self._next(slot) + devfn * 16
        return self._next(slot + (devfn >> 7) * 8) + (devfn & 0x7f) * 32

    def pasid_directory(self, source):
        return self._next(self.context(source))

    def pasid(self, source, pasid=0):
        """Address of an entry of the first PASID table, in scalable mode."""
        return self._next(self.pasid_directory(source)) + pasid * 64
