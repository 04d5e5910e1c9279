# SPDX-License-Identifier: GPL-2.0-only
"""
The machine's memory, and the IOMMU's tables in it, read and changed from outside
of the guest.
"""

import mmap
import os
import re
import struct

from rig.lib.machine import Failed

PAGE = 4096
VTD_REGISTERS = 0xfed90000
RTADDR, RTADDR_SCALABLE = 0x20, 1 << 10
ADDRESS = 0xffffffffff000
# q35 leaves room below 4 GiB if there is this much or more.
SPLIT_FROM, BELOW, ABOVE = 0xb0000000, 0x80000000, 1 << 32


def shared(machine):
    """QEMU's arguments for a machine whose memory can be got at."""
    return ("-object", f"memory-backend-memfd,id=ram,size={3 if machine.slow != 1 else 2}G,share=on",
            "-machine", "memory-backend=ram")


class Memory:
    def __init__(self, machine):
        self.machine = machine
        folder = f"/proc/{machine._process.pid}/fd"
        name = next((n for n in os.listdir(folder)
                     if "memory-backend-memfd" in os.readlink(os.path.join(folder, n))), None)
        if name is None:
            raise Failed("the machine's memory is not a memfd")
        with open(os.path.join(folder, name), "r+b") as f:
            self.bytes = mmap.mmap(f.fileno(), 0)

    def _at(self, address):
        if len(self.bytes) >= SPLIT_FROM and address >= ABOVE:
            return address - ABOVE + BELOW
        return address

    def get(self, address):
        """8 bytes."""
        at = self._at(address)
        return struct.unpack("<Q", self.bytes[at:at + 8])[0]

    def put(self, address, value):
        at = self._at(address)
        self.bytes[at:at + 8] = struct.pack("<Q", value)

    def _root(self):
        said = self.machine.qmp("human-monitor-command",
                                **{"command-line": f"xp/1gx {VTD_REGISTERS + RTADDR:#x}"})
        return int(re.search(r": (0x[0-9a-f]+)", said)[1], 16)

    def _next(self, entry):
        value = self.get(entry)
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
