# SPDX-License-Identifier: GPL-2.0-only
import random
import unittest

from rig.referee import memory


def samples(updates=100, **leaks):
    """What a guest says; leaks: by how much a value changes with each update."""
    scatter = {"MemFree_kb": 4000, "MemAvailable_kb": 4000, "Slab_kb": 50, "SUnreclaim_kb": 50,
               "PageTables_kb": 20, "VmallocUsed_kb": 40}
    dice = random.Random(1)
    return [{name: 100_000 + round(dice.uniform(-1, 1) * scatter.get(name, 0)) + leaks.get(name, 0) * n
             for name in memory.NAMES} for n in range(updates)]


class Memory(unittest.TestCase):
    def findings(self, **leaks):
        return memory.judge(samples(**leaks), 100)[1]

    def test_scatter_alone_is_no_leak(self):
        self.assertEqual(self.findings(), [])
        self.assertEqual(self.findings(updates=10), [])

    def test_a_page_each_update(self):
        for name, change in (("MemTotal_kb", -4), ("Slab_kb", 4), ("SUnreclaim_kb", 4), ("PageTables_kb", 4),
                             ("SecPageTables_kb", 4), ("nr_iommu_pages", 1), ("VmallocUsed_kb", 4)):
            found = self.findings(**{name: change})
            self.assertEqual(len(found), 1, found)
            self.assertIn(name, found[0])

    def test_free_memory_scatters_but_not_that_much(self):
        self.assertIn("MemFree_kb", self.findings(MemFree_kb=-100)[0])

    def test_more_free_memory_is_no_leak(self):
        self.assertEqual(self.findings(MemFree_kb=100), [])

    def test_what_kho_keeps_is_the_same(self):
        some = samples()
        some[50]["kho_pages"] += 1
        self.assertIn("kho_pages is not the same", memory.judge(some, 100)[1][0])

    def test_what_the_kernel_does_not_have(self):
        some = samples()
        for s in some:
            s["nr_iommu_pages"] = -1
        self.assertNotIn("nr_iommu_pages", memory.judge(some, 100)[0])


if __name__ == "__main__":
    unittest.main()
