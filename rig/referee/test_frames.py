# SPDX-License-Identifier: GPL-2.0-only
"""The judge of frames on doctored reports: what is wrong must be found by name."""

import array
import types
import unittest
import zlib

from rig.referee import frames


def log(count, dropped=()):
    maker = frames.Maker("52:54:00:c0:00:01")
    crcs = array.array("L", (maker.make(seq, 1000 + seq)[1] for seq in range(count)))
    flags = array.array("B", (int(seq in dropped) for seq in range(count)))
    return types.SimpleNamespace(crcs=crcs, flags=flags, times=None)


def run(log, slot, seq, n, **changed):
    event = {"ev": "rx", "nic": "nic", "slot": slot, "seq": seq, "n": n,
             "bytes": sum(map(frames.frame_length, range(seq, seq + n))),
             "crcs": sum(log.crcs[seq:seq + n])}
    event.update(changed)
    return event


def bad(slot, why="checksum", seq=0):
    return {"ev": "rxbad", "nic": "nic", "slot": slot, "why": why, "seq": seq, "length": 100}


class Frame(unittest.TestCase):
    def test_layout(self):
        frame, crc = frames.Maker("52:54:00:c0:00:01").make(7, 0x1122)
        self.assertEqual(len(frame), frames.frame_length(7))
        self.assertEqual(frame[:6].hex(), "525400c00001")
        self.assertEqual(frame[12:14].hex(), "88b5")
        self.assertEqual(int.from_bytes(frame[14:16], "little"), len(frame))
        self.assertEqual(int.from_bytes(frame[16:24], "little"), 7)
        self.assertEqual(int.from_bytes(frame[24:32], "little"), 0x1122)
        self.assertEqual(int.from_bytes(frame[36:40], "little"), crc)
        self.assertEqual(zlib.crc32(frame[40:], zlib.crc32(frame[14:36])), crc)

    def test_message(self):
        frame, crc = frames.Maker("52:54:00:c0:00:01", messages=True).make(7, 0x1122)
        self.assertEqual(len(frame), frames.frame_length(7, messages=True))
        self.assertEqual(len(frame), frames.BUFFER + 4)
        self.assertEqual(int.from_bytes(frame[14:16], "little"), len(frame))
        self.assertEqual(int.from_bytes(frame[-4:], "little"), frames.message(7))
        self.assertEqual(zlib.crc32(frame[40:-4], zlib.crc32(frame[14:36])), crc)

    def test_messages_are_all_numbers_of_16_bits(self):
        self.assertEqual({frames.message(seq) for seq in range(1 << 16)}, set(range(1 << 16)))

    def test_lengths_vary_within_bounds(self):
        lengths = {frames.frame_length(seq) for seq in range(5000)}
        self.assertEqual((min(lengths), max(lengths)), (frames.SMALLEST, frames.LARGEST))
        self.assertGreater(len(lengths), 900)


class Judge(unittest.TestCase):
    def setUp(self):
        self.log = log(100)

    def judge(self, *events, log=None):
        return frames.judge(list(events), log or self.log)

    def test_all_there(self):
        figures, found = self.judge(run(self.log, 0, 0, 60), {"ev": "boot"}, run(self.log, 60, 60, 40))
        self.assertEqual(found, [])
        self.assertEqual((figures["frames_sent"], figures["frames_received"], figures["frames_lost"]), (100, 100, 0))

    def test_nothing_at_all(self):
        figures, found = self.judge()
        self.assertEqual(figures["frames_lost"], 100)
        self.assertIn("0..99", found[0])

    def test_one_missing(self):
        figures, found = self.judge(run(self.log, 0, 0, 50), run(self.log, 50, 51, 49))
        self.assertEqual(figures["frames_lost"], 1)
        self.assertIn("50..50", found[0])

    def test_last_missing(self):
        figures, _ = self.judge(run(self.log, 0, 0, 99))
        self.assertEqual(figures["frames_lost"], 1)

    def test_twice(self):
        figures, found = self.judge(run(self.log, 0, 0, 100), run(self.log, 100, 99, 1))
        self.assertEqual(figures["frames_twice"], 1)
        self.assertTrue(found)

    def test_order(self):
        figures, found = self.judge(run(self.log, 0, 50, 50), run(self.log, 50, 0, 50))
        self.assertEqual((figures["frames_lost"], figures["frames_out_of_order"]), (0, 1))
        self.assertTrue(found)

    def test_torn(self):
        figures, found = self.judge(run(self.log, 0, 0, 10), bad(10, seq=10), run(self.log, 11, 11, 89))
        self.assertEqual((figures["frames_corrupt"], figures["frames_lost"]), (1, 1))
        self.assertIn("checksum", found[0])

    def test_guest_that_did_not_read(self):
        figures, found = self.judge(run(self.log, 0, 0, 100, crcs=12345))
        self.assertEqual((figures["frames_corrupt"], figures["frames_received"]), (100, 0))
        self.assertTrue(found)

    def test_wrong_length(self):
        figures, _ = self.judge(run(self.log, 0, 0, 100, bytes=1))
        self.assertEqual(figures["frames_corrupt"], 100)

    def test_never_sent(self):
        figures, _ = self.judge(run(self.log, 0, 0, 100), {**run(self.log, 100, 90, 10), "seq": 1000})
        self.assertEqual(figures["frames_unknown"], 10)

    def test_slot_skipped(self):
        figures, found = self.judge(run(self.log, 0, 0, 50), run(self.log, 51, 50, 50))
        self.assertEqual(figures["frames_out_of_order"], 1)
        self.assertIn("slot 50 expected", found[0])

    def test_another_device(self):
        event = run(self.log, 0, 0, 100)
        event["nic"] = "bystander"
        figures, _ = self.judge(event)
        self.assertEqual(figures["frames_received"], 0)

    def test_dropped_on_the_wire_counts_as_lost(self):
        dropped = log(100, dropped=range(90, 100))
        figures, found = self.judge(run(dropped, 0, 0, 90), log=dropped)
        self.assertEqual(figures["frames_lost"], 10)
        self.assertIn("10 of them", found[0])


if __name__ == "__main__":
    unittest.main()
