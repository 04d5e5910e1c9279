# SPDX-License-Identifier: GPL-2.0-only
"""Two places of a program are changed if both are the ones that are expected, and of no other program."""

import os
import tempfile
import types
import unittest

from rig.lib import erratum

STORE = bytes.fromhex("89b350c2ffff")
BRANCH = (bytes.fromhex("410fb6f4" "4489ab80340000") + STORE +
          bytes.fromhex("c7838434000000000000" "48c78388340000ffffffff" "f605dc5d570102" "0f85c1000000"
                        "ba01000000" "4889df" "e8797e0700"))
AND = bytes.fromhex("81a0a44100007fffffff")
CLEAR = (bytes.fromhex("f30f1efa" "4883ec08" "488b3de1604001" "4c8d05026e4200" "b91f000000" "488d15a3902b00" "488d355e9f2b00"
                       "e812300c00") + AND + bytes.fromhex("4883c408" "31c031d231c931f631ff4531c0" "c3" "660f1f440000"))
PROGRAM = b"before" + CLEAR + b"between" + BRANCH + b"after"


class Erratum(unittest.TestCase):
    def test_the_store_is_gone_and_the_and_is_locked(self):
        clear = CLEAR[:-6].replace(AND, bytes.fromhex("f0") + AND) + bytes.fromhex("0f1f440000")
        self.assertEqual(len(clear), len(CLEAR))
        self.assertEqual(erratum.without(PROGRAM),
                         b"before" + clear + b"between" + BRANCH.replace(STORE, bytes.fromhex("660f1f440000")) + b"after")

    def test_not_where_it_is_not_known(self):
        for program in (b"", b"nothing", PROGRAM + BRANCH, PROGRAM + CLEAR, BRANCH, CLEAR, erratum.without(PROGRAM),
                        # Another vector's place, another way to go on.
                        PROGRAM.replace(bytes.fromhex("410fb6f4"), bytes.fromhex("410fb6f5")),
                        PROGRAM.replace(bytes.fromhex("ba01000000"), bytes.fromhex("ba00000000")),
                        # Another bit; no room for the prefix.
                        PROGRAM.replace(bytes.fromhex("7fffffff"), bytes.fromhex("fffeffff")),
                        PROGRAM.replace(bytes.fromhex("c3660f1f440000"), bytes.fromhex("c3f30f1efa4883"))):
            self.assertIsNone(erratum.without(program), program.hex())

    def test_a_copy_is_made_once(self):
        with tempfile.TemporaryDirectory() as folder:
            program, builds = f"{folder}/qemu-system-x86_64", f"{folder}/builds"
            with open(program, "wb") as f:
                f.write(PROGRAM)
            qemu = types.SimpleNamespace(text="11.1.3", installed=lambda: ("", program))
            script = erratum.repaired(qemu, builds)
            with open(f"{os.path.dirname(script)}/program", "rb") as f:
                self.assertEqual(f.read(), erratum.without(PROGRAM))
            self.assertTrue(os.access(script, os.X_OK))
            at = os.stat(script).st_ino
            self.assertEqual(erratum.repaired(qemu, builds), script)
            self.assertEqual(os.stat(script).st_ino, at)
            self.assertEqual(len(os.listdir(builds)), 1)

    def test_no_copy_of_an_unknown_one(self):
        with tempfile.TemporaryDirectory() as folder:
            program = f"{folder}/qemu"
            with open(program, "wb") as f:
                f.write(b"another one")
            qemu = types.SimpleNamespace(text="12.0.0", installed=lambda: ("", program))
            self.assertIsNone(erratum.repaired(qemu, f"{folder}/builds"))
            self.assertFalse(os.path.exists(f"{folder}/builds"))


if __name__ == "__main__":
    unittest.main()
