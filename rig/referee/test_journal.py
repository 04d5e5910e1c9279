# SPDX-License-Identifier: GPL-2.0-only
"""The judge of a VM's journal on doctored disks."""

import io
import unittest

from rig.referee import journal


def judge(records, acknowledged, behind=b"\0" * journal.BYTES * 3):
    return journal.judge(io.BytesIO(b"".join(records) + behind), acknowledged)


class Judge(unittest.TestCase):
    def setUp(self):
        self.records = [journal.record(seq, seq * 10) for seq in range(20)]

    def test_all_is_well(self):
        figures, findings = judge(self.records, 20)
        self.assertEqual(findings, [])
        self.assertEqual(figures, {"disk_records": 20, "disk_records_lost": 0, "disk_records_torn": 0})

    def test_one_more_than_the_vm_was_told(self):
        self.assertEqual(judge(self.records, 19)[1], [])

    def test_a_full_disk(self):
        self.assertEqual(judge(self.records, 20, behind=b"")[1], [])

    def test_lost_at_the_end(self):
        figures, findings = judge(self.records, 22)
        self.assertEqual(figures["disk_records_lost"], 2)
        self.assertIn("2 of 22 records", findings[0])

    def test_lost_behind_the_disk(self):
        self.assertEqual(judge(self.records, 22, behind=b"")[0]["disk_records_lost"], 2)

    def test_lost_in_between(self):
        self.records[7] = b"\0" * journal.BYTES
        figures, findings = judge(self.records, 20)
        self.assertEqual((figures["disk_records_lost"], figures["disk_records_torn"]), (1, 0))
        self.assertIn("first [7]", findings[0])

    def test_another_in_its_place(self):
        self.records[7] = self.records[6]
        self.assertEqual(judge(self.records, 20)[0]["disk_records_lost"], 1)

    def test_torn(self):
        for at in (4, 10, 18, 25, 2000, journal.BYTES - 1):
            with self.subTest(at=at):
                records = list(self.records)
                data = bytearray(records[7])
                data[at] ^= 1
                records[7] = bytes(data)
                figures, findings = judge(records, 20)
                self.assertEqual((figures["disk_records_lost"], figures["disk_records_torn"]), (1, 1))
                self.assertIn("1 records are torn, first [7]", findings)

    def test_torn_before_the_vm_was_told(self):
        self.records[19] = self.records[19][:512] + b"\0" * (journal.BYTES - 512)
        figures, findings = judge(self.records, 19)
        self.assertEqual((figures["disk_records_lost"], figures["disk_records_torn"]), (0, 1))
        self.assertEqual(len(findings), 1)

    def test_something_behind_the_end(self):
        self.assertIn("behind the journal's end", judge(self.records, 20, behind=b"\0" * journal.BYTES + b"x" * 10)[1][0])

    def test_no_record(self):
        self.assertTrue(judge([], 0)[1])


if __name__ == "__main__":
    unittest.main()
