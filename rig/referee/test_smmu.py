# SPDX-License-Identifier: GPL-2.0-only
"""Trace lines of QEMU's SMMUv3 as the referee reads them: real ones, and made-up ones of what goes wrong."""

import unittest

from rig.referee import dmalog, smmu

NAME = "smmuv3-iommu-memory-region-32-2"
WHEN = "2026-11-25T20:56:00.1439{:02}Z "


def log_of(*lines):
    return dmalog.DmaLog([WHEN.format(i) + line for i, line in enumerate(lines)], smmu)


def translated(iova=0x1003fd0040, address=0x852aa040, sid=0x20):
    return f"smmuv3_translate_success {NAME} sid=0x{sid:x} iova=0x{iova:x} translated=0x{address:x} perm=0x3 stage=2"


class Log(unittest.TestCase):
    sid = dmalog.source_id("0000:00:04.0")

    def test_dma(self):
        log = log_of(translated(), translated(0x1003fd0080, 0x852aa080), translated(0x1003fd1000, 0x1000))
        self.assertEqual(len(log.times(self.sid)), 3)
        self.assertEqual(len(log.times(self.sid, within=(0x1003fd1000, 0x1003fd2000))), 1)
        self.assertEqual((log.misdirected, log.unreadable, log.faults), ([], 0, []))

    def test_misdirected(self):
        log = log_of(translated(), translated(0x1003fd0ff0, 0x852abff0))
        self.assertEqual([m[1:] for m in log.misdirected], [(self.sid, 0x1003fd0000, 0x852ab000, 0x852aa000)])

    def test_refused(self):
        log = log_of("smmuv3_propagate_event SMMU_EVT_F_TRANSLATION sid=0x20",
                     f"smmuv3_translate_abort {NAME} sid=0x20 abort on iova:0x1003fd0040 is_write=1")
        self.assertEqual(log.faults_of([self.sid]),
                         {(self.sid, "SMMU_EVT_F_TRANSLATION"): 1, (self.sid, "the entry says abort"): 1})
        self.assertEqual(log.faults[1][3:], (0x1003fd0040, True))

    def test_not_translated(self):
        """What nobody translates reaches memory: it is no DMA that was as it should be."""
        log = log_of(f"smmuv3_translate_bypass {NAME} sid=0x20 STE bypass iova:0x1003fd0040 is_write=0",
                     f"smmuv3_translate_disable {NAME} sid=0x20 bypass (smmu disabled) iova:0x1003fd0040 is_write=1")
        self.assertEqual(log.times(self.sid), [])
        self.assertEqual(sorted(reason for _, reason in log.faults_of([self.sid])),
                         ["not translated: the SMMU is off", "not translated: the entry says bypass"])

    def test_switched(self):
        log = log_of("smmuv3_write_mmio addr: 0x20 val:0x8 size: 0x4(0)", "smmuv3_write_mmio addr: 0x20 val:0xd size: 0x4(0)", "smmuv3_write_mmio addr: 0x20 val:0xc size: 0x4(0)",
                     "smmuv3_write_mmio addr: 0x98 val:0x0 size: 0x4(0)")
        self.assertEqual((len(log.switched_on), len(log.switched_off)), (1, 1))

    def test_unreadable(self):
        for line in ("smmuv3_translate_success something new", "smmuv3_propagate_event", "smmuv3_translate_abort x",
                     "smmuv3_write_mmio 0x20"):
            self.assertEqual(log_of(line).unreadable, 0 if line == "smmuv3_propagate_event" else 1, line)
        self.assertEqual(log_of("smmuv3_propagate_event ").unreadable, 1)
        self.assertEqual(log_of("hda_audio_overrun st out", "vtd_dmar_fault x").unreadable, 0)


if __name__ == "__main__":
    unittest.main()
