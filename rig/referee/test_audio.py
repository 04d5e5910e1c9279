# SPDX-License-Identifier: GPL-2.0-only
"""The judge of samples on doctored recordings."""

import array
import os
import struct
import tempfile
import unittest

from rig.referee import audio


def played(first, count):
    left = array.array("H", ((first + i) * audio.STEP + audio.START & 0xffff for i in range(count)))
    return left, array.array("H", (l ^ audio.TURN for l in left))


def joined(*parts):
    left, right = array.array("H"), array.array("H")
    for l, r in parts:
        left += l
        right += r
    return left, right


def silence(count):
    return array.array("H", [0] * count), array.array("H", [0] * count)


class Judge(unittest.TestCase):
    def bad(self, left, right, overruns=0):
        figures, found = audio.judge(left, right, overruns=overruns)
        self.assertEqual(bool(figures["audio_samples_out_of_pattern"]), bool(found))
        return figures["audio_samples_out_of_pattern"]

    def test_pattern_is_a_permutation_and_never_silent(self):
        left, right = played(0, 65536)
        self.assertEqual(len(set(left)), 65536)
        self.assertTrue(all(l or r for l, r in zip(left, right)))
        self.assertEqual(audio.position(left[777]), 777)

    def test_unbroken_over_the_period(self):
        self.assertEqual(self.bad(*joined(silence(50), played(100, 200_000), silence(7))), 0)

    def test_one_sample_left_out(self):
        self.assertEqual(self.bad(*joined(played(0, 100), played(101, 100))), 1)

    def test_one_sample_twice(self):
        self.assertEqual(self.bad(*joined(played(0, 100), played(99, 100))), 1)

    def test_silence_within(self):
        self.assertEqual(self.bad(*joined(played(0, 100), silence(30), played(130, 100))), 30)

    def test_silence_that_moves_the_pattern(self):
        self.assertEqual(self.bad(*joined(played(0, 100), silence(30), played(100, 100))), 31)

    def test_page_from_elsewhere(self):
        self.assertEqual(self.bad(*joined(played(0, 1024), played(4096, 1024), played(2048, 100))), 2)

    def test_buffers_that_qemu_threw_away(self):
        once = joined(played(0, 5000), played(5000 + audio.BUFFER, 5000))
        self.assertEqual(self.bad(*once, overruns=1), 0)
        self.assertEqual(self.bad(*once), 1)
        twice = joined(once, played(10_000 + 3 * audio.BUFFER, 100))
        self.assertEqual(self.bad(*twice, overruns=3), 0)
        self.assertEqual(self.bad(*twice, overruns=2), 1)
        self.assertEqual(audio.judge(*twice, overruns=3)[0]["audio_samples_dropped_by_qemu"], 3 * audio.BUFFER)

    def test_an_overrun_excuses_nothing_else(self):
        for skipped in (1, audio.BUFFER - 1, audio.BUFFER + 1, -1, -audio.BUFFER):
            self.assertEqual(self.bad(*joined(played(0, 5000), played(5000 + skipped, 100)), overruns=99), 1, skipped)
        self.assertEqual(self.bad(*joined(played(0, 100), silence(audio.BUFFER), played(100, 100)), overruns=9), audio.BUFFER + 1)

    def test_what_was_thrown_away_does_not_count_as_played(self):
        torn = joined(played(0, 24000), played(24000 + 12 * audio.BUFFER, 24000))
        self.assertEqual(audio.judge(*torn, expected_s=1.0, overruns=12)[1], [])
        self.assertTrue(audio.judge(*torn, expected_s=1.5, overruns=12)[1])

    def test_torn_sample(self):
        left, right = played(0, 100)
        right[50] ^= 1
        self.assertEqual(self.bad(left, right), 1)

    def test_swapped_channels(self):
        left, right = played(0, 100)
        self.assertGreater(self.bad(right, left), 0)

    def test_nothing(self):
        self.assertTrue(audio.judge(*silence(100))[1])
        self.assertTrue(audio.judge(*silence(0))[1])

    def test_pause_without_a_break(self):
        _, found = audio.judge(*played(0, 48000), expected_s=4.0)
        self.assertIn("4.000 s", found[0])
        self.assertEqual(audio.judge(*played(0, 48000), expected_s=1.1)[1], [])


class Wav(unittest.TestCase):
    def wav(self, raw):
        with tempfile.NamedTemporaryFile(delete=False) as f:
            f.write(raw)
        self.addCleanup(os.unlink, f.name)
        return f.name

    def file(self, left, right, rate=48000):
        data = b"".join(struct.pack("<HH", l, r) for l, r in zip(left, right))
        # QEMU fills in the sizes only at its end: zero here.
        return (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 2, rate, rate * 4, 4, 16)
                + b"data\0\0\0\0" + data)

    def test_header_without_sizes(self):
        self.assertEqual(audio.read_wav(self.wav(self.file(*played(5, 10)) + b"\x01"))[0], played(5, 10)[0])

    def test_refused(self):
        for raw in (b"", b"RIFF", self.file(*played(0, 4), rate=44100), self.file([], [])[:36]):
            with self.assertRaises(ValueError):
                audio.read_wav(self.wav(raw))


if __name__ == "__main__":
    unittest.main()
