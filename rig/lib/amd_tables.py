# SPDX-License-Identifier: GPL-2.0-only
"""Where the entries of AMD-Vi are in the machine's memory."""

REGISTERS = 0xfed80000
DEVICE_TABLE = 0x0
ADDRESS = 0xffffffffff000


class AmdTables:
    def __init__(self, memory):
        self.memory = memory

    def entry(self, source):
        """Address of the device table entry of a requester id."""
        return (self.memory.machine.register(REGISTERS + DEVICE_TABLE) & ADDRESS) + source * 32
