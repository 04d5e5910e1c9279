# SPDX-License-Identifier: GPL-2.0-only
"""
The live update, judged from outside: devices do DMA by themselves while the
kernel under them is replaced, and frames, samples and IOMMU say what happened.

Each way to pass has twins that break one law on purpose; they pass only
if the referee says no, and for the right reason.
"""

import errno
import re
import time

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, SHOWN_STEADY_S, STEADY_S, bind, clean, errno_name, guarded, must_see, past
from rig.referee import dmalog, page, phases, summary

REPLACES_AFTER_UPDATE = 500
REPLACES = 10_000
REPLACES_NEGATIVE = 1_000
HUGE_PAGES = 33                 # of 2 MiB, which the DMA memory has

# Makes the kernel under test attach as 7.3 does: block, then set.
BLOCK_THEN_SET = "liveupdate.break=gap"


def carry(machine, begin, iommu, nic=True, sound=True, updates=1, replaces=REPLACES_AFTER_UPDATE, show=False, look=None,
          **options):
    """One update or more, and some replaces; everything arrives. look: called with the run before it ends."""
    if updates > 1:
        options["append"] = f"rig.updates={updates} {options.get('append', '')}".strip()
    run = begin(iommu=iommu, nic=nic, sound=sound, **options)
    run.rest(SHOWN_STEADY_S if show else STEADY_S)
    for stage in range(2, updates + 2):
        run.update(stage)
        run.rest(AFTER_S)
    if replaces:
        run.replace(replaces)
        run.rest(0.5)
    if look:
        look(run)
    run.stop()
    try:
        clean(run)
    finally:
        if show:
            print(summary.table(machine.figures))
            with open(machine.path("timeline.svg"), encoding="utf-8") as f:
                timeline = f.read()
            with open(machine.path("report.html"), "w", encoding="utf-8") as f:
                f.write(page.page("DMA goes on while the kernel is replaced", machine.figures, timeline))


@guarded
def update(machine, begin, iommu, **options):
    carry(machine, begin, iommu, **options)


def in_large_leaves(run, leaf):
    """
    All of the memory is mapped once more: in leaves of that size it takes a table for 512 of them, and
    one or two above. With leaves of 4 KiB it takes 33 for the least memory that there is here.

    To see it fail: SZ_4K alone in pgsize_bitmap of pt_iommu_init_domain().
    """
    machine = run.machine
    since = len(machine.events)
    machine.send("uncoop leaves")
    said = machine.wait("leaves", since=since)
    machine.figures["mapped_mb"], machine.figures["tables"] = said["bytes"] >> 20, said["tables"]
    if said["tables"] > said["bytes"] // (512 * leaf) + 3:
        raise Failed(f"{said['tables']} pages of tables for {said['bytes'] >> 20} MiB: its leaves are smaller than {leaf >> 20} MiB")


@guarded
def large(machine, begin, iommu, **options):
    """The same, with memory that is mapped in leaves of 2 MiB."""
    carry(machine, begin, iommu, look=lambda run: in_large_leaves(run, 2 << 20), **options)


@guarded
def pools(machine, begin, iommu, size, pages, first="", surplus=0, **options):
    """
    The same with memory of huge pages of that size; pages: so many each kernel's pool has; surplus: so
    many of the last one's are freed with their files.

    To see it fail: no surplus in await() of hugetlb_liveupdate_pool.c.
    """
    kb, used = {"2.00 MiB": (2 << 10, HUGE_PAGES), "1.00 GiB": (1 << 20, 1)}[size]

    def look(run):
        in_large_leaves(run, kb << 10)
        machine.figures["pool"] = pool_of(machine, kb)

    if first:
        options["first"] = first
    carry(machine, begin, iommu, look=look, **options)
    expected = {"nr": pages[-1], "free": pages[-1] - used, "resv": 0, "surplus": surplus}
    if machine.figures["pool"] != expected:
        raise Failed(f"the pool of huge pages has {machine.figures['pool']}, expected {expected}")
    found = [int(n) for n in re.findall(rf"HugeTLB: registered {size} page size, pre-allocated (\d+) pages", machine.console())]
    machine.figures["pool_pages"] = found
    if found != pages:
        raise Failed(f"the pools of huge pages have {found} pages, expected {pages}")


POOL = ("nr", "free", "resv", "surplus")


