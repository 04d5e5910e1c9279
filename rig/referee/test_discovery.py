# SPDX-License-Identifier: GPL-2.0-only
"""Views, of the device and of debugfs: real ones, and each way to be malformed or to contradict itself."""

import os
import re
import unittest

from rig.referee import discovery
from rig.referee.discovery import Malformed, contradictions, parse

DOC = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "discovery.md")

OUTGOING = """format=1
session name="continuo" state=outgoing files=3 pid=1 comm="init" alive=yes
file session="continuo" token=0x6d656d compatible="memfd-v2" state=preserved pid=1 comm="init" alive=yes open=3
file session="continuo" token=0x696f compatible="iommufd-v1" state=preserved pid=1 comm="init" alive=yes open=3 hwpts=1
hwpt session="continuo" iommufd=0x696f token=0x11000000000001 domain=0 devices=1 state=preserved
file session="continuo" token=0x6e6963 compatible="vfio-pci-v1" state=preserved open=2 device=0000:00:04.0 bound=yes
iommu registers=0xfed90000 type=vtd mode=scalable root=0xc5b000 state=preserved
domain index=0 format=vtdss top=0x1dcb000 levels=4 iova-bits=48 devices=1 state=preserved
device bdf=0000:00:04.0 state=preserved domain=0 iommu=0xfed90000 did=3 bus-master=on
"""
REFUSED = """format=1
session name="continuo" state=not-read files=4 waits-for=retrieve,finish
domain index=0 format=vtdss top=0xe81000 levels=4 iova-bits=48 devices=0 state=unused
list name=pci-v5 state=refused by=pci why="Live Update is switched off"
iommu registers=0xfed90000 state=refused by=intel why="this kernel uses another mode"
device bdf=0000:00:04.0 state=refused by=iommu why="it says \\042no\\042" bus-master=off reset=done
device bdf=0000:00:05.0 state=refused by=iommu why="gone" bus-master=off reset=pending waits-for=reset
"""


class Grammar(unittest.TestCase):
    def test_real_views(self):
        view = parse(OUTGOING)
        self.assertEqual(len(view.records), 8)
        self.assertEqual(view.of("file", token=0x6e6963)[0]["device"], "0000:00:04.0")
        self.assertEqual(view.of("domain")[0]["iova-bits"], 48)
        self.assertEqual(view.of("device", bus_master="on")[0]["did"], 3)
        view = parse(REFUSED)
        self.assertEqual(view.of("device", reset="done")[0]["why"], 'it says "no"')
        self.assertEqual(view.of("device", reset="pending")[0].waits, ("reset",))
        self.assertEqual(view.of("session")[0].waits, ("retrieve", "finish"))

    def test_nothing(self):
        self.assertEqual(parse("format=1\n").records, [])

    def test_text(self):
        def name(text):
            return parse(f'format=1\nsession name="{text}" state=busy\n').records[0]["name"]
        self.assertEqual(name("a b=c"), "a b=c")
        self.assertEqual(name(""), "")
        self.assertEqual(name("\\134\\042\\012"), '\\"\n')
        self.assertEqual(name("\\303\\274"), "ü")
        self.assertEqual(name("\\377"), "\udcff")

    def test_malformed(self):
        line = 'session name="a" state=busy'
        for said, text in (
                ("does not end", "format=1"),
                ("does not end", ""),
                ("line 1", "\n"),
                ("line 1", "format=2\n"),
                ("line 1", f"{line}\n"),
                ("line 3: '' is not the name", f"format=1\n{line}\n\n"),
                ("line 2: ' ", f"format=1\n{line} \n"),
                ("does not begin with a key", f"format=1\n{line}  files=1\n"),
                ("does not begin with a key", f"format=1\n{line} files\n"),
                ("does not begin with a key", f"format=1\n{line} Files=1\n"),
                ("does not begin with a key", f'format=1\n{line} comm="a"b\n'),
                ("is not a word", f'format=1\n{line} comm="a\n'),
                ("is not a word", f"format=1\n{line} files=\n"),
                ("is not a word", f"format=1\n{line} files=a_b\n"),
                ("there is no type", "format=1\nsessions name=\"a\" state=busy\n"),
                ("is not the name", "format=1\nSession name=\"a\" state=busy\n"),
                ("twice", f"format=1\n{line} files=1 files=1\n"),
                ("has no key", f"format=1\n{line} hwpts=1\n"),
                ("without state", "format=1\nsession name=\"a\"\n"),
                ("none of", "format=1\nsession name=\"a\" state=lost\n"),
                ("not a text", "format=1\nsession name=a state=busy\n"),
                ("not a text", "format=1\nsession name=\"\\42\" state=busy\n"),
                ("not a text", "format=1\nsession name=\"ü\" state=busy\n"),
                ("above 377", "format=1\nsession name=\"\\777\" state=busy\n"),
                ("decimal", f"format=1\n{line} files=01\n"),
                ("decimal", f"format=1\n{line} files=0x1\n"),
                ("hexadecimal", REFUSED.replace("0xfed90000", "0xFED90000")),
                ("hexadecimal", REFUSED.replace("0xe81000", "0x0e81000")),
                ("address of a PCI device", REFUSED.replace("0000:00:04.0", "00:04.0")),
                ("in order", REFUSED.replace("retrieve,finish", "finish,retrieve")),
                ("in order", REFUSED.replace("retrieve,finish", "finish,finish")),
                ("in order", REFUSED.replace("retrieve,finish", "retrieve,luck")),
                ("does not say why", REFUSED.replace(' why="gone"', ""))):
            with self.subTest(text=text):
                with self.assertRaises(Malformed) as raised:
                    parse(text)
                self.assertIn(said, str(raised.exception))


