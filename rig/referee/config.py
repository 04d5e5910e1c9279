# SPDX-License-Identifier: GPL-2.0-only
"""
QEMU's trace of writes to configuration space as evidence: how a kernel left a
device to the next one.
"""

import re
from dataclasses import dataclass

from rig.referee import trace

EVENT = "pci_cfg_write"

_VALUES = re.compile(r"\S+ (\w\w:\w\w\.\w) @0x(\w+) <- 0x(\w+)")

COMMAND, BAR0, BRIDGE_CONTROL = 0x4, 0x10, 0x3e
MASTER, INTX_DISABLE, BUS_RESET = 0x4, 0x400, 0x40


def writes(lines):
    """(address without its segment, offset, value) of each."""
    for line in lines:
        event = trace.parse(line)
        found = event and event[1] == EVENT and _VALUES.match(event[2])
        if found:
            yield found[1], int(found[2], 16), int(found[3], 16)


@dataclass
class Left:
    """What the last writes before the next kernel's first one say; None: there was none."""
    command: int = None
    msi: int = None             # message control of MSI
    msix: int = None            # and of MSI-X
    writes: int = 0             # to these three, while the kernel ran

    def wrong(self):
        """What is not as a device that is handed over has to be left."""
        found = []
        if self.command is not None and not self.command & INTX_DISABLE:
            found.append(f"INTx is not disabled (command {self.command:#x})")
        if self.command is not None and not self.command & MASTER:
            found.append(f"bus mastering is off (command {self.command:#x})")
        if self.msi is not None and self.msi & 0x1:
            found.append(f"MSI is on (control {self.msi:#x})")
        if self.msix is not None and self.msix & 0x8000:
            found.append(f"MSI-X is on (control {self.msix:#x})")
        return found


def left(lines, bdf, msi, msix):
    """[Left] for each kernel that came to find the device: the first thing that it does
    there is to size BAR 0. msi, msix: where these capabilities are."""
    out, now = [], Left()
    for where, offset, value in writes(lines):
        if where != bdf[-7:]:
            continue
        if offset == BAR0 and value == 0xffffffff:
            out.append(now)
            now = Left()
        elif offset == COMMAND:
            now.command = value
        elif offset == msi + 2:
            now.msi = value
        elif offset == msix + 2:
            now.msix = value
        now.writes += offset in (COMMAND, msi + 2, msix + 2)
    return out
