# SPDX-License-Identifier: GPL-2.0-only
"""An update's phases, from lines on the console as they come from kernels and continuo-qemu."""

import unittest

from rig.referee import page, phases, summary, timeline

STEPS = [
    (100, "continuo-qemu vm 12.000001 preserve"),
    (200, "continuo-qemu vm 12.300001 preserved 1 devices, 33554432 bytes for QEMU's state"),
    (300, "continuo-qemu vm 12.400001 suspend"),
    (310, "continuo-qemu vm 12.400001 stopped"),
    (400, "continuo-qemu vm 12.500001 suspended"),
    (500, "[   13.100000] kexec_core: Starting new kernel"),
    (700, "[    0.000000] Linux version 7.3.4-continuo-vm"),
    (1700, "[    2.000000] Run /init as init process"),
    (1800, "continuo-qemu vm 2.100000 take"),
    (1850, "continuo-qemu vm 2.150000 retrieved session vm"),
    (1900, "continuo-qemu vm 2.200000 rebuilt 1 devices"),
    (1910, "continuo-qemu vm 2.210000 wired nic: 5 interrupts, MSI-X"),
    (2000, "continuo-qemu vm 2.300000 given 687 bytes, 21 descriptors"),
    (2100, "continuo-qemu vm 2.400000 accepted 123 bytes"),
    (2150, "continuo-qemu vm 2.450000 running process 60"),
    (2160, "continuo-qemu vm 2.460000 finished"),
]


class OfAVm(unittest.TestCase):
    def spans(self, lines, begin=0):
        return phases.spans([], lines, table=phases.VM_PHASES, begin=begin)

    def test_all(self):
        self.assertEqual(self.spans(STEPS), [
            ("preserve", 100, 200), ("suspend", 300, 400), ("freeze", 400, 500), ("jump", 500, 700), ("kernel boot", 700, 1700),
            ("user space", 1700, 1800), ("retrieve", 1800, 1850), ("rebuild", 1850, 1900), ("wire", 1900, 1910),
            ("start", 1910, 2000), ("give", 2000, 2100), ("run", 2100, 2150), ("finish", 2150, 2160)])

    def test_of_the_second_update(self):
        again = [(t + 10000, line) for t, line in STEPS]
        self.assertEqual(self.spans(STEPS + again, begin=5000), self.spans(again))

    def test_that_went_no_further(self):
        self.assertEqual([name for name, _, _ in self.spans(STEPS[:5])], ["preserve", "suspend"])

    def test_words_elsewhere_in_a_line(self):
        self.assertFalse(phases.says("continuo-qemu vm 12.3 event the VM is running", "qemu:running"))
        self.assertFalse(phases.says("[ 1.0] something is running", "qemu:running"))
        self.assertFalse(phases.says("continuo-qemu: running", "qemu:running"))
        self.assertTrue(phases.says("continuo-qemu vm 12.3 running process 4", "qemu:running"))


class Shown(unittest.TestCase):
    FIGURES = {"frames_sent": 10, "frames_lost": 0, "disk_records": 5, "disk_records_lost": 0, "guest_clock_backwards": 0,
               "pause_ms": 1750.0, "phases_ms": {"jump": 200.0}, "pause_phases_ms": {"jump": 200.0, "kernel_boot": 1000.0}}

    def test_table(self):
        text = summary.table(self.FIGURES)
        self.assertIn("length of the update by phase:\n  jump ", text)
        self.assertIn("of which the virtual CPUs stand still:\n  jump ", text)
        self.assertIn("  kernel boot ", text)

    def test_page(self):
        text = page.page("A VM", self.FIGURES, "<svg/>", page.VM_HOW_TO_READ)
        self.assertIn("Nothing was lost.", text)
        self.assertIn("Of which the virtual CPUs stand still", text)
        for key in ("disk_records_lost", "guest_clock_backwards", "frames_lost"):
            self.assertIn("losses: see below", page.page("A VM", {**self.FIGURES, key: 3}, "<svg/>"))

    def test_picture(self):
        spans = [("jump", 0, 200_000), ("kernel boot", 200_000, 1_200_000)]
        self.assertIn("1150 ms", timeline.svg("t", spans, [("nic DMA", [1, 2])], 0, 2_000_000, (), [(50_000, 1_200_000)]))
        self.assertNotIn("blackout", timeline.svg("t", spans, [], 0, 2_000_000))


if __name__ == "__main__":
    unittest.main()
