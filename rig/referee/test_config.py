# SPDX-License-Identifier: GPL-2.0-only
"""How a device was left: as it has to be, and in each other way."""

import unittest

from rig.referee.config import left

LINE = "2026.000001:pci_cfg_write igb 00:04.0 @0x{:x} <- 0x{:x}"
SIZED = (0x10, 0xffffffff)


def said(*writes):
    lines = [LINE.format(*write) for write in (*writes, SIZED)]
    return [one.wrong() for one in left(lines, "0000:00:04.0", 0x50, 0x70)]


class Left(unittest.TestCase):
    def test_well(self):
        self.assertEqual(said((0x4, 0x106), (0x72, 0x8002), (0x4, 0x506), (0x72, 0x2), (0x52, 0x0)), [[]])

    def test_nothing_written(self):
        self.assertEqual(said(), [[]])

    def test_each_other_way(self):
        for write, text in (((0x4, 0x106), "INTx"), ((0x4, 0x502), "bus mastering"),
                            ((0x52, 0x81), "MSI is on"), ((0x72, 0xc002), "MSI-X is on")):
            with self.subTest(text):
                self.assertIn(text, said((0x4, 0x506), write)[0][0])

    def test_each_kernel_by_itself(self):
        self.assertEqual([len(one) for one in said((0x4, 0x106), SIZED, (0x4, 0x506))], [1, 0])

    def test_another_device(self):
        lines = [LINE.format(0x4, 0x106).replace("04.0", "05.0"), LINE.format(*SIZED)]
        self.assertEqual([one.wrong() for one in left(lines, "0000:00:04.0", 0x50, 0x70)], [[]])


if __name__ == "__main__":
    unittest.main()
