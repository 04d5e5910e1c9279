# SPDX-License-Identifier: GPL-2.0-only
"""
The machine without its IOMMU and its devices: the arguments for QEMU and the kernels. To
add a platform, add a class with the same members, and name it by the kernels that are built
for it (of_kernel()).
"""

import re

from rig.lib import tsc


class Q35:
    """A PC."""

    qemu = "qemu-system-x86_64"
    plain, debug = "rig", "debug"   # flavours of scripts/build-kernel: the usual one, and that with KASAN and lockdep
    image = "bzImage"               # of scripts/build-kernel
    guest = "guest"                 # folder of the guest's programs, below build/
    make = ()                       # what make builds them with
    setup = ()                      # parts of scripts/setup that only this platform needs
    libraries = None                # option of scripts/setup that says where those are that programs are linked with
    iommu = "vtd-scalable"          # if a case names none
    console = "console=ttyS0"
    early_console = "earlyprintk=ttyS0"
    # no_timer_check: on a busy host the kernel's test of the emulated timer
    # does not see its ten ticks in time, and panics. tsc=nowatchdog: 7.3's watchdog of
    # the TSC waits for another CPU in an interrupt handler, by a clock that stands still
    # while that CPU waits in stop_machine() for the clock to be changed. Both spin then.
    options = "no_timer_check tsc=nowatchdog"
    # KHO's own estimate of its scratch areas finds no room, see Machine.prepare().
    # identify_cpu() of 7.3 clears the boot CPU's feature bits with
    # interrupts on and reads them again. KASAN asks one of them where
    # its shadow begins: an interrupt just then is a "wild access".
    debug_options = "kho_scratch=32M,64M,768M no5lvl"
    # Of QEMU's monitor: where each CPU is, and which interrupts it waits for.
    autopsy = ("info cpus", "info registers -a", "info lapic 0", "info lapic 1", "info pic")

    @staticmethod
    def brief(text):
        """The last of what the autopsy found, in one line."""
        halted = ",".join(re.findall(r"HLT=(\d)", text))
        return f"halted: {halted}; " + "; ".join(
            f"{what}: " + ",".join(re.findall(rf"^{what}\s+(.*?)\s*$", text, re.M)) for what in ("ISR", "IRR"))

    @staticmethod
    def arguments(count, nested):
        """QEMU's; see Machine.prepare()."""
        # Of the two ways to run VMs, QEMU emulates AMD's.
        return ["-machine", "q35,kernel-irqchip=split",
                "-accel", "tcg,thread=single" if count else "tcg,thread=multi",
                "-cpu", "max,vendor=AuthenticAMD" if nested else "max"]

    @staticmethod
    def nested_options():
        """For kernels that run VMs. A kernel that measures the TSC on a busy host measures
        another frequency than the kernel before: the VM's clock would stand still, or step
        back."""
        return f"tsc_early_khz={tsc.khz()}"

    @staticmethod
    def offset(address, size):
        """Where in a memory of that size a physical address is: there is room left below
        4 GiB if there is this much or more."""
        split_from, below, above = 0xb0000000, 0x80000000, 1 << 32
        return address - above + below if size >= split_from and address >= above else address


class Virt:
    """QEMU's arm64 machine, with a GICv3 that has an ITS, and a device tree."""

    qemu = "qemu-system-aarch64"
    plain, debug = "arm", "arm-debug"
    image = "Image"
    guest = "guest-arm"
    setup = ("arm",)
    make = ("CC=aarch64-linux-gnu-gcc", "AR=aarch64-linux-gnu-ar", "LD=aarch64-linux-gnu-ld",
            "OBJCOPY=aarch64-linux-gnu-objcopy")
    libraries, triplet = "--libraries-arm", "aarch64-linux-gnu"
    iommu = "smmuv3"
    console = "console=ttyAMA0"
    early_console = "earlycon"
    options = "rig.ctl=/dev/ttyAMA1"
    # arm64 wants an initramfs above its kernel, and takes the first area that a kernel fits in,
    # which is the one with the highest address: the initramfs has to fit there, too.
    debug_options = "kho_scratch=768M,64M,32M"
    autopsy = ("info cpus", "info registers -a")

    @staticmethod
    def brief(text):
        """The last of what the autopsy found, in one line."""
        return "PC: " + ",".join(re.findall(r"\bPC=(\w+)", text))

    @staticmethod
    def arguments(count, nested):
        """QEMU's; see Machine.prepare()."""
        return ["-machine", f"virt,gic-version=3,its=on,virtualization={'on' if nested else 'off'}",
                "-accel", "tcg,thread=single" if count else "tcg,thread=multi", "-cpu", "cortex-a76"]

    @staticmethod
    def nested_options():
        return ""

    @staticmethod
    def offset(address, size):
        """Where in a memory of that size a physical address is: all of it is in one piece."""
        return address - (1 << 30)


def of_kernel(flavour):
    """The platform that a flavour of scripts/build-kernel is for."""
    return Virt if flavour.startswith("arm") else Q35
