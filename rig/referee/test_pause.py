# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a pause, from marks and events as they come."""

import unittest
from collections import namedtuple

from rig.referee import pause

Mark = namedtuple("Mark", "name tsc instructions blocks")

WAY = [
    ("kernel_kexec", 100), ("device_shutdown", 110), ("machine_kexec", 130), ("entry", 135), ("common_startup_64", 175),
    ("mm_core_init", 200), ("kho_memory_init", 220), ("memblock_free_all", 260), ("poking_init", 300),
    ("initcall:pci_iommu_init", 310), ("initcall:acpi_init", 320), ("initcall:chr_dev_init", 350), ("function_of_no_part", 355),
    ("wait_for_initramfs", 360), ("console_on_rootfs", 361), ("first-of-user-space", 370),
]
PHASES = [("modules", 375, 380), ("retrieve", 390, 410), ("rebuild", 412, 420), ("verify", 421, 425), ("replace", 430, 431)]


def marks(way=WAY):
    return [Mark(name, tsc, tsc, {0x1000: 1}) for name, tsc in way]


def events(phases=PHASES):
    out = [{"ev": "phase", "name": "retrieve", "edge": edge, "tsc": 50} for edge in ("begin", "end")]
    for name, begin, end in phases:
        out += [{"ev": "phase", "name": name, "edge": "begin", "tsc": begin}, {"ev": "phase", "name": name, "edge": "end", "tsc": end}]
    return out


class Parts(unittest.TestCase):
    def test_sum_up(self):
        figures = pause.parts(marks(), events())
        self.assertEqual(figures["instructions_stop_to_run"], 331)
        self.assertEqual(figures["instructions_stop_to_user_space"], 270)
        self.assertEqual(sum(figures["parts"].values()), 331)

    def test_by_part(self):
        parts = pause.parts(marks(), events())["parts"]
        self.assertEqual(parts["KHO"], 40)
        self.assertEqual(parts["memory"], 60)
        self.assertEqual(parts["IOMMU"], 10)
        self.assertEqual(parts["ACPI"], 30)
        # What belongs to no part by itself goes on with the one before.
        self.assertEqual(parts["other initcalls"], 10)
        self.assertEqual((parts["user space"], parts["modules"]), (24, 5))
        self.assertEqual((parts["retrieve"], parts["rebuild"], parts["verify"], parts["replace"]), (22, 9, 9, 1))

    def test_last_jump_counts(self):
        earlier = [(name, tsc - 1000) for name, tsc in WAY]
        self.assertEqual(pause.parts(marks(earlier + WAY), events()), pause.parts(marks(), events()))

    def test_nothing_taken_over(self):
        figures = pause.parts(marks(), [], taken_over=False)
        self.assertNotIn("instructions_stop_to_run", figures)
        self.assertEqual(sum(figures["parts"].values()), 270)

    def test_no_jump(self):
        self.assertRaises(ValueError, pause.parts, marks(WAY[1:]), events())
        self.assertRaises(ValueError, pause.parts, marks(WAY[:-1]), events())


class Picture(unittest.TestCase):
    def test_parts_are_drawn(self):
        figures = pause.parts(marks(), events())
        text = pause.svg({"now": {"flavours": {"rig": figures}}})
        for part in figures["parts"]:
            self.assertIn(part, text)
        self.assertEqual(len(pause.COLOURS), len(pause.PARTS))


if __name__ == "__main__":
    unittest.main()
