# SPDX-License-Identifier: GPL-2.0-only
"""
Cost sits where nobody waits: the work of the freeze and of the boot does not grow with
the memory that a device can reach. And many devices at once. The machine's clock
counts instructions, so that the cases compare work, not time.
"""

import re

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import bind, guarded

TABLES = 4000                   # 8 GB of IOVA space, in 4 KiB pages it would be
FEW = 64                        # instructions for each table; what looks at one takes more
FEW_OF_FOLIO = 8                # for each folio; what looks at one takes more
# Without the mouse: its probe sleeps, and a shutdown during the probe waits for it. The
# initramfs is not unpacked beside the other initcalls, whose instructions are counted.
COUNTED = "initcall_debug loglevel=8 i8042.noaux initramfs_async=0"
STAMP = re.compile(r"\[ *(\d+)\.(\d{6})\] (.*)")
# From the first line to the second one.
PARTS = {
    "freeze": ("rig: reboot into the next kernel", "Starting new kernel"),
    "restore": ("calling  pci_iommu_init", "initcall pci_iommu_init"),
}
EACH = 3                        # updates of each size


def steps(lines, first, last):
    """
    Of each time: [(line of the log, thousand instructions until it)], without the line
    that it begins with.
    """
    times, steps, before = [], None, 0
    for line in lines:
        found = STAMP.search(line)
        if not found:
            continue
        now, text = int(found[1]) * 1000000 + int(found[2]), found[3]
        if first in text:
            steps = []
        elif steps is not None:
            steps.append((text, now - before))
            if last in text:
                times.append(steps)
                steps = None
        before = now
    return times


def costs(lines):
    """Of each update, its steps: {what: [those of the first, those of the second...]}."""
    out = {what: steps(lines, *ends) for what, ends in PARTS.items()}
    # The first boot takes nothing over.
    out["restore"] = out["restore"][1:]
    return out


def total(steps):
    return sum(cost for _, cost in steps)


def bounds(what, times):
    """
    (at least, at most): what an update costs by itself, with one of its times taken for
    each step, or with all of them from the same update. A timer tick, and another thread
    that it lets run, come on top wherever they come (200,000 instructions were seen). And
    the thread that writes the log to the console does so now in this step, now in that
    one: 264,000 instructions changed places, and were in no step's least time.
    """
    texts = {tuple(re.sub(r"\d+ usecs", "", text) for text, _ in steps) for steps in times}
    if len(texts) != 1:
        raise Failed(f"{what}: not the same lines of the log each time: {times}")
    return (sum(min(costs) for costs in zip(*([cost for _, cost in steps] for steps in times))),
            min(total(steps) for steps in times))


@guarded
def cost(machine, begin, iommu, append="", grows=None):
    """
    Three updates, and three with 4,000 tables more. grows: what is to be found to
    grow, with the law broken: the freeze by liveupdate.break=cost, the boot by
    liveupdate.check_tables=1, which is just what it has to do without.
    """
    run = begin(iommu=iommu, sound=False, rate=50, count=True, limit_s=300,
                append=f"rig.updates={2 * EACH} {COUNTED} {append}".strip())
    for kernel in range(2, EACH + 2):
        run.update(kernel)
    since = len(machine.events)
    machine.send(f"tables {TABLES}")
    machine.wait("tables", since=since, timeout_s=60)
    for kernel in range(EACH + 2, 2 * EACH + 2):
        run.update(kernel)
    run.stop()
    figures, found = {}, []
    for what, times in costs(machine.console().splitlines()).items():
        if len(times) != 2 * EACH:
            raise Failed(f"{what}: {len(times)} values, expected {2 * EACH}")
        machine.figures[f"{what}_thousand_instructions"] = [total(steps) for steps in times]
        figures[what] = [bounds(what, times[:EACH]), bounds(what, times[EACH:])]
        more = (figures[what][1][0] - figures[what][0][1]) * 1000 / TABLES
        machine.figures[f"{what}_instructions_per_table"] = round(more, 1)
        if more > FEW:
            found.append(what)
    machine.figures["thousand_instructions"] = figures
    if found != [grows] * bool(grows):
        raise Failed(f"grows with the number of tables: {', '.join(found) or 'nothing'}; expected {grows or 'nothing'}: {figures}")
    machine.figures["tries"] = 1
    machine.figures["outcome"] = f"found: the {grows} grows with the number of tables" if grows else ""


MEMORY = 72 << 20               # of a VM, which has a folio for each 4 KiB


