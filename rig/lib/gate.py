# SPDX-License-Identifier: GPL-2.0-only
"""
A gate between two kernels: the next kernel says that it is there with its first
instruction, and waits with it until the referee lets it go on. So what happens in between
happens while no kernel is there, however slow the host is.

It is a copy of a bzImage in which the 64-bit entry, which kexec jumps to, goes to a loop
first. The loop is where the 32-bit entry was, which nobody uses then. It talks to the
referee by way of a third serial port, COM3, which the kernels do not use.

"The Linux/x86 Boot Protocol", sections "The Real-Mode Kernel Header" and "64-bit BOOT
PROTOCOL".
"""

import struct

from rig.lib.machine import Failed

SETUP_SECTORS = 0x1f1           # in the header
ENTRY_64 = 0x200                # from where the protected-mode part is loaded
ARRIVED, GO = b"G", b"\n"
SOCKET = "gate.sock"
DEVICE = ("-chardev", f"socket,id=gate,path={SOCKET},server=on,wait=off", "-serial", "chardev:gate")

# cld; cli; xor %eax,%eax; mov %eax,%ds: what is replaced by a jump, and done afterwards
BEGIN = bytes.fromhex("fcfa 31c0 8ed8")
LOOP = bytes.fromhex(
    "bae8030000"                # mov $0x3e8,%edx: the data of COM3
    "b047"                      # mov $'G',%al
    "ee"                        # out %al,(%dx)
    "baed030000"                # mov $0x3ed,%edx: its line status
    "ec"                        # 1: in (%dx),%al
    "a801"                      # test $1,%al: has something come?
    "74fb"                      # jz 1b
    "bae8030000"                # mov $0x3e8,%edx
    "ec")                       # in (%dx),%al


def _jump(at, to):
    """A jump from one place in the image to another one."""
    return b"\xe9" + struct.pack("<i", to - at - 5)


def gated(image):
    """A bzImage with the gate in it."""
    start = ((image[SETUP_SECTORS] or 4) + 1) * 512
    entry = start + ENTRY_64
    if image[entry:entry + len(BEGIN)] != BEGIN:
        raise Failed("the kernel's 64-bit entry does not begin as it is known to")
    loop = LOOP + BEGIN
    loop += _jump(start + len(loop), entry + len(BEGIN))
    there = _jump(entry, start).ljust(len(BEGIN), b"\x90")
    return image[:start] + loop + image[start + len(loop):entry] + there + image[entry + len(there):]


class Gate:
    """Of a machine that has DEVICE among its devices, and has started."""

    def __init__(self, machine):
        self._machine = machine
        self._socket = machine.connect(SOCKET)
        self._socket.settimeout(0.2)

    def arrived(self):
        """Wait until the next kernel is at the gate: the one before has ended."""
        while True:
            self._machine.check()
            if self._machine.ended():
                raise Failed("the machine ended before the next kernel was there")
            try:
                if ARRIVED in self._socket.recv(64):
                    return
            except TimeoutError:
                pass

    def open(self):
        self._socket.sendall(GO)

    def close(self):
        self._socket.close()
