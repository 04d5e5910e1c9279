# SPDX-License-Identifier: GPL-2.0-only
"""The reader of test reports, on reports made up here."""

import unittest

from rig.referee import ktap

KUNIT = """\
KTAP version 1
1..2
    KTAP version 1
    # Subtest: first
    # module: first
    1..3
    ok 1 plain
        KTAP version 1
        # Subtest: with_parameters
        ok 1 4K
        not ok 2 2M
    # with_parameters: pass:1 fail:1 skip:0 total:2
    not ok 2 with_parameters
    ok 3 left_out # SKIP not on this format
# first: pass:1 fail:1 skip:1 total:3
not ok 1 first
    KTAP version 1
    # Subtest: second
    1..1
    ok 1 plain
ok 2 second
"""
HARNESS = """\
TAP version 13
1..3
# Starting 3 tests from 2 test cases.
#  RUN           a.one ...
#            OK  a.one
ok 1 a.one
#  RUN           a.v.two ...
# a.c:17:two:Expected 1 (1) == 0 (0)
# two: Test failed
#          FAIL  a.v.two
not ok 2 a.v.two
#      SKIP      not enough memory
#            OK  a.v.three
ok 3 a.v.three # SKIP not enough memory
# FAILED: 2 / 3 tests passed.
"""


class Ktap(unittest.TestCase):
    def test_nested(self):
        self.assertEqual(ktap.verdicts(KUNIT), {
            "first/plain": "ok",
            "first/with_parameters/4K": "ok", "first/with_parameters/2M": "not ok",
            "first/with_parameters": "not ok",
            "first/left_out": "skip",
            "first": "not ok",
            "second/plain": "ok",
            "second": "ok"})

    def test_flat(self):
        self.assertEqual(ktap.verdicts(HARNESS), {"a.one": "ok", "a.v.two": "not ok", "a.v.three": "skip"})

    def test_same_name_twice(self):
        self.assertEqual(ktap.verdicts("ok 1 a\nnot ok 2 a\n"), {"a": "ok", "a'": "not ok"})

    def test_the_same(self):
        self.assertEqual(ktap.differences(ktap.verdicts(HARNESS), ktap.verdicts(HARNESS)), [])

    def test_differences(self):
        stock = {"gone": "ok", "worse": "ok", "better": "not ok", "same": "ok"}
        ours = {"worse": "not ok", "better": "ok", "same": "ok", "new": "ok"}
        self.assertEqual(ktap.differences(ours, stock), [
            "gone: did not run, without our changes: ok",
            "worse: not ok, without our changes: ok",
            "better: ok, without our changes: not ok",
            "new: ok, without our changes: did not run"])


if __name__ == "__main__":
    unittest.main()
