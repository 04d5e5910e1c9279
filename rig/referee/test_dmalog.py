# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's trace lines (real ones, and doctored ones) as the referee reads them."""

import time
import types
import unittest
import xml.etree.ElementTree

from rig.lib.run import Run
from rig.referee import amdvi, dmalog, page, phases, summary, timeline, vtd

DMA = "15414@{t:.6f}:vtd_dmar_translate dev 00:04.00 iova 0x{iova:x} -> gpa 0x{gpa:x} mask 0xfff"


def at(t, iova=0x1003fd0000, gpa=0x52aa000):
    return DMA.format(t=t, iova=iova, gpa=gpa)


def log_of(lines):
    return dmalog.DmaLog(lines, vtd)


class Stood(unittest.TestCase):
    """A device that stood still in a jump, or in a boot, and one that did so while a kernel was loaded."""

    def found(self, begin, end):
        """An update from 10 s on, in which a device writes each 5 ms, but not from begin to end."""
        real = time.time_ns() - time.monotonic_ns()
        run = Run.__new__(Run)
        run.machine = types.SimpleNamespace(figures={})
        run.preserved, run.ready = {"nic": 0x20}, {"nic_writes": None}
        run.steady, run.updates = [(9_000_000, 10_000_000)], [(10_000_000, 13_000_000)]
        run.spans = [[(name, int(a * 1e9) - real, int(b * 1e9) - real) for name, a, b in (
            ("load", 10, 11), ("freeze", 11, 11.1), ("jump", 11.1, 11.2), ("kernel boot", 11.2, 12.6), ("finish", 12.6, 13))]]
        times = [ms / 1000 for ms in range(8990, 13010, 5)]
        run.log = log_of([at(t) for t in times if not begin < t < end])
        return run._gaps()                      # pylint: disable=protected-access

    def test_stood(self):
        self.assertEqual(self.found(0, 0), [])
        self.assertEqual(self.found(10.3, 10.4), [])
        self.assertEqual(self.found(11.5, 11.6), [])
        self.assertEqual(len(self.found(11.1, 11.2)), 1)
        self.assertEqual(len(self.found(11.05, 12.8)), 2)
        self.assertEqual(len(self.found(11.6, 12.5)), 1)


class Log(unittest.TestCase):
    sid = dmalog.source_id("0000:00:04.0")

    def test_source_id(self):
        self.assertEqual(self.sid, 0x20)
        self.assertEqual(dmalog.source_id("03:1f.7"), 0x3ff)

    def test_gaps(self):
        log = log_of([at(10), at(10.5), at(12), at(12.25)])
        self.assertEqual(log.longest_gap_us(self.sid, 10_000_000, 12_250_000), 1_500_000)
        self.assertEqual(log.longest_gap_us(self.sid, 9_000_000, 10_400_000), 1_000_000)
        self.assertEqual(log.longest_gap_us(self.sid, 12_000_000, 14_250_000), 2_000_000)
        self.assertEqual(log.longest_gap_us(0x99, 0, 7_000_000), 7_000_000)

    def test_only_writes_count(self):
        log = log_of([at(10), at(11, iova=0x1000000000), at(12)])
        window = 10_000_000, 12_000_000
        self.assertEqual(log.longest_gap_us(self.sid, *window), 1_000_000)
        self.assertEqual(log.longest_gap_us(self.sid, *window, (0x1003fd0040, 0x1003fe0000)), 2_000_000)

    def test_a_large_leaf_covers_its_pages(self):
        large = at(11, iova=0x1000a00000).replace("mask 0xfff", "mask 0x1fffff")
        log = log_of([at(10), large, at(12)])
        self.assertEqual(log.covering(self.sid, 0x1000abc123, 0), [11_000_000])
        self.assertEqual(log.covering(self.sid, 0x1000abc123, 11_500_000), [])
        self.assertEqual(log.covering(self.sid, 0x1000c00000, 0), [])
        self.assertEqual(log.covering(self.sid, 0x1003fd0fff, 0), [10_000_000, 12_000_000])

    def test_misdirected(self):
        log = log_of([at(10), at(11), at(12, gpa=0x1000)])
        self.assertEqual([m[3:] for m in log.misdirected], [(0x1000, 0x52aa000)])

    def test_faults(self):
        log = log_of([
            "1@5.000001:vtd_dmar_fault sid 0x20 fault 2 addr 0x1003fd0000 write 1",
            "1@6.000001:vtd_dmar_fault sid 0x28 fault 5 addr 0x0 write 0",
            "1@7.000001:vtd_fault_disabled Fault processing disabled for context entry"])
        self.assertEqual(len(log.faults), 3)
        self.assertEqual(sum(log.faults_of([0x20]).values()), 2)    # the unreported one may be its
        self.assertEqual(dmalog.fault_kinds(log.fault_counts), {
            "00:04.0 context entry not present": 1, "00:05.0 write refused": 1,
            "unreported (fault processing disabled)": 1})

    def test_a_storm_is_counted_whole(self):
        log = log_of(["1@5.000001:vtd_dmar_fault sid 0x20 fault 2 addr 0x1000 write 1"] * (dmalog.FAULTS_KEPT + 5))
        self.assertEqual(len(log.faults), dmalog.FAULTS_KEPT)
        self.assertEqual(log.fault_counts[0x20, "context entry not present"], dmalog.FAULTS_KEPT + 5)

    def test_translation_off(self):
        log = log_of(["1@5.000000:vtd_dmar_enable enable 1", "1@6.000000:vtd_dmar_enable enable 0"])
        self.assertEqual((log.switched_on, log.switched_off), ([5_000_000], [6_000_000]))

    def test_audio_overruns(self):
        log = log_of(["2026-11-25T20:56:00.143902Z hda_audio_overrun st out", at(6),
                             "2026-11-25T20:56:01.143902Z hda_audio_adjust st out, pos 12"])
        self.assertEqual((log.audio_overruns, log.unreadable), (1, 0))

    def test_an_unknown_reason_has_a_number(self):
        self.assertEqual(vtd.read("vtd_dmar_fault", "sid 0x20 fault 254 addr 0x1000 write 0"),
                         ("refused", 0x20, "fault 0xfe", 0x1000, False))

    def test_events_of_others(self):
        self.assertIsNone(vtd.read("hda_audio_overrun", "st out"))
        for event in (vtd.DMA, vtd.REFUSED):
            with self.assertRaises(ValueError):
                vtd.read(event, "something new")

    def test_not_understood_is_counted(self):
        log = log_of(["1@5.000000:vtd_dmar_fault something new", "qemu: a warning", at(6)])
        self.assertEqual(log.unreadable, 1)


