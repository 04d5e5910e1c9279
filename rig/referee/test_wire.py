# SPDX-License-Identifier: GPL-2.0-only
"""The judge of a VM's words on doctored ones: what is wrong must be found by name."""

import array
import os
import socket
import tempfile
import threading
import time
import types
import unittest

from rig.referee import frames, wire

MS = 1_000_000
MAKER = frames.Maker("52:54:00:c0:00:01")


def log(count, dropped=()):
    crcs = array.array("L", (MAKER.make(seq, 1000 + seq, last=seq == count - 1)[1] for seq in range(count)))
    return types.SimpleNamespace(crcs=crcs, flags=array.array("B", (int(s in dropped) for s in range(count))))


def answer(log, seq, counted=None, **changed):
    at = seq * 5 * MS
    word = wire.Word(heard_ns=10**12 + at, heard_real_ns=10**18 + at, kind=wire.ANSWER, seq=seq,
                     counted=seq + 1 if counted is None else counted, crc=log.crcs[seq] if seq < len(log.crcs) else 0,
                     length=frames.frame_length(seq), mono_ns=10**9 + at, real_ns=10**18 + at - 40 * MS, tsc=1000 + at,
                     acknowledged=seq, backwards=0, cpus=2, sounds=0)
    return word._replace(**changed)


class Sounds(unittest.TestCase):
    def words(self, *counts):
        """A status in each second from 1 on, with so many interrupts."""
        return [answer(log(1), 0)._replace(kind=wire.STATUS, heard_ns=i * 10**9, sounds=n) for i, n in enumerate(counts, 1)]

    def test_they_go_on(self):
        values, found = wire.judge_sounds(self.words(0, 3, 6, 6, 9, 12), [(3 * 10**9, 4 * 10**9)])
        self.assertEqual((values, found), ({"sound_interrupts": [6, 3]}, []))

    def test_they_end_at_the_update(self):
        # One that came while it was down is no sign that the next one will come.
        _, found = wire.judge_sounds(self.words(0, 3, 6, 7, 7, 7), [(3 * 10**9, 4 * 10**9)])
        self.assertEqual(found, ["no interrupt of the audio device has come to the VM after update 1"])

    def test_there_was_none(self):
        _, found = wire.judge_sounds(self.words(0, 0, 0, 1, 4, 5), [(3 * 10**9, 4 * 10**9)])
        self.assertEqual(found, ["no interrupt of the audio device has come to the VM before the first update"])

    def test_an_answer_says_nothing_of_them(self):
        words = self.words(0, 3, 6, 6, 9, 12)
        words.insert(5, words[5]._replace(kind=wire.ANSWER, sounds=0))
        self.assertEqual(wire.judge_sounds(words, [(3 * 10**9, 4 * 10**9)])[1], [])


class Word(unittest.TestCase):
    def test_layout(self):
        word = answer(log(8), 7)
        frame = wire.pack(word)
        self.assertEqual(len(frame), 14 + 80)
        self.assertEqual(frame[12:18].hex(), "88b652494756")
        self.assertEqual(int.from_bytes(frame[22:30], "little"), 7)
        self.assertEqual(wire.parse(frame, word.heard_ns, word.heard_real_ns), word)

    def test_of_somebody_else(self):
        frame = wire.pack(answer(log(1), 0))
        self.assertIsNone(wire.parse(frame[:-1], 0, 0))
        self.assertIsNone(wire.parse(frame[:12] + b"\x86\xdd" + frame[14:], 0, 0))
        self.assertIsNone(wire.parse(frame[:14] + b"xxxx" + frame[18:], 0, 0))

    def test_stream(self):
        data = b"".join(len(f).to_bytes(4, "big") + f for f in (b"one", b"", b"three"))
        for step in (1, 2, 3, len(data)):
            splitter = wire.Splitter()
            got = [f for i in range(0, len(data), step) for f in splitter.feed(data[i:i + step])]
            self.assertEqual(got, [b"one", b"", b"three"])