def pool_of(machine, kb, node=None):
    """What the kernel counts of the pool of huge pages of that size, of a node or of the machine; reservations are of no node."""
    where = f"/sys/devices/system/node/node{node}/hugepages" if node is not None else "/sys/kernel/mm/hugepages"
    return {name: int(machine.read(f"{where}/hugepages-{kb}kB/{name}_hugepages")) for name in POOL if node is None or name != "resv"}


def space_of(machine):
    """What statfs(2) says of guestmemfs."""
    since = len(machine.events)
    machine.send("files mount")
    said = machine.wait("files", since=since)
    return {key: said[key] for key in ("units", "free", "inodes", "inodes_free")}


@guarded
def counted(machine, begin, iommu, count, append, surplus=0, **options):
    """
    Three updates, and what is used, free, reserved and surplus of a kind of memory is the same before
    them and after each. count: asks the machine for it; surplus: of a pool, so many pages.

    To see it fail: resv_huge_pages of the pool made one more in hugetlb_memfd_retrieve() (the three of pools); of
    guestmemfs: make a file in between ('files keep').
    """
    run = begin(iommu=iommu, append=f"rig.updates=3 {append}", **options)
    run.rest(STEADY_S)
    counts = [count(machine)]
    for stage in (2, 3, 4):
        run.update(stage)
        run.rest(AFTER_S)
        counts.append(count(machine))
    machine.figures["counts"] = counts
    run.stop()
    clean(run)
    if any(now != counts[0] for now in counts):
        raise Failed(f"not the same after each update: {counts}")
    if counts[0].get("surplus", 0) != surplus:
        raise Failed(f"{counts[0]['surplus']} huge pages are surplus, expected {surplus}")


# Two nodes, with the CPUs on the first one.
NODES = ["-object", "memory-backend-ram,id=m0,size=1G", "-object", "memory-backend-ram,id=m1,size=1G",
         "-numa", "node,nodeid=0,memdev=m0,cpus=0-1", "-numa", "node,nodeid=1,memdev=m1"]


@guarded
def on_node(machine, begin, iommu):
    """Huge pages are on the same node after each of three updates, and its pool, and the other's, are as before."""
    def pools_of_nodes():
        return {node: pool_of(machine, 2048, node) for node in (None, 0, 1)}

    run = begin(iommu=iommu, extra=NODES, append="rig.updates=3 hugepages=0:8,1:64 rig.hugetlb=21")
    run.rest(STEADY_S)
    counts = [pools_of_nodes()]
    for stage in (2, 3, 4):
        run.update(stage)
        run.rest(AFTER_S)
        counts.append(pools_of_nodes())
    run.stop()
    clean(run)
    machine.figures["pools_of_nodes"] = [{str(node): pool for node, pool in now.items()} for now in counts]
    must_see("huge pages in use on the second node", counts[0][1]["free"] < counts[0][1]["nr"])
    if any(now != counts[0] for now in counts):
        raise Failed(f"the pools are not the same after each update: {counts}")


@guarded
def no_preserve(machine, begin, iommu):
    """The same with the preserve left out: DMA must be seen to stop."""
    run = begin(iommu=iommu, append="rig.preserve=0")
    run.rest(STEADY_S)
    run.update(2, until="nothing")
    time.sleep(AFTER_S)
    run.stop()
    found = run.judge()
    figures = machine.figures
    must_see("lost frames", figures["frames_lost"] > figures["frames_per_s"])
    # QEMU 11's codec goes on playing what it fetched last.
    must_see("the audio stop", any(re.match("audio: (no DMA for|.* were played)", text) for text in found))
    for name, sid in run.preserved.items():
        late = run.log.times(sid, run.updates[0][1])
        if late:
            raise Failed(f"{name}: {len(late)} DMAs after an update that did not preserve it")
        must_see(f"the gap of the {name}", figures[f"{name}_dma_gap_update_us"] > 200_000)
    figures["outcome"] = "the DMA stops at the jump"


