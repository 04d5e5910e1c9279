# SPDX-License-Identifier: GPL-2.0-only
"""
The QEMU that the rig starts, and what its versions call by different names.

The rig uses QEMU 11.1, or 10.0 where 11.1 cannot be had. With two CPUs QEMU 10.0 now and
then loses a write of one CPU to its local APIC while the other CPU moves a BAR. Then QEMU
ends by an assertion, or the guest has no timer interrupts any more. Neither says anything
about the kernel in the guest.
"""

import functools
import os
import re
import subprocess

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
WANTED = 11, 1
WANTED_TEXT = ".".join(map(str, WANTED))


class Qemu:
    def __init__(self, path, version):
        self.path = path
        self.text = version                                     # as in "11.1.3"
        self.old = tuple(int(n) for n in version.split(".")[:2]) < WANTED

    def installed(self):
        """(the folder below which it and its libraries are, the program itself): unpacked by scripts/setup, or the system's."""
        top = os.path.dirname(os.path.abspath(self.path))
        program = f"{top}/usr/bin/qemu-system-x86_64"
        return (top, program) if os.path.isfile(program) else ("", os.path.realpath(self.path))

    def control(self, chardev):
        """QMP on a character device."""
        if self.old:
            return ["-mon", f"chardev={chardev},mode=control"]
        return ["-object", f"monitor-qmp,id=monitor,chardev={chardev}"]

    def hda_output(self, audiodev):
        return f"hda-output,audiodev={audiodev},mixer=off" + (",use-timer=off" if self.old else "")

    def intel_iommu(self, scalable):
        """How the property is called that takes the unit to scalable mode."""
        return f"{'x-' if self.old else ''}scalable-mode={'on' if scalable else 'off'}"

    @property
    def first_stage(self):
        """The property that gives the unit first-stage tables, in scalable mode."""
        return f"{'x-flts' if self.old else 'fsts'}=on"


def _named_by(*command):
    path = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    try:
        said = subprocess.run([path, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return Qemu(path, re.search(r"version (\d+\.[\d.]*\d)", said)[1])


@functools.cache
def find(program="qemu-system-x86_64"):
    """The one that scripts/setup names; None if there is none."""
    return _named_by(f"{TOP}/scripts/setup", "--qemu" if program == "qemu-system-x86_64" else "--qemu-arm")


@functools.cache
def find_older():
    """The older one of those whose CPR channel continuo-qemu knows, for VMs; None if there is none."""
    return _named_by(f"{TOP}/scripts/build-qemu", "--name")
