# SPDX-License-Identifier: GPL-2.0-only
"""
Adopt: in place of new tables, the rebuilt IOAS takes over those of the restored
HWPT, if they say the same.
"""

import errno

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded, must_see

DIFFERS, SIZES, MORE = 1, 2, 4
TABLES, HANDFUL = 1000, 8


def adoptions(machine):
    return [e for e in machine.events if e["ev"] == "adopted"]


def shared(machine):
    """While both have the tables: what was tried, and must be refused."""
    found = []
    for e in machine.events:
        if e["ev"] == "shared":
            found += [f"{what} while the tables are shared: {errno.errorcode.get(e[what], 'granted')}"
                      for what in ("map", "destroy") if e[what] != errno.EBUSY]
        if e["ev"] == "adopted" and e["what"] == "again" and e["errno"] != errno.EBUSY:
            found.append(f"adopted twice: {errno.errorcode.get(e['errno'], 'granted')}")
    return found


@guarded
def adopt(machine, begin, iommu, hwpt="shared", append=""):
    """
    Two updates, each of which adopts; between them the devices are moved to new
    tables and back, and what was adopted is mapped into, a thousand tables more.
    Seen to fail: adopt-unchecked; and with adopt=1 left out (1,000 pages are made).
    """
    run = begin(iommu=iommu, append=f"rig.adopt=1 rig.updates=2 rig.hwpt={hwpt} {append}".strip())
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    run.replace(100)
    since = len(machine.events)
    machine.send(f"tables {TABLES}")
    machine.wait("tables", since=since)
    run.update(3)
    run.rest(AFTER_S)
    run.stop()
    found = shared(machine)
    made = [e["pages"] for e in machine.events if e["ev"] == "tables_made"]
    machine.figures["table_pages_made"] = made
    if len(made) < 2 or max(made) > HANDFUL:
        found.append(f"{made} table pages were made to adopt")
    if found:
        raise Failed("; ".join(found))
    clean(run)


# name: what the kernel has to say, and what is there: in the restored table, in the IOAS
WRONG = {"page missing": (MORE, 0, 0), "page too many": (DIFFERS, 0, 1),
         "other memory": (DIFFERS, 1, 1), "read only": (DIFFERS, 1, 1)}


def told(machine):
    """What root is told of a difference, and a VMM without capabilities: no address."""
    said = {(e["who"], e["what"]): e for e in machine.events if e["ev"] == "told"}
    found = []
    for what in ("adopt", "verify"):
        root, nobody = said[("root", what)], said[("nobody", what)]
        for side in ("was", "is"):
            # An IOAS that is to adopt a table has no leaf yet, so it has no size.
            if not all(n for i, n in enumerate(root[side]) if (what, side, i) != ("adopt", "is", 1)):
                found.append(f"{what} does not tell root what there is: {root[side]}")
            if nobody[side] != root[side][:2] + [0, 0]:
                found.append(f"{what} tells a VMM without capabilities {nobody[side]}, root {root[side]}")
        if any(nobody[key] != root[key] for key in ("result", "iova")):
            found.append(f"{what} tells a VMM without capabilities of another difference: {nobody}, {root}")
    return found


@guarded
def refused(machine, begin, iommu):
    """
    IOASes that differ in one page are refused, and nothing has changed; then the
    right one is adopted. Who may not know physical addresses is told the rest.
    Seen to fail: adopt-unchecked.
    """
    run = begin(iommu=iommu, append="rig.adopt=refused")
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    got = {e["what"]: e for e in adoptions(machine)}
    machine.figures["tries"] = len(WRONG)
    machine.figures["outcome"] = "refused, the first difference is named; then the right one is adopted"
    found = shared(machine) + told(machine)
    for what, expected in WRONG.items():
        e = got.get(what)
        if not e or e["errno"] or (e["result"], e["was"], e["is"]) != expected:
            found.append(f"{what}: {e}, expected {expected}")
        elif e["result"] == DIFFERS and not e["iova"]:
            found.append(f"{what}: no IOVA")
    if found:
        raise Failed("; ".join(found))
    clean(run)


@guarded
def hole(machine, begin, iommu):
    """The process that finds out gives up; nothing has happened to the devices."""
    run = begin(iommu=iommu, append="rig.adopt=1")
    run.rest(1)
    machine.figures["tries"] = 1
    machine.figures["lost"] = "not judged"
    try:
        run.update(2, "hole=1")
    except Failed as error:
        if f"are not adopted: result {MORE}" not in str(error):
            raise
        machine.figures["outcome"] = "not adopted"
    else:
        raise Failed("an IOAS with a page missing adopted the tables")