class Judge(unittest.TestCase):
    def setUp(self):
        self.log = log(50)
        self.words = [answer(self.log, seq) for seq in range(50)]

    def rebooted(self, at=30):
        """The same, but the VM boots again before it gets frame number at."""
        return [w if w.seq < at else w._replace(counted=w.seq - at + 1, mono_ns=w.mono_ns - 10**9 - at * 5 * MS) for w in self.words]

    def test_a_boot_that_was_to_be(self):
        words = self.rebooted()
        self.assertEqual([len(part) for part in wire.boots(words)], [30, 20])
        figures, found = wire.judge(words, self.log, reboots=1)
        self.assertEqual((figures["frames_received"], figures["frames_lost"], found), (50, 0, []))
        self.assertEqual(wire.judge_clocks([w._replace(tsc=w.tsc) for w in words])[1], [])

    def test_a_boot_that_was_not(self):
        self.assertIn("the VM booted again 1 times, and was to do so 0 times", wire.judge(self.rebooted(), self.log)[1])
        self.assertIn("the VM booted again 0 times, and was to do so 1 times", wire.judge(self.words, self.log, reboots=1)[1])

    def test_a_frame_lost_at_a_boot(self):
        words = self.rebooted()
        del words[29]
        figures, found = wire.judge(words, self.log, reboots=1)
        self.assertEqual(figures["frames_lost"], 1)
        self.assertTrue(found)

    def judge(self, words=None):
        return wire.judge(self.words if words is None else words, self.log)

    def test_all_is_well(self):
        figures, findings = self.judge()
        self.assertEqual(findings, [])
        self.assertEqual((figures["frames_sent"], figures["frames_received"], figures["frames_lost"]), (50, 50, 0))

    def test_status_words_are_no_answers(self):
        status = self.words[9]._replace(kind=wire.STATUS)
        self.assertEqual(self.judge([*self.words[:10], status, *self.words[10:]])[1], [])

    def test_frame_lost(self):
        words = [*self.words[:20], *(w._replace(counted=w.counted - 1) for w in self.words[21:])]
        figures, findings = self.judge(words)
        self.assertEqual(figures["frames_lost"], 1)
        self.assertEqual(figures["answers_lost"], 0)
        self.assertEqual(findings, ["1 of 50 frames lost, first [20] (0 of them because the device took nothing)"])

    def test_answer_lost(self):
        figures, findings = self.judge([*self.words[:20], *self.words[21:]])
        self.assertEqual((figures["frames_lost"], figures["answers_lost"]), (0, 1))
        self.assertIn("50 frames were counted, and 49 answered", findings)

    def test_the_end_is_missing(self):
        figures, findings = self.judge(self.words[:30])
        self.assertEqual(figures["frames_lost"], 20)
        self.assertIn("20 of 50 frames lost", findings[0])

    def test_no_word_at_all(self):
        figures, findings = self.judge([])
        self.assertEqual((figures["frames_received"], figures["frames_lost"]), (0, 50))
        self.assertTrue(findings)

    def test_damaged(self):
        for changed in ({"crc": 1}, {"length": 60}):
            figures, findings = self.judge([self.words[0]._replace(**changed), *self.words[1:]])
            self.assertEqual((figures["frames_corrupt"], figures["frames_lost"]), (1, 1))
            self.assertIn("frame 0 has not come in as it was sent", findings[0])

    def test_twice(self):
        words = [*self.words[:10], answer(self.log, 9, counted=11), *(w._replace(counted=w.counted + 1) for w in self.words[10:])]
        figures, findings = self.judge(words)
        self.assertEqual((figures["frames_twice"], figures["frames_received"]), (1, 51))
        self.assertIn("frame 9 was answered twice", findings)

    def test_order(self):
        words = [*self.words[:10], answer(self.log, 11, counted=11), answer(self.log, 10, counted=12), *self.words[12:]]
        figures, findings = self.judge(words)
        self.assertEqual((figures["frames_out_of_order"], figures["frames_lost"]), (1, 0))
        self.assertEqual(findings, ["frame 10 was answered after frame 11"])

    def test_never_sent(self):
        figures, findings = self.judge([*self.words, answer(self.log, 50)])
        self.assertEqual(figures["frames_unknown"], 1)
        self.assertIn("frame 50 was never sent", findings[0])


