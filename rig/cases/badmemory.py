# SPDX-License-Identifier: GPL-2.0-only
"""
Memory that the hardware reports as bad, and processes that may not have all of the memory that
came over. Both need what only the kernel host has.
"""

import os

from rig.cases.guestmem import look
from rig.cases.uncooperative import ask, idle_update, resume
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, errno_name, guarded, must_see, wall_us

# Python has no name for it.
EHWPOISON = 133
SAID_BAD = "/sys/devices/system/memory/hard_offline_page"
# Has the kernel move to another page while there is still nothing lost.
SAID_WEAK = "/sys/devices/system/memory/soft_offline_page"
# Behind what the devices use, so that they do not mind.
MEMORY, PLACE = 72 << 20, 68 << 20
HUGE_PAGE = 2 << 20
KINDS = {
    "memfd": f"rig.memory={MEMORY} guestmem=512M",
    "memfd-large": f"rig.memory={MEMORY} transparent_hugepage_shmem=always",
    "hugetlb": f"hugepages=64 rig.hugetlb=21 rig.memory={MEMORY}",
    "guestmem": f"guestmem=512M rig.guestmem=1 rig.memory={MEMORY}",
}
REASON = "cannot be preserved: memory of it is bad"


def place_of(run):
    since = len(run.machine.events)
    run.machine.send(f"where {PLACE}")
    return run.machine.wait("where", since=since)["phys"]


def say_bad(run, phys, path=SAID_BAD):
    """
    As the handler of a machine check says it. The errno of that, or None: EBUSY if somebody has the page
    pinned, which is bad all the same.
    """
    return run.machine.write(path, f"{phys:#x}")


def name_in_log(machine, phys, kind):
    """The line has the address, so that the page can be found; in guestmemfs that of the report has it."""
    lines = [line for line in machine.console().splitlines() if REASON in line]
    place = f"{phys:#x} in memory" if kind != "guestmem" else f"{PLACE:#x} in it"
    if not any(place in line for line in lines):
        raise Failed(f"the log does not say '{REASON}' of {place}: {lines}")


@guarded
def before(machine, begin, kind):
    """Memory that went bad before preserve is refused by name."""
    run = begin(iommu="vtd-scalable", append=KINDS[kind])
    run.rest(STEADY_S)
    phys = place_of(run)
    machine.figures["said"] = say_bad(run, phys)
    said = f"preserve the memfd: {os.strerror(EHWPOISON)}"
    try:
        run.update(2)
    except Failed as error:
        if said not in str(error):
            raise
    else:
        raise Failed("bad memory was preserved")
    machine.await_end()
    name_in_log(machine, phys, kind)
    machine.figures.update(tries=1, lost="not judged", outcome="refused: memory of it is bad")


@guarded
def after_preserve(machine, begin, kind):
    """
    Memory that goes bad between preserve and jump: the jump is refused by name, and all goes on.
    To see it fail: no freeze in the handler's operations.
    """
    run = begin(iommu="vtd-scalable", append=KINDS[kind])
    run.rest(STEADY_S)
    phys = place_of(run)
    since = len(machine.events)
    machine.send("preserve")
    machine.wait("preserved", since=since)
    machine.figures["said"] = say_bad(run, phys)
    machine.send("jump")
    error = machine.wait("stays", since=since)["errno"]
    if kind == "memfd":
        # The jump was let pass because there are no files of guestmemfs; it has failed, so there can be some again.
        look(machine, "begin")
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=1, outcome="the jump is refused by name (`EHWPOISON`); DMA goes on")
    clean(run)
    if error != EHWPOISON:
        raise Failed(f"the jump: {errno_name(error)}; expected EHWPOISON")
    name_in_log(machine, phys, kind)


@guarded
def after_jump(machine, begin, kind):
    """
    Memory that goes bad when nobody has retrieved it yet, and again when somebody has: the update ends, the memory is bad as it
    was, and is not preserved again. To see it fail: no note_bad() in come_back() of hugetlb_liveupdate.c, or in
    memfd_liveupdate_folio(), for what is not the first page of its folio.
    """
    run = begin(iommu="vtd-scalable", append=KINDS[kind])
    run.rest(STEADY_S)
    phys = place_of(run)
    idle_update(run, 2)
    # Of a large folio one that is not the first.
    large = kind in ("hugetlb", "memfd-large")
    if large and phys % HUGE_PAGE:
        raise Failed(f"the memory at {phys:#x} is none of a large folio")
    bad = phys + (3 << 12 if large else 0)
    machine.figures["before retrieve"] = say_bad(run, bad)
    resume(run)
    machine.figures["after retrieve"] = say_bad(run, phys) if kind == "guestmem" else None
    since = len(machine.events)
    machine.send("preservable")
    error = machine.wait("preservable", since=since)["errno"]
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=1, outcome="not noticed before the retrieve; the update ends, DMA goes on; reported again, it is refused to be preserved (`EHWPOISON`)"
                           if kind == "guestmem" else
                           "the update ends, DMA goes on; it is refused to be preserved again (`EHWPOISON`)")
    clean(run)
    if error != EHWPOISON:
        raise Failed(f"preserved again: {errno_name(error)}; expected EHWPOISON")
    # A huge page is named by its first page.
    name_in_log(machine, bad if kind == "memfd-large" else phys, kind)


