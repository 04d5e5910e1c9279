# SPDX-License-Identifier: GPL-2.0-only
"""The machine's memory, read and changed from outside of the guest."""

import mmap
import os
import struct

from rig.lib.machine import Failed


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
        return self.machine.platform.offset(address, len(self.bytes))

    def get(self, address):
        """8 bytes."""
        at = self._at(address)
        return struct.unpack("<Q", self.bytes[at:at + 8])[0]

    def put(self, address, value):
        at = self._at(address)
        self.bytes[at:at + 8] = struct.pack("<Q", value)
