# SPDX-License-Identifier: GPL-2.0-only
"""
The machine without its IOMMU and its devices: the arguments for QEMU and the kernels. To
add a platform, add a class with the same members.
"""

from rig.lib import tsc


class Q35:
    """A PC."""

    console = "console=ttyS0"
    early_console = "earlyprintk=ttyS0"
    # no_timer_check: on a busy host the kernel's test of the emulated timer
    # does not see its ten ticks in time, and panics. tsc=nowatchdog: 7.3's watchdog of
    # the TSC waits for another CPU in an interrupt handler, by a clock that stands still
    # while that CPU waits in stop_machine() for the clock to be changed. Both spin then.
    options = "no_timer_check tsc=nowatchdog"
    # identify_cpu() of 7.3 clears the boot CPU's feature bits with
    # interrupts on and reads them again. KASAN asks one of them where
    # its shadow begins: an interrupt just then is a "wild access".
    debug_options = "no5lvl"
    # Of QEMU's monitor: where each CPU is, and which interrupts it waits for.
    autopsy = ("info cpus", "info registers -a", "info lapic 0", "info lapic 1", "info pic")

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