class Clocks(unittest.TestCase):
    def setUp(self):
        self.words = [answer(log(1), 0)._replace(heard_ns=10**12 + i * 50 * MS, mono_ns=10**9 + i * 50 * MS, tsc=i * 1000)
                      for i in range(100)]

    def later(self, first, host=0, own=0):
        return [w if i < first else w._replace(heard_ns=w.heard_ns + host, mono_ns=w.mono_ns + own)
                for i, w in enumerate(self.words)]

    def test_all_is_well(self):
        self.assertEqual(wire.judge_clocks(self.words)[1], [])

    def test_stopped_with_its_clock(self):
        self.assertEqual(wire.judge_clocks(self.later(40, host=6000 * MS))[1], [])

    def test_stopped_without_its_clock(self):
        self.assertEqual(wire.judge_clocks(self.later(40, host=6000 * MS, own=6000 * MS))[1], [])

    def test_back_between_words(self):
        figures, findings = wire.judge_clocks(self.later(40, own=-60 * MS))
        self.assertEqual(figures["guest_clock_backwards"], 1)
        self.assertIn("mono_ns goes from", findings[0])

    def test_tsc_back(self):
        self.words[50] = self.words[50]._replace(tsc=1)
        self.assertEqual(wire.judge_clocks(self.words)[0]["guest_clock_backwards"], 1)

    def test_back_inside(self):
        self.words[-1] = self.words[-1]._replace(backwards=3)
        figures, findings = wire.judge_clocks(self.words)
        self.assertEqual(figures["guest_clock_backwards"], 3)
        self.assertIn("stepped back 3 times", findings[0])

    def test_frozen(self):
        words = [w if i < 40 else w._replace(mono_ns=w.mono_ns - min(i - 40, 40) * 50 * MS) for i, w in enumerate(self.words)]
        figures, findings = wire.judge_clocks(words)
        self.assertEqual(figures["guest_clock_still_ms"], 2000)
        self.assertIn("stood still for 2.0 s", findings[0])

    def test_words_that_waited(self):
        """The host read nothing for two seconds, and then 40 words at once."""
        words = [w if i < 40 else w._replace(heard_ns=max(w.heard_ns, self.words[80].heard_ns)) for i, w in enumerate(self.words)]
        self.assertEqual(wire.judge_clocks(words)[1], [])


class Times(unittest.TestCase):
    def test_silence(self):
        words = [answer(log(1), 0)._replace(heard_ns=t) for t in (10, 20, 30, 90, 95)]
        self.assertEqual(wire.silence(words, 15, 100), (30, 90))
        self.assertEqual(wire.silence(words, 15, 300), (95, 300))
        self.assertEqual(wire.silence([], 15, 300), (15, 300))

    def test_wall_clock(self):
        self.assertEqual(wire.wall_offset_ms([answer(log(1), 0)]), 40)
        self.assertIsNone(wire.wall_offset_ms([]))


class FakeVm(threading.Thread):
    """The other end of the wire: speaks before it is asked, answers each frame, and loses some."""

    def __init__(self, path, lose=()):
        super().__init__(daemon=True)
        self._listen = socket.socket(socket.AF_UNIX)
        self._listen.bind(path)
        self._listen.listen(1)
        self._lose, self._counted = lose, 0
        self.start()

    def _speak(self, sock, kind, seq=0, crc=0, length=0):
        frame = wire.pack(wire.Word(0, 0, kind, seq, self._counted, crc, length, time.monotonic_ns(), time.time_ns(), 1, 0, 0, 2, 0))
        sock.sendall(len(frame).to_bytes(4, "big") + frame)

    def run(self):
        with self._listen:
            sock, _ = self._listen.accept()
        with sock:
            self._speak(sock, wire.STATUS)
            self._answer(sock)

    def _answer(self, sock):
        splitter = wire.Splitter()
        while data := sock.recv(1 << 16):
            for frame in splitter.feed(data):
                length, seq, _, last = frames.HEADER.unpack_from(frame, 14)
                if seq in self._lose:
                    continue
                self._counted += 1
                crc, = frames.CRC.unpack_from(frame, 14 + frames.HEADER.size)
                self._speak(sock, wire.ANSWER, seq, crc, length)
                if last:
                    self._speak(sock, wire.END)


class TheProcess(unittest.TestCase):
    def until(self, condition):
        deadline = time.monotonic() + 60
        while not condition(self.wire.status()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def talk(self, folder, **vm):
        FakeVm(os.path.join(folder, "nic.sock"), **vm)
        self.wire = wire.Wire(folder, "nic", "52:54:00:c0:00:01", 1000)
        self.addCleanup(self.wire.kill)
        self.until(lambda status: status["last"])
        self.assertEqual(self.wire.status()["sent"], 0)
        self.wire.send()
        self.until(lambda status: status["last"].counted >= 100)
        self.wire.last()
        self.until(lambda status: status["last"].kind == wire.END)
        self.wire.close()
        return wire.judge(self.wire.words, self.wire.log)

    def test_all_is_well(self):
        with tempfile.TemporaryDirectory() as folder:
            figures, findings = self.talk(folder)
            self.assertEqual(findings, [])
            self.assertEqual(figures["frames_sent"], self.wire.sent)
            self.assertEqual(figures["frames_received"], self.wire.sent)
            self.assertEqual(os.listdir(folder), ["nic.sock"])

    def test_lost(self):
        with tempfile.TemporaryDirectory() as folder:
            figures, findings = self.talk(folder, lose=(17, 18))
            self.assertEqual(figures["frames_lost"], 2)
            self.assertIn("frames lost, first [17, 18]", findings[0])


if __name__ == "__main__":
    unittest.main()
