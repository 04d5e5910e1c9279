# SPDX-License-Identifier: GPL-2.0-only
"""What rig/lib/machine.py does without QEMU."""
import os
import tempfile
import threading
import types
import unittest
from unittest import mock

from rig.lib import machine as lib, platform


class Machines(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()             # pylint: disable=consider-using-with
        self.addCleanup(self.folder.cleanup)
        patch = mock.patch.object(lib.qemu, "find", lambda program: None)
        patch.start()
        self.addCleanup(patch.stop)
        self.first = lib.Machine(self.folder.name, "old", "programs", "case", slow=5, next_kernel="new", keep=True,
                                 platform=platform.Virt)

    def test_another_one_is_like_the_first(self):
        other = self.first.another("other")
        self.assertEqual((other.kernel, other.next_kernel, other.slow, other.keep, other.case, other.platform),
                         ("old", "new", 5, True, "case", platform.Virt))
        self.assertEqual(other.folder, os.path.join(self.folder.name, "other"))
        self.assertTrue(os.path.isdir(other.folder))
        self.assertEqual(self.first.all(), [self.first, other])

    def test_another_one_with_other_kernels(self):
        other = self.first.another("other", kernel="third")
        self.assertEqual((other.kernel, other.next_kernel), ("third", "new"))

    def test_its_figures_are_among_those_of_the_first(self):
        self.first.another("other").figures["frames_lost"] = 1
        self.assertEqual(self.first.figures, {"other": {"frames_lost": 1}})

    def test_all_end_and_what_one_complains_of_is_not_lost(self):
        ended = []

        def close(name, splat=None):
            ended.append(name)
            if splat:
                raise splat

        self.first.another("a").close_alone = lambda: close("a", lib.Splat("WARNING: a"))
        self.first.another("b").close_alone = lambda: close("b")
        self.first.close_alone = lambda: close("first")
        with self.assertRaisesRegex(lib.Splat, "WARNING: a"):
            self.first.close()
        self.assertEqual(ended, ["a", "b", "first"])

    def test_waits_for_one_of_several(self):
        self.first.events += [{"ev": "printed"}, {"ev": "boot", "stage": 2}, {"ev": "ran", "status": 0}]
        self.assertEqual(self.first.wait(("ran", "boot"))["ev"], "boot")
        self.assertEqual(self.first.wait(("ran", "boot"), since=2)["ev"], "ran")
        self.assertEqual(self.first.wait("boot", stage=2)["stage"], 2)

    def test_a_bound_has_room_but_not_for_hours(self):
        self.assertEqual([self.first.bound(s) for s in (30, 400, 2400)], [600, 3000, 12000])

    def test_says_what_it_waited_for(self):
        self.first.gave_up = lib.Failed
        self.first._ended = True
        with self.assertRaisesRegex(lib.Failed, "waited for 'ran or boot' of the guest, but the machine ended"):
            self.first.wait(("ran", "boot"))

    def test_wakes_up_from_another_thread(self):
        def come():
            with self.first._cond:
                self.first.events.append({"ev": "ran"})
                self.first._cond.notify_all()

        thread = threading.Thread(target=come)
        thread.start()
        self.assertEqual(self.first.wait("ran"), {"ev": "ran"})
        thread.join()


class Guarded(unittest.TestCase):
    """rig/lib/run.py: runs of several machines."""

    def test_each_run_has_its_machine_and_is_ended(self):
        from rig.lib import run as run_lib                      # pylint: disable=import-outside-toplevel
        begun, killed = [], []

        def init(self, machine, **options):
            self.clock = types.SimpleNamespace(stop=lambda: killed.append(machine))
            begun.append((machine, options))

        def body(machine, begin):
            begin(iommu="x")
            begin(machine="second", iommu="y")

        with mock.patch.object(run_lib.Run, "__init__", init):
            run_lib.guarded(body)("first")
        self.assertEqual(begun, [("first", {"iommu": "x"}), ("second", {"iommu": "y"})])
        self.assertEqual(killed, ["first", "second"])


if __name__ == "__main__":
    unittest.main()