# A memfd is handed over as a list of its folios, 16 bytes each, in pages; the pages are listed
# in chunks of 511. This one fills a chunk to the end, with folios of 4 KiB. There is no smaller one.
FULL_CHUNK_BYTES = 511 * (4096 // 16) * 4096


@guarded
def memory(machine, begin, iommu, updates=2, size=None):
    """The memory alone, as 7.3 can do by itself: what the devices wrote before is there after."""
    append = f"rig.preserve=memfd rig.updates={updates}" + (f" rig.memory={size}" if size else "")
    run = begin(iommu=iommu, append=append)
    run.rest(1)
    for sender in run.senders.values():
        sender.stop()
    time.sleep(0.3)
    for stage in range(2, updates + 2):
        done = run.update(stage)
        if done["updates_done"] != stage - 1:
            raise Failed(f"the memory says that {done['updates_done']} updates were done, not {stage - 1}")
        machine.figures[f"phases_{stage - 1}_ms"] = phases.phases_ms(run.spans[-1])
    machine.send("off")
    machine.finish()


@guarded
def undo(machine, begin, iommu, n=20, append="", count=None):
    """
    Preserve and undo under load, then replace, then update: nothing is left behind. count: asks the
    machine for what is free of the memory, which is the same after the undos.

    To see it fail, of count: resv_huge_pages of the pool made one more in hugetlb_memfd_unpreserve(); a
    file made in the image in guestmemfs_unpreserve().
    """
    run = begin(iommu=iommu, append=append)
    run.rest(STEADY_S)
    before = count(machine) if count else None
    since = len(machine.events)
    machine.send(f"undo {n}")
    machine.wait("undone", since=since, timeout_s=60)
    after = count(machine) if count else None
    if after != before:
        raise Failed(f"after {n} undos {after}, before them {before}")
    if count:
        machine.figures["counts"] = [before, after]
    machine.figures["undone"] = machine.figures["tries"] = n
    machine.figures["outcome"] = "as before; DMA goes on, and an update works"
    run.rest(1)
    run.replace(100)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    clean(run)


REFUSALS = {"unmarked hwpt": errno.EINVAL, "token twice": errno.EADDRINUSE,
            "unknown flag of a mark": errno.EOPNOTSUPP, "keep and unmark": errno.EINVAL,
            "unmark by another token": errno.ENOENT,
            "iommufd before memfd": errno.ENOENT, "device before iommufd": errno.ENOENT,
            "unmap while preserved": errno.EBUSY, "map while preserved": errno.EBUSY,
            "destroy while preserved": errno.EBUSY,
            "open past the session": errno.EBUSY, "finish too early": errno.EBUSY,
            "bind to another iommufd": errno.EPERM}
SEALS = 0x1 | 0x2 | 0x4         # no further seals, no shrinking, no growing


@guarded
def refusals(machine, begin, iommu):
    """What the rules forbid is refused by the right name, and the DMA goes on."""
    run = begin(iommu=iommu, append="rig.refusals=1")
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send("refusals")
    machine.wait("refused", since=since)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    found = run.judge()
    seals = next(e["seals"] for e in machine.events if e["ev"] == "seals")
    if seals & SEALS != SEALS:
        found.append(f"a memfd that is mapped has the seals {seals:#x}, not {SEALS:#x}")
    answers = {e["name"]: e for e in machine.events if e["ev"] == "refusal"}
    for name, number in REFUSALS.items():
        answer = answers.get(name)
        if answer is None:
            found.append(f"'{name}' was not tried")
        elif answer["errno"] != number:
            found.append(f"'{name}': {answer['text']}, expected {errno.errorcode[number]}")
    machine.figures["refusals"] = {name: errno.errorcode.get(e["errno"], "none") for name, e in answers.items()}
    if found:
        raise Failed("; ".join(found))
    machine.figures["tries"] = len(answers)
    machine.figures["outcome"] = "each is refused by its errno; DMA goes on, and the update works"


@guarded
def peer_bar(machine, begin, iommu, **options):
    """
    A BAR of another device in what is to go over is refused by name. That the BAR is exported is no hindrance, and ends
    with the kernel; nor does it keep another process from taking over what is pinned, as QEMU does that hands its devices
    on. To see it fail: a device whose BARs are exported refused in vfio_pci_liveupdate_check(), as until 2026-11-29; no
    check of the area's type in check_area() of iommufd's liveupdate.c; 7.3's own condition in iommufd_ioas_change_process().
    """
    run = begin(iommu=iommu, **options)
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send("peer")
    answer = machine.wait("peer", since=since)
    said = rf"IOVA {answer['iova']} of the area \S+ cannot be preserved: .* is a BAR \(dma-buf\)"
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    if answer["errno"] != errno.EINVAL:
        raise Failed(f"the preserve of an iommufd with a BAR: {errno_name(answer['errno'])}, expected EINVAL")
    if answer["changed"]:
        raise Failed(f"another process takes over what is pinned: {errno_name(answer['changed'])}")
    if not re.search(said, machine.console()):
        raise Failed(f"the kernel does not say '{said}'")
    clean(run)
    machine.figures.update(tries=1, outcome="EINVAL, and the log names the IOVA and the rule; unmapped, the update works")


@guarded
def refused(machine, begin, iommu, reason, what="network device", **options):
    """A device, or memory, that must not be preserved is refused, and the log says why."""
    run = begin(iommu=iommu, **options)
    run.rest(STEADY_S)
    try:
        run.update(2)
    except Failed as error:
        if f"preserve the {what}: Operation not supported" not in str(error):
            raise
    else:
        raise Failed(f"the {what} was preserved; it must be refused")
    machine.await_end()
    if f"cannot be preserved: {reason}" not in machine.console():
        raise Failed(f"the kernel log does not say '{reason}'")
    machine.figures["outcome"] = f"refused: {reason}"


@guarded
def hole(machine, begin, iommu):
    """One mapped page left out of the rebuilt IOAS: faults there after the replace, nowhere else."""
    run = begin(iommu=iommu)
    run.rest(STEADY_S)
    resumed = run.update(2, "hole=1")
    offset = resumed["hole"]
    past(machine, resumed)
    run.rest(AFTER_S)
    run.stop()
    run.judge()
    page = 0x1000000000 + offset
    verified = next(e for e in machine.events if e["ev"] == "verified" and e["what"] == "nic")
    if (verified["result"] & 1, verified["iova"], verified["was"], verified["is"]) != (1, page & ~0xfff, 1, 0):
        raise Failed(f"the kernel's comparison says {verified}, but {page & ~0xfff:#x} was left out")
    faults = [f for f in run.log.faults if f[1] == run.preserved["nic"]]
    must_see("a fault of the network device", faults)
    must_see("frames that did not land", machine.figures["frames_lost"] > 0)
    for when, _, _, address, _ in faults:
        if address is not None and address & ~0xfff != page & ~0xfff:
            raise Failed(f"a fault at {address:#x}, but the page left out is {page & ~0xfff:#x}")
        if when < run.updates[0][0]:
            raise Failed("a fault before the update")
    if machine.figures["frames_lost"] > 16:
        raise Failed(f"{machine.figures['frames_lost']} frames lost for one page left out")
    if machine.figures["audio_samples_out_of_pattern"]:
        raise Failed("the audio device suffered from a page that is not its own")
    machine.figures["outcome"] = "faults at that page once the HWPT is replaced, and nowhere else"


@guarded
def steady(machine, begin, **options):
    """Nothing happens: what the referee says then is its own noise."""
    run = begin(**options)
    run.rest(STEADY_S)
    run.rest(AFTER_S)
    run.stop()
    clean(run)


@guarded
def replace(machine, begin, iommu, n=REPLACES):
    """Replace under load with no update around it. The debug kernel takes 20 to 80 ms for one, without a word meanwhile."""
    run = begin(iommu=iommu)
    run.rest(STEADY_S)
    run.replace(n // machine.slow ** 2)
    run.rest(1)
    run.stop()
    clean(run)


@guarded
def replace_with_gap(machine, begin, iommu, append=BLOCK_THEN_SET):
    """7.3's own attach: the referee must see that it has a gap."""
    run = begin(iommu=iommu, append=append)
    run.rest(STEADY_S)
    # QEMU's igb runs through its whole ring when it cannot read a descriptor, with
    # 100,000 faults: a few at a time, and no more than is needed.
    for _ in range(REPLACES_NEGATIVE // 20):
        run.replace(20)
        if machine.faults():
            break
    run.stop()
    run.judge()
    must_see(f"IOMMU faults in {REPLACES_NEGATIVE} replaces", machine.figures["iommu_faults"] > 0)
    machine.figures["tries"] = machine.figures["replaces"]
    machine.figures["outcome"] = "the referee sees faults"


@guarded
def bystander(machine, begin, iommu, **options):
    """A device that is not preserved receives frames all the time: not one may land after the jump."""
    run = begin(iommu=iommu, **{"bystander": True, **options})
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    sid = dmalog.source_id(run.bystander["nic"])
    jump_us = run.jump["host_real_ns"] // 1000
    before = run.log.times(sid, None, jump_us)
    boot = next(e for e in machine.events if e["ev"] == "boot" and e["stage"] == 2)
    after = run.log.times(sid, boot["host_real_ns"] // 1000)
    between = run.log.times(sid, jump_us, boot["host_real_ns"] // 1000)
    machine.figures["bystander_dmas_before"] = len(before)
    machine.figures["bystander_dmas_after"] = len(after)
    machine.figures["bystander_faults"] = sum(
        n for (who, _), n in run.log.fault_counts.items() if who == sid)
    machine.figures["bystander_last_dma_after_jump_ms"] = \
        round((between[-1] - jump_us) / 1e3, 1) if between else 0
    must_see("the bystander do DMA before the update", len(before) > 1000)
    found = run.judge()
    run.draw()
    if after:
        found.append(f"{len(after)} DMAs of a device that is not preserved, in the next kernel")
    # The old kernel blocks it on its way down, which takes it a moment.
    for start, end in run._phases("jump") if between else ():
        late_us = between[-1] - start
        if late_us > (end - start) / 2:
            found.append(f"the device that is not preserved did DMA {late_us} us into a jump of {end - start} us")
    if found:
        raise Failed("; ".join(found))
    machine.figures["outcome"] = "not one DMA of it in the next kernel; the preserved devices go on"


# A port of its own, with a device that is not preserved
OTHER_PORT = ("-device", "pcie-root-port,id=rp9,chassis=9,slot=9,addr=9.0", "-device", "e1000e,bus=rp9,romfile=")


def places(machine):
    """Of each PCI function, by its address: buses, windows and BARs, as QEMU's registers have them."""
    out, name = {}, None
    for line in machine.qmp("human-monitor-command", **{"command-line": "info pci"}).splitlines():
        found = re.match(r" *Bus *(\d+), device *(\d+), function *(\d+):", line)
        if found:
            name = "{:02x}:{:02x}.{}".format(*map(int, found.groups()))
            out[name] = []
        elif name and re.search(r"BAR\d|range|bus \d", line):
            out[name].append(line.strip())
    return out


@guarded
def stays_in_place(machine, begin):
    """
    Two devices behind a port each, and a next kernel whose command line has it move the BARs of such devices: these
    stay where they are, and so do the windows and buses of the ports. A third one, not preserved, is moved.

    With ports of the root, as QEMU's switches have no ACS, so that what is behind one shares an IOMMU group.
    To see it fail: without pci_liveupdate_incoming() in pci_reassigndev_resource_alignment().
    """
    run = begin(iommu="vtd-scalable", behind="port", sound="port", extra=OTHER_PORT)
    run.rest(STEADY_S)
    before = places(machine)
    run.update(2, "idle=1 next=pci=resource_alignment=21@pci:8086:10c9;21@pci:8086:10d3", until="idle")
    booted = places(machine)
    since = len(machine.events)
    machine.send("resume")
    machine.wait("resumed", since=since, timeout_s=60)
    run.rest(AFTER_S)
    after = places(machine)
    run.stop()
    mine = {bdf[5:] for bdf in (run.ready["nic"], run.ready["audio"])}
    mine |= {name for name, lines in before.items() for bdf in mine if any(f"secondary bus {int(bdf[:2], 16)}." in line for line in lines)}
    must_see("two devices and two ports", len(mine) == 4 and all(before[name] for name in mine))
    others = sorted(name for name in before if name not in mine and booted.get(name) != before[name])
    must_see("another device be moved", others)
    machine.figures.update(tries=1, places={name: before[name] for name in sorted(mine)}, moved=others)
    moved = [f"{name}: {before[name]}, then {now.get(name)}" for now in (booted, after) for name in sorted(mine) if now.get(name) != before[name]]
    if moved:
        raise Failed("; ".join(moved))
    clean(run)


def _cases():
    kinds = {"nic": {"sound": False}, "audio": {"nic": False}, "both": {}}
    for mode, iommu in (("legacy", "vtd-legacy"), ("scalable", "vtd-scalable"), ("amd", "amd")):
        for kind, options in kinds.items():
            yield Case(f"{mode}-{kind}", f"live update, {iommu}, DMA by {kind}",
                       bind(update, iommu=iommu, **options), debug=kind == "both")
        yield Case(f"{mode}-steady", "DMA and no update at all", bind(steady, iommu=iommu))
        yield Case(f"{mode}-no-preserve", "negative: the preserve left out", bind(no_preserve, iommu=iommu),
                   fault="nothing is preserved before the jump")
        yield Case(f"{mode}-hole", "negative: one page left out of the rebuilt IOAS", bind(hole, iommu=iommu),
                   fault="one page is left out of the rebuilt IOAS")
        yield Case(f"{mode}-replace", f"{REPLACES} replaces under load, no update", bind(replace, iommu=iommu))
        yield Case(f"{mode}-replace-gap", "negative: 7.3's block-then-set attach",
                   bind(replace_with_gap, iommu=iommu), kernel="lab", fault="the domain is replaced as 7.3 does it: block, then set")
        yield Case(f"{mode}-bystander", "a device that is not preserved is blocked", bind(bystander, iommu=iommu),
                   fault="a device that is not preserved receives frames all through the jump")
    yield Case("undo", "20 preserves undone under load, then an update", bind(undo, iommu="vtd-scalable"), debug=True,
               fault="everything is preserved, and the session closed again")
    small = bind(pool_of, kb=2048)
    for name, what, append, count in (("hugetlb-undo", "huge pages", "hugepages=64 rig.hugetlb=21", small),
                                      ("guestmem-undo", "a file of guestmemfs", "guestmem=512M rig.guestmem=1", space_of)):
        yield Case(name, f"20 preserves of {what} undone under load, then an update",
                   bind(undo, iommu="vtd-scalable", append=append, count=count),
                   fault=f"everything is preserved, and the session closed again, with {what}")
    yield Case("refused-bar", "a BAR of one device in the address space of another", bind(peer_bar, iommu="vtd-scalable"), kernel="vm",
               fault="a BAR of one device is mapped for the DMA of another that is preserved")
    yield Case("refused-bar-debug", "the same on the debug kernel", bind(peer_bar, iommu="vtd-scalable", rate=100), kernel="vm-debug")
    yield Case("refusals", "what the rules forbid is refused", bind(refusals, iommu="vtd-scalable"),
               fault="calls in the wrong order or with the wrong object")
    yield Case("memory", "the DMA memory alone is preserved, twice", bind(memory, iommu="vtd-scalable"))
    # To see it fail: an empty chunk refused in check_list() of mm/memfd_liveupdate_check.c.
    yield Case("memory-full-chunk", "the list of the memory's folios ends with a full chunk",
               bind(memory, iommu="vtd-scalable", updates=1, size=FULL_CHUNK_BYTES))
    yield Case("switch-steady", "DMA of a device behind a PCIe switch, no update",
               bind(steady, iommu="vtd-scalable", behind="switch"))
    yield Case("three-updates", "three live updates in a row",
               bind(update, iommu="vtd-scalable", updates=3))
    for name, count, options in (
            ("hugetlb-counted", small, {"append": "hugepages=80 rig.hugetlb=21"}),
            # Each kernel's pool is too small for the memory, and may grow.
            ("hugetlb-counted-surplus", small, {"append": "hugepages=8 sysctl.vm.nr_overcommit_hugepages=64 rig.hugetlb=21",
                                                "surplus": HUGE_PAGES - 8}),
            ("hugetlb-counted-gigantic", bind(pool_of, kb=1 << 20), {"append": "hugepagesz=1G hugepages=2 rig.hugetlb=30", "memory": "8G"}),
            ("guestmem-counted", space_of, {"append": "guestmem=512M rig.guestmem=1"})):
        yield Case(name, "three updates, and what is free of it is the same after each",
                   bind(counted, iommu="vtd-scalable", count=count, **options))
    for name, mode, updates in (("hugetlb", "scalable", 1), ("hugetlb-legacy", "legacy", 1), ("hugetlb-three-updates", "scalable", 3)):
        yield Case(name, "the DMA memory is of huge pages of 2 MiB, from a pool",
                   bind(pools, iommu=f"vtd-{mode}", updates=updates, append="hugepages=64 rig.hugetlb=21", size="2.00 MiB",
                        pages=[64] * (updates + 1)), debug=name == "hugetlb")
    # Of the first kernel's pages 8 are from its command line, the others are made later on.
    yield Case("hugetlb-surplus", "more huge pages come than the next kernel is to have",
               bind(pools, iommu="vtd-scalable", append="hugepages=8 rig.hugetlb=21", first="sysctl.vm.nr_hugepages=64",
                    size="2.00 MiB", pages=[8, HUGE_PAGES], surplus=HUGE_PAGES - 8))
    yield Case("hugetlb-node", "huge pages of a node that the command line names",
               bind(pools, iommu="vtd-scalable", append="hugepages=0:64 rig.hugetlb=21", size="2.00 MiB", pages=[64, 64]))
    for name, mode in (("hugetlb-gigantic", "scalable"), ("hugetlb-gigantic-legacy", "legacy")):
        yield Case(name, "the DMA memory is of a huge page of 1 GiB",
                   bind(pools, iommu=f"vtd-{mode}", append="hugepagesz=1G hugepages=2 rig.hugetlb=30", size="1.00 GiB",
                    pages=[2, 2], memory="8G"))
    # A pool of gigantic pages that the command line names is made before anything but KHO can be asked, another one later on.
    for name, what, append, first in (("surplus", "to have none", "hugepagesz=1G ", "hugepages=2"),
                                      ("unnamed", "not told of that size", "", "hugepagesz=1G hugepages=2")):
        yield Case(f"hugetlb-gigantic-{name}", f"a huge page of 1 GiB comes, and the next kernel is {what}",
                   bind(pools, iommu="vtd-scalable", append=f"{append}rig.hugetlb=30", first=first, size="1.00 GiB",
                        pages=[2, 1], surplus=1, memory="8G"))
    yield Case("hugetlb-gigantic-node", "huge pages of 1 GiB of a node that the command line names",
               bind(pools, iommu="vtd-scalable", append="hugepagesz=1G hugepages=0:2 rig.hugetlb=30", size="1.00 GiB",
                    pages=[2, 2], memory="8G"))
    yield Case("hugetlb-nodes", "huge pages stay on their node", bind(on_node, iommu="vtd-scalable"), kernel="host")
    yield Case("hugetlb-hvo", "huge pages without their struct pages are refused",
               bind(refused, iommu="vtd-scalable", append="hugetlb_free_vmemmap=on hugepages=64 rig.hugetlb=21", what="memfd",
                    reason="struct pages of it were freed"), fault="the struct pages of the VM's huge pages were freed")
    # Of a VM without devices: no device could have mapped it. The kernel takes such pages from the area when it runs.
    yield Case("hugetlb-cma", "a huge page of a CMA area is refused, and says so",
               bind(refused, iommu="vtd-scalable", nic=False, sound=False, memory="8G", what="memfd", reason="it is of a CMA area (hugetlb_cma=)",
                    append="rig.preserve=memfd kho_scratch=64M,512M,64M hugetlb_cma=1G default_hugepagesz=1G sysctl.vm.nr_hugepages=1 "
                           "rig.hugetlb=30"), fault="the VM's huge pages are of a CMA area")
    # KHO's own estimate of its scratch areas counts the CMA area twice, and finds no room.
    yield Case("hugetlb-cma-beside", "huge pages that are of no CMA area, on a host that has one",
               bind(pools, iommu="vtd-scalable", append="kho_scratch=64M,512M,64M hugetlb_cma=1G hugepages=64 rig.hugetlb=21",
                    size="2.00 MiB", pages=[64, 64], memory="8G"))
    yield Case("amd-three-updates", "three live updates in a row, AMD-Vi", bind(update, iommu="amd", updates=3))
    yield Case("amd-undo", "20 preserves undone under load, then an update, AMD-Vi", bind(undo, iommu="amd"),
               fault="everything is preserved, and the session closed again")
    yield Case("amd-check-tables", "live update, all translation tables checked at boot, AMD-Vi",
               bind(update, iommu="amd", append="liveupdate.check_tables=1"))
    yield Case("each-hwpt", "live update, a HWPT of its own for each device",
               bind(update, iommu="vtd-scalable", append="rig.hwpt=each"))
    yield Case("behind-port", "live update of a device behind a PCIe root port",
               bind(update, iommu="vtd-scalable", behind="port"))
    yield Case("stays-in-place", "BARs and windows of bridges stay, in a kernel that is told to move them", stays_in_place)
    yield Case("behind-switch", "a device behind a switch without ACS is refused",
               bind(refused, iommu="vtd-scalable", behind="switch",
                    reason="it shares its IOMMU group"), fault="a device behind a switch without ACS is preserved")
    yield Case("check-tables", "live update, all translation tables checked at boot",
               bind(update, iommu="vtd-scalable", append="liveupdate.check_tables=1"))
    yield Case("demo", "what 'make demo' shows: scalable mode, both devices",
               bind(update, iommu="vtd-scalable", show=True))


CASES = list(_cases())