def in_device(text, side):
    """A view of debugfs, as the device has that side."""
    return re.sub(r"(?m)^([a-z-]+) ", rf"\1 kernel={side} ", text).replace("format=1\n", "")


class Sides(unittest.TestCase):
    WHOLE = "format=1\nview state=whole\n" + in_device(OUTGOING, "outgoing") + in_device(REFUSED, "incoming")

    def test_taken_apart(self):
        sides = discovery.sides(parse(self.WHOLE))
        self.assertEqual(sides["state"], "whole")
        for side, text in (("outgoing", OUTGOING), ("incoming", REFUSED)):
            self.assertEqual(sides[side].records, parse(text).records)
            self.assertEqual(contradictions(sides[side], side == "incoming"), [])

    def test_not_said(self):
        for text in (self.WHOLE.replace("view state=whole\n", ""),
                     self.WHOLE.replace("view state=whole", "view state=whole\nview state=changing"),
                     self.WHOLE.replace("session kernel=outgoing", "session"), OUTGOING):
            with self.assertRaises(Malformed):
                discovery.sides(parse(text))
        for text in (self.WHOLE.replace("view state=whole", "view state=half"), self.WHOLE.replace("=incoming", "=coming")):
            with self.assertRaises(Malformed):
                parse(text)

    def test_without(self):
        fewer = parse(re.sub(r" (open|refs)=\d+", "", OUTGOING))
        self.assertNotEqual(discovery.without(parse(OUTGOING), ()), discovery.without(fewer, ()))
        self.assertEqual(discovery.without(parse(OUTGOING), discovery.COUNTS), discovery.without(fewer, ()))

    def test_no_addresses(self):
        """Who may not know physical addresses can still tell units apart."""
        text = OUTGOING.replace("iommu registers=0xfed90000", "iommu index=0").replace("iommu=0xfed90000", "iommu-index=0")
        text = re.sub(r" (root|top)=0x[0-9a-f]+", "", text)
        self.assertEqual(contradictions(parse(text), False), [])
        self.assertIn("refers to the iommu", "; ".join(contradictions(parse(text.replace("iommu-index=0", "iommu-index=1")), False)))
        self.assertIn("refers to the iommu", "; ".join(contradictions(parse(text.replace(" iommu-index=0", "")), False)))