@guarded
def unchecked(machine, begin, iommu):
    """Without the comparison a page that the IOAS does not have goes unnoticed, and stays within reach."""
    run = begin(iommu=iommu, append="rig.adopt=1 liveupdate.break=adopt")
    run.rest(1)
    run.update(2, "hole=1")
    run.rest(1)
    run.stop()
    machine.figures["tries"] = 1
    machine.figures["lost"] = "not judged"
    machine.figures["outcome"] = "found: an IOAS without a page that the device reaches was let through"
    must_see("an IOAS with a page missing that adopted the tables",
             any(e["what"] == "network" and not e["errno"] and not e["result"] for e in adoptions(machine)))


@guarded
def sizes(machine, begin, iommu, adopt, before, **options):
    """
    Memory in folios of 2 MiB that was mapped in pieces, so that all leaves are small,
    is mapped at once now. adopt: None, "1", or "sizes". before: what the
    comparison finds before the devices are moved.
    Seen to fail: sizes-unasked, which is the same without the flag.
    """
    run = begin(iommu=iommu, append=f"rig.huge=1 rig.pieces=1 {f'rig.adopt={adopt}' if adopt else ''}".strip(), **options)
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    results = {e["result"] for e in machine.events if e["ev"] == "verified"}
    machine.figures["verify"] = sorted(results)
    machine.figures["tries"] = 1
    machine.figures["outcome"] = "found: the leaves have other sizes" if before else ""
    if results != ({before} if before is not None else set()):
        raise Failed(f"the comparison says {results}, expected {before}")
    clean(run)


@guarded
def cut(machine, begin, iommu, adopt):
    """
    A large leaf cannot be that of two areas, nor can two areas have a large leaf.
    Seen to fail: with the last byte of each area not looked at in check() of liveupdate_adopt.c.
    """
    run = begin(iommu=iommu, append=f"rig.huge=1 rig.pieces=2 rig.adopt={adopt}")
    run.rest(1)
    machine.figures["tries"] = 1
    machine.figures["lost"] = "not judged"
    try:
        run.update(2)
    except Failed as error:
        if f"are not adopted: result {SIZES}" not in str(error):
            raise
        machine.figures["outcome"] = "not adopted: a leaf reaches over the end of an area"
    else:
        raise Failed("areas adopted leaves that reach over their ends")


CASES = [
    *(Case(f"adopt-{mode}", f"the restored tables are adopted, {mode} mode", bind(adopt, iommu=f"vtd-{mode}"), debug=mode == "scalable")
      for mode in ("legacy", "scalable")),
    Case("hugetlb-adopt", "the tables of huge pages are adopted",
         bind(adopt, iommu="vtd-scalable", append="hugepages=64 rig.hugetlb=21")),
    Case("adopt-each", "the same, with a HWPT for each device", bind(adopt, iommu="vtd-scalable", hwpt="each")),
    Case("adopt-refused", "IOASes that differ are not adopted", bind(refused, iommu="vtd-scalable"),
         fault="the rebuilt IOAS differs from the tables to adopt: a page missing, too many, other, read-only"),
    Case("adopt-hole", "negative: the comparison alone keeps an IOAS with a page missing off", bind(hole, iommu="vtd-scalable"),
         fault="one page is left out of the IOAS that is to adopt"),
    Case("adopt-small", "tables with smaller leaves than the IOAS would make are adopted",
         bind(sizes, iommu="vtd-scalable", adopt="1", before=None)),
    Case("adopt-cut", "leaves that reach over the end of an area are not adopted", bind(cut, iommu="vtd-scalable", adopt="1"),
         fault="what had been mapped at once is mapped in pieces, smaller than the leaves to adopt"),
    Case("sizes", "new tables, with the leaf sizes of the restored ones",
         bind(sizes, iommu="vtd-scalable", adopt="sizes", before=0)),
    Case("sizes-legacy", "new tables, with the leaf sizes of the restored ones, legacy mode",
         bind(sizes, iommu="vtd-legacy", adopt="sizes", before=0)),
    Case("sizes-unasked", "negative: without asking, the leaf sizes differ",
         bind(sizes, iommu="vtd-scalable", adopt=None, before=SIZES), fault="leaf sizes change at the replace"),
    Case("sizes-cut", "leaf sizes that areas cannot have are refused", bind(cut, iommu="vtd-scalable", adopt="sizes"),
         fault="the same, and only the sizes of the leaves are to be adopted"),
    Case("adopt-unchecked", "negative: the same without the comparison", bind(unchecked, iommu="vtd-scalable"), kernel="lab",
         fault="one page is left out of the IOAS that is to adopt, and nobody compares"),
]
