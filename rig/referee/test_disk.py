# SPDX-License-Identifier: GPL-2.0-only
"""The judge of a disk on doctored reports: what is wrong must be found by name."""

import io
import struct
import unittest

from rig.referee import disk

COUNT = 80
TIME = "2026-11-27T12:00:00.000000Z"


def made(order, status=0):
    return [f"{TIME} {disk.MADE} cid 7 cqid 0 dw0 0x0 dw1 0x0 status 0x0"] + \
           [f"{TIME} {disk.MADE} cid {n} cqid 1 dw0 0x0 dw1 0x0 status {status:#x}" for n in order]


def image(commands):
    data = bytearray(2 * disk.PLACES * disk.BLOCK)
    for n in commands:
        if disk.is_write(n):
            for lba in disk.lbas(n):
                data[lba * disk.BLOCK:(lba + 1) * disk.BLOCK] = disk.block(n, lba)[0]
    return io.BytesIO(data)


def report(order, issued=None, **changed):
    crcs = sum(disk.block(disk.written_by(n), lba)[1] for n in order if not disk.is_write(n) for lba in disk.lbas(n))
    return [{"ev": "completed", "at": 0, "cids": list(order), "crcs": crcs, **changed},
            {"ev": "disk", "issued": len(order) if issued is None else issued}]


class Rule(unittest.TestCase):
    def test_a_read_is_of_what_has_completed(self):
        for n in range(1000):
            if not disk.is_write(n):
                self.assertTrue(disk.is_write(disk.written_by(n)))
                self.assertLessEqual(disk.written_by(n), n - disk.DEPTH)

    def test_block(self):
        data, crc = disk.block(5, 10)
        self.assertEqual(len(data), disk.BLOCK)
        self.assertEqual(struct.unpack_from("<QQQII", data)[1:], (10, 5, 0, crc))


class Queue(unittest.TestCase):
    def test_phase(self):
        page = bytearray(4096)
        for i in range(300):
            struct.pack_into("<HH", page, i % 256 * 16 + 12, i, 1 - (i // 256 & 1))
        self.assertEqual(disk.entries(page, 250, 60), list(range(250, 300)))
        self.assertEqual(disk.entries(page, 300, 10), [])


class Judge(unittest.TestCase):
    order = [1, 0, *range(2, COUNT)]

    def judge(self, events, lines=None, stored=None):
        return disk.judge(events, made(self.order) if lines is None else lines, stored or image(range(COUNT)))

    def finds(self, text, *arguments):
        found = self.judge(*arguments)[1]
        self.assertTrue(any(text in f for f in found), found)

    def test_good(self):
        figures, found = self.judge(report(self.order))
        self.assertEqual(found, [])
        self.assertEqual(figures["disk_completions"], COUNT)
        self.assertGreater(figures["disk_reads"], 10)
        self.assertGreater(figures["disk_blocks_compared"], COUNT // 2)

    def test_never(self):
        self.finds("1 commands never completed (80)", report(self.order, issued=COUNT + 1))

    def test_twice(self):
        self.finds("1 commands completed twice (3)", report(self.order + [3], issued=COUNT), made(self.order + [3]))

    def test_order(self):
        self.finds("differ from number 0 on", report(range(COUNT)))

    def test_one_more_than_the_controller_made(self):
        self.finds("differ from number 79 on", report(self.order), made(self.order[:-1]))

    def test_list_missing(self):
        self.finds("from 0 on are missing", report(self.order, at=4))

    def test_read(self):
        self.finds("is not what was written", report(self.order, crcs=1))

    def test_not_stored(self):
        self.finds("acknowledged writes are not in the file (commands 8)", report(self.order), None,
                   image(n for n in range(COUNT) if n != 8))

    def test_overwritten_by_one_in_flight(self):
        again = disk.PLACES
        stored = image([*range(again), again])
        events = report(range(again), issued=again + 1)
        found = disk.judge(events, made(range(again)), stored)[1]
        self.assertEqual(found, [f"1 commands never completed ({again})"])

    def test_refused(self):
        self.finds("refuses 80 commands", report(self.order), made(self.order, 0x4002))

    def test_what_the_driver_found(self):
        self.finds("command 9: checksum", report(self.order) + [{"ev": "diskbad", "command": 9, "why": "checksum", "value": 1}])

    def test_not_understood(self):
        with self.assertRaises(ValueError):
            self.judge(report(self.order), [f"{TIME} {disk.MADE} something else"])


if __name__ == "__main__":
    unittest.main()