class Amd(unittest.TestCase):
    """Lines of amd-iommu, which has no event for what it refuses: real ones, and made-up ones."""

    nic = dmalog.source_id("0000:00:02.0")

    @staticmethod
    def line(second, event, values):
        return f"2026-11-27T17:05:{second:02}.646182Z {event} {values}"

    def result(self, second, gpa, hpa, device="00:02.0"):
        return self.line(second, "amdvi_translation_result", f"devid: {device} gpa {gpa:#x} hpa {hpa:#x}")

    def log(self, *lines):
        return dmalog.DmaLog(lines, amdvi)

    def test_translated(self):
        log = self.log(self.result(19, 0x10034379c0, 0x4d48000), self.result(20, 0x10034379c8, 0x4d48000))
        self.assertEqual(len(log.times(self.nic)), 2)
        self.assertEqual((log.faults, log.misdirected, log.unreadable), ([], [], 0))

    def test_refused(self):
        """By an address of zero, and by none that any table gave."""
        log = self.log(self.result(19, 0x10034379c0, 0), self.result(20, 0x10034379c0, 0x1003437000),
                       self.result(21, 0xfee00000, 0, "00:06.0"))
        self.assertEqual(sum(log.faults_of([self.nic]).values()), 2)
        self.assertEqual(log.times(self.nic), [])
        self.assertEqual(dmalog.fault_kinds(log.fault_counts), {
            "00:02.0 refused": 1, "00:02.0 not translated": 1, "00:06.0 refused": 1})

    def test_misdirected(self):
        log = self.log(self.result(19, 0x10034379c0, 0x4d48000), self.result(20, 0x1003437010, 0x4e00000))
        self.assertEqual([m[1:] for m in log.misdirected], [(self.nic, 0x1003437000, 0x4e00000, 0x4d48000)])

    def test_leaves_of_another_size(self):
        """The page, the 2 MiB that it is in, and two that it is not in."""
        begin = [self.result(19, 0x1000100010, 0x2100000), self.result(20, 0x1000100010, 0x2000000)]
        self.assertEqual(self.log(*begin).misdirected, [])
        self.assertEqual(self.log(*reversed(begin)).misdirected, [])
        # 1 MiB, and the 4 MiB that it is in
        self.assertEqual(self.log(self.result(19, 0x10027cf5c0, 0x3b00000), self.result(20, 0x10027cf5c0, 0x3800000)).misdirected, [])
        for other in (0x2200000, 0x1e00000):
            self.assertEqual(len(self.log(*begin, self.result(21, 0x1000100010, other)).misdirected), 1)
        # Where it is in the leaf does not fit.
        self.assertEqual(len(self.log(self.result(19, 0x1000101010, 0x2102000),
                                      self.result(20, 0x1000101010, 0x2000000)).misdirected), 1)

    def test_interrupts(self):
        request = "addr 0xfeeff030 data 0x37 devid 0x10"
        self.assertEqual(amdvi.interrupt("amdvi_ir_remap_msi_req", request), ("asked", 0xfeeff030, 0x37))
        through = "(addr 0xfeeff030, data 0x37) -> (addr 0xfee00000, data 0x22)"
        self.assertEqual(amdvi.interrupt("amdvi_ir_remap_msi", through), ("through", 0xfeeff030, 0x37))
        self.assertIsNone(amdvi.interrupt("amdvi_translation_result", request))
        with self.assertRaises(ValueError):
            amdvi.interrupt("amdvi_ir_remap_msi", "something new")

    def test_switched(self):
        """The control register is reported with each write to it, whatever bit was meant."""
        def state(second, value):
            return self.line(second, "amdvi_control_status", f"MMIO_STATUS state {value:#x}")
        log = self.log(state(1, 0), state(2, 0x1482), state(3, 0x31483), state(4, 0x30483), state(5, 0x30482), state(6, 0x30482))
        self.assertEqual((len(log.switched_on), len(log.switched_off)), (1, 1))
        self.assertEqual((log.switched_off[0] - log.switched_on[0]) // 1_000_000, 2)

    def test_not_understood_is_counted(self):
        log = self.log(self.line(1, "amdvi_translation_result", "something new"),
                       self.line(2, "amdvi_control_status", "something new"))
        self.assertEqual(log.unreadable, 2)


EVENTS = [
    {"ev": "phase", "name": "load", "edge": "begin", "host_ns": 10}, {"ev": "phase", "name": "load", "edge": "end", "host_ns": 20},
    {"ev": "phase", "name": "preserve", "edge": "begin", "host_ns": 20}, {"ev": "phase", "name": "preserve", "edge": "end", "host_ns": 30},
    {"ev": "jump", "host_ns": 31}, {"ev": "boot", "host_ns": 90},
    {"ev": "phase", "name": "retrieve", "edge": "begin", "host_ns": 91}, {"ev": "phase", "name": "retrieve", "edge": "end", "host_ns": 95},
]
LINES = [(1, "Linux version 7.3"), (5, "Run /init as init process"), (40, "kexec_core: Starting new kernel"),
         (60, "[    0.000000] Linux version 7.3"), (85, "Run /init as init process")]


class Phases(unittest.TestCase):
    def test_spans(self):
        spans = {name: (a, b) for name, a, b in phases.spans(EVENTS, LINES)}
        self.assertEqual(spans, {"load": (10, 20), "preserve": (20, 30), "freeze": (31, 40), "jump": (40, 60),
                                 "kernel boot": (60, 85), "user space": (85, 91), "retrieve": (91, 95)})

    def test_milliseconds(self):
        self.assertEqual(phases.phases_ms([("kernel boot", 0, 1_500_000)]), {"kernel_boot": 1.5})


class Drawing(unittest.TestCase):
    def test_well_formed_and_shows_the_gap(self):
        text = timeline.svg("a < b", [("freeze", 100, 200)], [("nic & co", [0, 1000])], 0, 1000, ["note"])
        root = xml.etree.ElementTree.fromstring(text)
        dark = [r for r in root.iter("{http://www.w3.org/2000/svg}rect") if r.get("fill") == "#1f4e79"]
        self.assertEqual(len(dark), 2)

    def test_blackout(self):
        """From the freeze to the last of replace and finish; one for each update; open if nobody comes."""
        first = [("load", 0, 5), ("freeze", 10, 20), ("jump", 20, 50), ("replace", 60, 70), ("finish", 70, 75)]
        self.assertEqual(timeline.blackouts(first), [(10, 75)])
        self.assertEqual(timeline.blackouts(first + [("freeze", 90, 91), ("replace", 95, 99)]), [(10, 75), (90, 99)])
        self.assertEqual(timeline.blackouts(first + [("freeze", 90, 91)]), [(10, 75), (90, None)])
        self.assertEqual(timeline.blackouts([("replace", 5, 6)]), [])

    def test_the_blackout_is_drawn(self):
        def texts(spans):
            root = xml.etree.ElementTree.fromstring(timeline.svg("t", spans, [("nic DMA", [5])], 0, 9_000_000))
            return [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
        served = texts([("freeze", 1_000_000, 1_250_000), ("finish", 4_000_000, 4_500_000)])
        self.assertIn("blackout", served)
        self.assertIn("3500 ms", served)
        self.assertIn("not served again", texts([("freeze", 1_000_000, 1_250_000)]))
        self.assertNotIn("blackout", texts([("load", 1_000_000, 1_250_000)]))

    def test_page(self):
        """Well-formed, with every figure, and lost things are marked."""
        figures = {"frames_sent": 1234, "frames_lost": 7, "iommu_faults": 0, "iommu": "<legacy>",
                   "phases_ms": {"kernel boot": 12.0}}
        drawn = timeline.svg("t", [("jump", 1, 2)], [("nic DMA", [1])], 0, 3)
        text = page.page("a & b", figures, drawn)
        root = xml.etree.ElementTree.fromstring(text.replace("<!DOCTYPE html>", "").replace('<meta charset="utf-8">', ""))
        cells = [td.text for td in root.iter("td")]
        for value in ("1234", "7", "0", "12.0"):
            self.assertIn(value, cells)
        self.assertEqual([td.text for td in root.iter("td") if "bad" in td.get("class", "")], ["7"])
        self.assertIn("7 losses", text)
        self.assertIn("&lt;legacy&gt;", text)

    def test_table(self):
        text = summary.table({"frames_lost": 0, "phases_ms": {"kernel_boot": 12.0}})
        self.assertIn("frames lost", text)
        self.assertIn("kernel boot", text)


if __name__ == "__main__":
    unittest.main()
