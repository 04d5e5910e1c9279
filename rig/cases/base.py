# SPDX-License-Identifier: GPL-2.0-only
"""The ground that all other cases stand on: no devices, nothing preserved."""

import os
import re

from rig.lib.case import Case
from rig.lib.machine import Failed


def boot(machine):
    machine.start(append="rig.devs=none")
    machine.figures["uname_release"] = machine.wait("boot", stage=1)["kernel_release"]
    machine.wait("ready")
    machine.send("off")
    machine.finish()


def kexec(machine, iommu):
    machine.start(iommu=iommu, append="rig.devs=none rig.preserve=0")
    machine.wait("ready")
    machine.send("update")
    jump = machine.wait("jump")
    second = machine.wait("boot", stage=2)
    machine.figures["uname_release"] = second["kernel_release"]
    machine.figures["jump_to_user_space_ms"] = (second["host_ns"] - jump["host_ns"]) // 1000000
    machine.wait("nothing")
    machine.send("off")
    machine.finish()


def hang(machine):
    """
    A guest that stands still is looked at before it is ended, whoever gives up first: here
    the case that waits, long before the machine is thought to be quiet.
    To see it fail: Machine.wait() that leaves that to the watcher.
    """
    machine.start(append="rig.devs=none")
    machine.wait("ready")
    machine.qmp("stop")
    try:
        machine.wait("never", timeout_s=1)
    except Failed as error:
        if not re.search(r"waited for 'never'.*halted: \d,\d; ISR: .*; IRR: ", str(error)):
            raise
    if not os.path.exists(machine.path("autopsy.txt")):
        raise Failed("there is no autopsy.txt")
    machine.qmp("cont")
    machine.send("off")
    machine.finish()


CASES = [
    Case("boot", "the kernel boots behind the IOMMU and powers off", boot),
    Case("kexec", "a kernel replaces itself, with KHO and LUO on",
         lambda machine: kexec(machine, "vtd-scalable")),
    Case("kexec-legacy", "the same with the IOMMU in legacy mode",
         lambda machine: kexec(machine, "vtd-legacy")),
    Case("hang", "a guest that stands still is looked at before it is ended", hang),
]