class Contradictions(unittest.TestCase):
    def test_none(self):
        self.assertEqual(contradictions(parse(OUTGOING), False), [])
        self.assertEqual(contradictions(parse(REFUSED), True), [])

    def test_each(self):
        for said, old, new in (
                ("is there twice", "token=0x6d656d", "token=0x696f"),
                ("has 4 files, and 3", "files=3", "files=4"),
                ("2 HWPTs, and 1", "hwpts=1", "hwpts=2"),
                ("refers to the session", 'session="continuo" token=0x6d656d', 'session="other" token=0x6d656d'),
                ("refers to the file", "iommufd=0x696f", "iommufd=0x6970"),
                ("refers to the domain", "0001 domain=0", "0001 domain=1"),
                ("refers to the domain", "preserved domain=0", "preserved domain=1"),
                ("refers to the iommu", "iommu=0xfed90000", "iommu=0xfed91000"),
                ("refers to the device", "device=0000:00:04.0", "device=0000:00:05.0"),
                ("a HWPT has 2 devices", "domain=0 devices=1", "domain=0 devices=2"),
                ("domain 0 has 2 devices, and 1", "iova-bits=48 devices=1", "iova-bits=48 devices=2"),
                ("bus mastering", "bus-master=on", "bus-master=off"),
                ("waits for something", "bus-master=on", "bus-master=on waits-for=finish")):
            with self.subTest(new=new):
                self.assertIn(old, OUTGOING)
                self.assertIn(said, "; ".join(contradictions(parse(OUTGOING.replace(old, new)), False)))

    def test_carried(self):
        before = discovery.carried(parse(OUTGOING))
        self.assertEqual(before, discovery.carried(parse(OUTGOING.replace("did=3 bus-master=on", "did=3"))))
        for old, new in (("did=3", "did=4"), ("top=0x1dcb000", "top=0x1dcc000"), ("root=0xc5b000", "root=0xc5c000"),
                         ("token=0x11000000000001", "token=0x11000000000002"), ("0000:00:04.0 bound", "0000:00:05.0 bound")):
            self.assertNotEqual(before, discovery.carried(parse(OUTGOING.replace(old, new))), new)


class Document(unittest.TestCase):
    """docs/discovery.md is the contract: it explains each type, key and state, and its examples are right."""

    def setUp(self):
        with open(DOC, encoding="utf-8") as f:
            self.text = f.read()
        self.sections = dict(re.findall(r"^### `([a-z]+)`\n(.*?)(?=^##|\Z)", self.text, re.M | re.S))

    def test_each_type_and_key(self):
        self.assertEqual(set(self.sections), set(discovery.RECORDS))
        for kind, (always, may) in discovery.RECORDS.items():
            rows = set(re.findall(r"^\| `([a-z-]+)` \|", self.sections[kind], re.M))
            expected = {*always, *may}
            # Explained once, for all types
            shared = {*discovery.REFUSED, *discovery.HOLDER} & expected
            self.assertEqual(rows - shared, expected - shared, kind)
        for kind, key in discovery.COUNTS:
            self.assertIn(f"| `{key}` | debugfs only", self.sections[kind])
        for key in (*discovery.REFUSED, *discovery.HOLDER, *discovery.COMMON):
            self.assertIn(f"| `{key}` |", self.text)

    def test_each_state(self):
        for kind, (always, _) in discovery.RECORDS.items():
            states = re.findall(r"`([a-z-]+)`", re.search(r"^\| `state` \|(.*)$", self.sections[kind], re.M)[1])
            for state in states:
                self.assertEqual(always["state"](state), state)
            for state in ("outgoing", "not-read", "not-retrieved", "retrieved", "finished", "busy", "preserved",
                          "frozen", "failed", "restored", "reclaimed", "left", "pending", "adopted", "unused", "freed",
                          "attached", "running", "refused"):
                try:
                    always["state"](state)
                except Malformed:
                    continue
                self.assertIn(state, states, kind)

    def test_each_wait(self):
        for word in discovery.WAITS:
            self.assertRegex(self.text, rf"(?m)^\| `{word}` \|")

    def test_examples(self):
        examples = [re.sub(r"^    ", "", block, flags=re.M)
                    for block in re.findall(r"(?m)^((?:    format=1\n)(?:    .*\n)*)", self.text)]
        self.assertGreaterEqual(len(examples), 3)
        for text in examples:
            sides = discovery.sides(parse(text))
            self.assertEqual(contradictions(sides["outgoing"], False) + contradictions(sides["incoming"], True), [])


if __name__ == "__main__":
    unittest.main()