NOT_TOLD = 4                    # rig/guest/scenarios/bad_memory.h
BAD_KB = 4                      # a page


@guarded
def in_use(machine, begin, kind):
    """
    Memory goes bad when the update is over and the file is in use: the process that has it mapped gets SIGBUS with the address,
    so does who reads it later, and nobody else does; the kernel counts one page, and the pool of huge pages what it did before.
    DMA goes on. Of memory without a struct page mm keeps no account: it is not counted, and mapped anew for who comes later.
    To see it fail: the place before it said to be bad, or no memory at all.
    """
    known = kind != "guestmem"
    run = begin(iommu="vtd-scalable", append=KINDS[kind])
    run.rest(STEADY_S)
    run.update(2)
    count = ("huge", "huge_free", "huge_surplus")
    pool = ask(run, "memory", "memory")
    since = len(machine.events)
    machine.send(f"among-others {PLACE}")
    got = machine.wait("among_others", since=since, timeout_s=60)
    pool_after = ask(run, "memory", "memory")
    since = len(machine.events)
    machine.send("preservable")
    error = machine.wait("preservable", since=since)["errno"]
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=1, said=errno_name(got["errno"]), among_others=got,
                           outcome="SIGBUS with the address for who has it mapped" +
                           (", and for who reads it later; one page is counted as bad" if known else "; the log names the file"))
    clean(run)
    ends = {key: got[key] for key in ("told", "other", "later", "beside")}
    if ends != {"told": 0, "other": NOT_TOLD, "later": 0 if known else NOT_TOLD, "beside": NOT_TOLD}:
        raise Failed(f"how the processes ended: {ends}")
    if (got["kb_before"], got["kb"]) != (0, BAD_KB * known):
        raise Failed(f"the kernel counts {got['kb_before']} kB of bad memory, then {got['kb']}; expected 0, then {BAD_KB * known}")
    if any(pool[key] != pool_after[key] for key in count):
        raise Failed(f"the pool was {pool}, and is {pool_after}")
    if error != EHWPOISON:
        raise Failed(f"preserved again: {errno_name(error)}; expected EHWPOISON")
    name_in_log(machine, got["phys"], kind)