@guarded
def bad(machine, begin, append=""):
    """
    Three updates, and three with a page of somebody else's that goes bad when all is preserved: the
    freeze does not go and look at each folio of the VM for that.

    Seen to fail: with a freeze that asks whether any page of the machine is bad, which took 39 for each.
    """
    run = begin(iommu="vtd-scalable", sound=False, rate=50, count=True, limit_s=900, quiet_s=240, ready_s=300,
                append=f"rig.updates={2 * EACH} rig.memory={MEMORY} {COUNTED} {append}".strip())
    for kernel in range(2, 2 * EACH + 2):
        since = len(machine.events)
        machine.send("preserve")
        machine.wait("preserved", since=since, timeout_s=60)
        if kernel >= EACH + 2:
            machine.send("stranger-bad")
            machine.wait("stranger_bad", since=since)
        # As "update" does, which would preserve, too.
        machine.put("/dev/kmsg", PARTS["freeze"][0])
        run.update(kernel, command="jump")
    run.stop()
    times = costs(machine.console().splitlines())["freeze"]
    if len(times) != 2 * EACH:
        raise Failed(f"{len(times)} freezes, expected {2 * EACH}")
    before, after = bounds("freeze", times[:EACH]), bounds("freeze", times[EACH:])
    more = (after[0] - before[1]) * 1000 / (MEMORY >> 12)
    machine.figures.update(freeze_thousand_instructions=[total(steps) for steps in times], freeze_instructions_per_folio=round(more, 1),
                           tries=EACH, outcome="the freeze does not look at the folios of the VM")
    if machine.console().count("Memory failure: ") < EACH:
        raise Failed("no memory has gone bad")
    if more > FEW_OF_FOLIO:
        raise Failed(f"{more:.1f} instructions of the freeze for each folio once memory of the machine has gone bad")


SMALL, LARGE = 1000, 8000       # tables, and pages of memory, of the VM that is waited for
CALLS = ("create", "memfd", "iommufd", "device", "view", "undo", "replace")


