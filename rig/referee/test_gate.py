# SPDX-License-Identifier: GPL-2.0-only
"""The gate that is put into a bzImage, on one that is made up."""

import struct
import unittest

from rig.lib import gate
from rig.lib.machine import Failed

START = 4 * 512
ENTRY = START + gate.ENTRY_64


def image(begin=gate.BEGIN):
    out = bytearray(i * 7 & 0xff for i in range(8192))
    out[gate.SETUP_SECTORS] = 3
    out[ENTRY:ENTRY + len(begin)] = begin
    return bytes(out)


def jump(data, at):
    """Where the jump there goes to."""
    assert data[at] == 0xe9
    return at + 5 + struct.unpack_from("<i", data, at + 1)[0]


class Gated(unittest.TestCase):
    def test_the_way_through_it(self):
        data = gate.gated(image())
        self.assertEqual(jump(data, ENTRY), START)
        loop = len(gate.LOOP)
        self.assertEqual(data[START:START + loop], gate.LOOP)
        # What was at the entry is done, and then what follows there.
        self.assertEqual(data[START + loop:START + loop + len(gate.BEGIN)], gate.BEGIN)
        self.assertEqual(jump(data, START + loop + len(gate.BEGIN)), ENTRY + len(gate.BEGIN))

    def test_the_rest_is_as_it_was(self):
        before, after = image(), gate.gated(image())
        self.assertEqual(len(after), len(before))
        changed = [i for i in range(len(before)) if before[i] != after[i]]
        self.assertTrue(all(START <= i < START + 64 or ENTRY <= i < ENTRY + len(gate.BEGIN) for i in changed))

    def test_another_kernel(self):
        with self.assertRaises(Failed):
            gate.gated(image(b"\x90" * 6))


if __name__ == "__main__":
    unittest.main()
