# SPDX-License-Identifier: GPL-2.0-only
"""Real trace lines of both versions of QEMU, and what looks like one and is none."""

import unittest

from rig.referee import dmalog, noiommu, trace, vtd

VALUES = "dev 00:04.00 iova 0x1003fd0000 -> gpa 0x52aa000 mask 0xfff"
OLD = "15414@1795640160.143902:vtd_dmar_translate " + VALUES
NEW = "2026-11-25T20:56:00.143902Z vtd_dmar_translate " + VALUES


class Line(unittest.TestCase):
    expected = 1795640160_143902, "vtd_dmar_translate", VALUES

    def test_both_say_the_same(self):
        for line in (OLD, NEW, OLD + "\n", NEW + "\n"):
            self.assertEqual(trace.parse(line), self.expected)

    def test_without_a_process(self):
        self.assertEqual(trace.parse(OLD.partition("@")[2]), self.expected)

    def test_without_values(self):
        self.assertEqual(trace.parse("2026-11-25T20:56:00.000001Z vtd_context_cache_reset "),
                         (1795640160_000001, "vtd_context_cache_reset", ""))

    def test_whole_second(self):
        """One line in a million of QEMU 11 has no fraction: GLib leaves it out where it is zero."""
        self.assertEqual(trace.parse("2026-11-25T20:56:00Z vtd_dmar_translate " + VALUES),
                         (1795640160_000000, "vtd_dmar_translate", VALUES))

    def test_edges(self):
        for line, seconds in (("2024-02-29T23:59:59.999999Z e ", 1709251199), ("2024-03-01T00:00:00.999999Z e ", 1709251200),
                              ("1970-01-01T00:00:00.999999Z e ", 0)):
            self.assertEqual(trace.parse(line)[0], seconds * 1_000_000 + 999_999)

    def test_none(self):
        for line in ("", "\n", "vtd_dmar_translate " + VALUES,
                     "2026-11-25T20:55:59.524959Z qemu-system-x86_64: warning: '-mon' is deprecated",
                     "2026-11-25T20:56:00.143902 vtd_x y", "2026-11-25T20:56:00 vtd_x y", "1795640160:vtd_x y"):
            self.assertIsNone(trace.parse(line), line)

    def test_the_referee_reads_both(self):
        for line in (OLD, NEW):
            log = dmalog.DmaLog([line], vtd)
            self.assertEqual(log.times(0x20), [self.expected[0]])
            self.assertEqual(log.unreadable, 0)

    def test_without_an_iommu(self):
        values = "buffer 1, addr: 0x2da540, offset: 16, from: 0x55555725359c, length: 257"
        log = dmalog.DmaLog(["2026-11-25T20:56:00.143902Z igb_rx_desc_buff_write " + values], noiommu)
        self.assertEqual(log.dma[noiommu.NIC], ([self.expected[0]], [0x2da550], [256]))
        self.assertIsNone(noiommu.read("hda_audio_overrun", "st out"))
        with self.assertRaises(ValueError):
            noiommu.read(noiommu.DMA, "something new")


if __name__ == "__main__":
    unittest.main()