@guarded
def weak(machine, begin):
    """
    A huge page that has errors which were corrected is to be replaced by another one (soft offline). Before preserve
    it is; what is preserved stays, EBUSY, because the page that is handed over is the one that the file has; the update ends.
    """
    run = begin(iommu="vtd-scalable", append=KINDS["hugetlb"])
    run.rest(STEADY_S)
    phys = place_of(run)
    answers = [say_bad(run, phys, SAID_WEAK)]
    moved = place_of(run)
    since, start = len(machine.events), wall_us()
    machine.send("preserve")
    machine.wait("preserved", since=since)
    answers.append(say_bad(run, moved, SAID_WEAK))
    machine.send("jump")
    machine.wait("boot", stage=2, since=since, timeout_s=60)
    run.updates.append((start, machine.wait("resumed", since=since, timeout_s=60)["host_real_ns"] // 1000))
    stayed = place_of(run)
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=2, outcome="before preserve it is replaced, after it not (`EBUSY`); the update ends, DMA goes on")
    clean(run)
    if answers != [None, "EBUSY"] or phys == moved or moved != stayed:
        raise Failed(f"answers {answers}, expected none and EBUSY; the page was at {phys:#x}, {moved:#x}, {stayed:#x}")


def told(machine):
    """
    Memory of a file of guestmemfs goes bad: who has it mapped gets SIGBUS with the address, and the file can be neither cut,
    removed, replaced nor preserved, also when nobody has it open. The next kernel does not know.
    To see it fail: no ihold() in bad.c.
    """
    machine.start(append="rig.devs=none rig.preserve=0 guestmem=512M")
    machine.wait("ready")
    look(machine, "bad")
    since = len(machine.events)
    machine.send("update")
    machine.wait("boot", stage=2, since=since, timeout_s=60)
    machine.wait("nothing", since=since)
    look(machine, "bad-forgotten")
    machine.figures.update(tries=5, lost="not judged", outcome="SIGBUS with the address; `EHWPOISON` for what would free or preserve it")
    machine.send("off")
    machine.finish()


LIMIT = 16 << 20                # rig/guest/scenarios/uncooperative/limited.c


@guarded
def limited(machine, begin, group):
    """
    A cgroup does not allow for all huge pages of the memory: the retrieve fails, what does not fit is charged to nobody, and
    when the limit is gone the same retrieve goes on.
    """
    run = begin(iommu="vtd-scalable", append="hugepages=64 rig.hugetlb=21")
    count = ("huge", "huge_free", "huge_surplus")
    was = ask(run, "memory", "memory")
    run.rest(STEADY_S)
    idle_update(run, 2)
    got = ask(run, f"limited {group}", "limited")
    resume(run)
    run.rest(AFTER_S)
    now = ask(run, "memory", "memory")
    run.stop()
    machine.figures.update(tries=2, limited=got, outcome="`ENOSPC`; when the limit allows for it the retrieve goes on; DMA goes on")
    clean(run)
    must_see("pages that the group was charged for", got["limited_bytes"] > LIMIT // 2)
    pages = was["huge"] - was["huge_free"]
    if (errno_name(got["first"]), got["then"]) != ("ENOSPC", 0):
        raise Failed(f"the retrieve: {errno_name(got['first'])}, then {errno_name(got['then'])}; expected ENOSPC, then success")
    if got["limited_bytes"] > LIMIT or not pages * HUGE_PAGE <= got["all_bytes"] < (pages + 1) * HUGE_PAGE:
        raise Failed(f"the group has {got['limited_bytes']} bytes, then {got['all_bytes']}; expected {LIMIT} at most, then {pages} huge pages")
    if any(now[key] != was[key] for key in count):
        raise Failed(f"the pool was {was}, and is {now}")


def container(machine):
    """
    VFIO's own containers, which are not told when memory goes, do not get a file of guestmemfs; a memfd they do.
    """
    machine.start(iommu="vtd-scalable", devices=["-device", "igb,addr=4.0"],
                  append="rig.devs=none rig.preserve=0 guestmem=64M")
    machine.wait("ready")
    machine.send("container")
    said = machine.wait("container")
    machine.send("off")
    machine.finish()
    answers = {name: errno_name(said[name]) for name in ("guestmem", "memfd")}
    machine.figures.update(tries=1, lost="not judged", outcome="`EOPNOTSUPP`")
    if answers != {"guestmem": "EOPNOTSUPP", "memfd": None}:
        raise Failed(f"mapped in a container: {answers}; expected EOPNOTSUPP for the file, and the memfd mapped")


WHAT = {"memfd": "a memfd", "hugetlb": "a memfd of huge pages", "guestmem": "a file of guestmemfs"}
LARGE = {"memfd-large": "a large folio of a memfd"}

CASES = [
    *(Case(f"bad-{kind}", f"memory of {what} went bad, and is refused", bind(before, kind=kind), kernel="host",
           fault=f"memory of {what} goes bad before preserve") for kind, what in WHAT.items()),
    *(Case(f"bad-{kind}-preserved", f"memory of {what} goes bad between preserve and jump", bind(after_preserve, kind=kind), kernel="host",
           fault=f"memory of {what} goes bad between preserve and jump") for kind, what in (WHAT | LARGE).items()),
    *(Case(f"bad-{kind}-incoming", f"memory of {what} goes bad after the jump", bind(after_jump, kind=kind), kernel="host",
           fault=f"memory of {what} goes bad after the jump, before it is retrieved") for kind, what in (WHAT | LARGE).items()),
    *(Case(f"bad-{kind}-in-use", f"memory of {what} goes bad after the update, while it is in use", bind(in_use, kind=kind), kernel="host",
           fault=f"memory of {what} goes bad after the update, while it is in use") for kind, what in WHAT.items()),
    Case("bad-hugetlb-soft", "a huge page is to be replaced by another one, before preserve and after it", weak, kernel="host",
         fault="a huge page with corrected errors is to be replaced, before preserve and after it"),
    Case("bad-guestmem-told", "memory of a file of guestmemfs goes bad: who is told, and what is refused", told, kernel="host",
         fault="memory of a file of guestmemfs goes bad, and the file is to be cut, removed, replaced, preserved"),
    *(Case(f"hugetlb-limited-{group}", f"huge pages are retrieved in a cgroup that does not allow for them ({group})",
           bind(limited, group=group), kernel="host", fault=f"a cgroup ({group}) refuses huge pages that are retrieved")
      for group in ("hugetlb", "rsvd", "memory")),
    Case("guestmem-container", "VFIO's own containers do not get files of guestmemfs", container, kernel="host",
         fault="a file of guestmemfs is mapped in a container of VFIO (type 1)"),
]
