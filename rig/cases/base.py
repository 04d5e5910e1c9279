# SPDX-License-Identifier: GPL-2.0-only
"""The ground that all other cases stand on: no devices, nothing preserved."""

from rig.lib.case import Case


def boot(machine):
    machine.start(append="rig.devs=none")
    machine.figures["uname_release"] = machine.wait("boot", stage=1)["kernel_release"]
    machine.wait("ready")
    machine.send("off")
    machine.finish()


def kexec(machine, mode):
    machine.start(mode=mode, append="rig.devs=none rig.preserve=0")
    machine.wait("ready")
    machine.send("update")
    jump = machine.wait("jump")
    second = machine.wait("boot", stage=2)
    machine.figures["uname_release"] = second["kernel_release"]
    machine.figures["jump_to_user_space_ms"] = (second["host_ns"] - jump["host_ns"]) // 1000000
    machine.wait("nothing")
    machine.send("off")
    machine.finish()


CASES = [
    Case("boot", "the kernel boots behind the IOMMU and powers off", boot),
    Case("kexec", "a kernel replaces itself, with KHO and LUO on",
         lambda machine: kexec(machine, "scalable")),
    Case("kexec-legacy", "the same with the IOMMU in legacy mode",
         lambda machine: kexec(machine, "legacy")),
]