def waits(machine, iommu, append="", grows=None):
    """
    Two VMs on a machine with one CPU, the small one with a real-time priority: when its
    timer expires it goes on, wherever in the kernel the other one is. So what a call of
    its takes beyond its own work is time for which the other one has a lock. That must
    not grow with the other's memory. grows: the call that has to be found, with the law
    broken; the others may wait as well.
    """
    machine.start(iommu=iommu, devices=ports(2), count=True, limit_s=900, quiet_s=120,
                  append=f"rig.neighbours=1 {COUNTED} {append}".strip())
    machine.wait("neighbours", timeout_s=300)
    rows = []
    for tables in (SMALL, LARGE):
        since = len(machine.events)
        machine.send(f"neighbours {tables}")
        rows.append(machine.wait("waits", since=since, timeout_s=300))
    machine.send("off")
    machine.finish()
    machine.figures["rounds"] = [row["rounds"] for row in rows]
    machine.figures["thousand_instructions"] = {"other": [row["took_ns"] // 1000 for row in rows]}
    found = []
    for call in CALLS:
        values = [row[f"{call}_ns"] for row in rows]
        machine.figures["thousand_instructions"][call] = [ns // 1000 for ns in values]
        more = (values[1] - values[0]) / (LARGE - SMALL)
        machine.figures[f"{call}_instructions_per_table"] = round(more, 1)
        if more > FEW:
            found.append(call)
    if grows not in (found or [None]):
        raise Failed(f"waits for longer, the more memory another VM has: {', '.join(found) or 'nothing'}; "
                     f"expected {grows or 'nothing'}: {machine.figures['thousand_instructions']}")
    machine.figures["tries"] = 1
    machine.figures["outcome"] = f"found: {', '.join(found)} waits in proportion to another VM's memory" if found else ""


MOST = 64                       # devices


def ports(n):
    """
    QEMU's arguments: n devices that nobody talks to, each in a group of its own. They
    have no I/O ports, of which there would not be enough.
    """
    out = []
    for i in range(n):
        out += ["-device", f"pcie-root-port,id=rp{i},io-reserve=0,hotplug=off,chassis={i + 1},slot={i + 1},addr={8 + i // 8:x}.{i % 8}"
                           + ",multifunction=on" * (i % 8 == 0),
                "-device", f"virtio-rng-pci,disable-legacy=on,bus=rp{i}"]
    return out


PFS, VFS = 8, 8                 # as many VFs as there are devices otherwise


def igbs(n):
    """QEMU's arguments: n idle physical functions, each behind a port, where their VFs have room for their routing ids (ARI)."""
    out = []
    for i in range(n):
        out += ["-device", f"pcie-root-port,id=rp{i},io-reserve=0,hotplug=off,chassis={i + 1},slot={i + 1},addr=8.{i}"
                           + ",multifunction=on" * (i == 0),
                "-device", f"igb,bus=rp{i}"]
    return out


def phases(events):
    """Of one update, in thousands of instructions: {phase: value}."""
    begin, out = {}, {}
    for e in events:
        if e["ev"] == "phase" and e["edge"] == "begin":
            begin[e["name"]] = e["t_us"]
        elif e["ev"] == "phase":
            out[e["name"]] = e["t_us"] - begin[e["name"]]
    return out


def update_many(machine, iommu, devices, hwpt, present=MOST, vfs=0):
    """
    An update with some of the devices preserved: what each phase of it costs. vfs: the devices are virtual functions, so
    many of each of eight physical ones, which pci-pf-stub has; else there are so many (present) physical ones.
    """
    machine.start(iommu=iommu, devices=igbs(PFS) if vfs else ports(present), count=True, limit_s=1200, quiet_s=60,
                  append=f"rig.many={devices} rig.hwpt={hwpt} {f'rig.vfs={vfs} ' * bool(vfs)}{COUNTED}")
    machine.wait("many", timeout_s=600, devices=devices)
    since = len(machine.events)
    machine.send("update")
    machine.wait("resumed", since=since, timeout_s=600, devices=devices)
    machine.send("stop")
    machine.send("off")
    machine.finish()
    return {**phases(machine.events), **{k: total(v[-1]) for k, v in costs(machine.console().splitlines()).items()}}


CYCLE = re.compile(r"\[ *(\d+)\.(\d{6})\] rig: cycle (\d+)")


def boot(lines):
    """
    From the old kernel's last line to the new one's process 1, in thousands of instructions:
    each says once what the processor's own counter is, which goes on through the jump.
    """
    cycles = []                 # of each kernel: (its clock, the counter), in thousands
    last = first = None
    for line in lines:
        found = STAMP.search(line)
        if not found:
            continue
        now = int(found[1]) * 1000000 + int(found[2])
        if cycle := CYCLE.search(line):
            cycles.append((now, int(cycle[3]) // 1000))
        elif PARTS["freeze"][1] in found[3]:
            last = now
        elif "Run /init as init process" in found[3]:
            first = now
    (old, ended), (new, begun) = cycles
    return begun - (new - first) - (ended + (last - old))


FRAME = ("ev", "t_us", "tsc", "host_ns", "host_real_ns")       # of each event


def update_memory(machine, iommu, append, memory="8G"):
    """An update with one idle device that reaches all of a VM's memory: what each part of it costs."""
    machine.start(iommu=iommu, devices=ports(1), count=True, limit_s=1800, quiet_s=600, memory=memory,
                  append=f"rig.many=1 {COUNTED} {append}")
    machine.wait("many", timeout_s=900, devices=1)
    since = len(machine.events)
    machine.send("update")
    machine.wait("resumed", since=since, timeout_s=900, devices=1)
    machine.send("stop")
    machine.send("off")
    machine.finish()
    lines = machine.console().splitlines()
    old, begun, new = ({k: v for k, v in e.items() if k not in FRAME} for e in machine.events if e["ev"] == "parts")
    freeze = total(costs(lines)["freeze"][-1])
    return {**old, **begun, "freeze": freeze, "boot": boot(lines), **new}


NOT_ROUTED = 600                # thousand instructions of a device's retrieve
NOT_SQUARE = 150                # of its part in the freeze, lines on the console included


def many(machine, iommu):
    """
    64 devices with a HWPT each go over, and all come back. What each of them costs is
    for bench/rig, but where INTx goes to is not looked up for a device that has not asked for it.

    Nor does the freeze of a device look at all the others.

    Seen to fail: with pci_enable_device() in place of pci_liveupdate_enable_device(), 1310 for each device; with an
    ask_drivers() that asks for each device, whether the one before needs the same or not, 220.
    """
    costs_of = machine.figures["thousand_instructions"] = update_many(machine, iommu, MOST, "each")
    each = costs_of["retrieve"] / MOST
    machine.figures["retrieve_thousand_instructions_per_device"] = round(each, 1)
    freeze = costs_of["freeze"] / MOST
    machine.figures["freeze_thousand_instructions_per_device"] = round(freeze, 1)
    if freeze > NOT_SQUARE:
        raise Failed(f"the freeze takes {freeze:.0f} thousand instructions for each device: does it look at all devices for each?")
    if each > NOT_ROUTED:
        raise Failed(f"the retrieve takes {each:.0f} thousand instructions for each device: is the routing of INTx looked up?")


CASES = [
    Case("cost", "freeze and boot do no work for each table", bind(cost, iommu="vtd-scalable")),
    Case("cost-legacy", "freeze and boot do no work for each table, legacy mode", bind(cost, iommu="vtd-legacy")),
    Case("cost-freeze", "negative: the freeze preserves all tables once more",
         bind(cost, iommu="vtd-scalable", append="liveupdate.break=cost", grows="freeze"), kernel="lab",
         fault="the freeze does work in proportion to memory"),
    Case("cost-boot", "negative: the boot looks at all tables",
         bind(cost, iommu="vtd-scalable", append="liveupdate.check_tables=1", grows="restore"),
         fault="the boot does work in proportion to memory"),
    Case("cost-bad", "memory of a stranger goes bad, and the freeze does no work for each folio", bad, kernel="host",
         fault="memory of the host that is no VM's goes bad between preserve and jump"),
    Case("waits", "no call of one VM waits for another one in proportion to its memory", bind(waits, iommu="vtd-scalable")),
    Case("waits-locked", "negative: tables are preserved under the lock that all VMs share",
         bind(waits, iommu="vtd-scalable", append="liveupdate.break=wait", grows="iommufd"), kernel="lab",
         fault="a VM waits for another one in proportion to its memory"),
    Case("many", "64 devices with a HWPT each", bind(many, iommu="vtd-scalable")),
]
