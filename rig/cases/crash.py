# SPDX-License-Identifier: GPL-2.0-only
"""
A crash kernel is started while devices are preserved, or have come and nobody has taken them.

Nothing is handed over to it. It does what 7.3 has it do with the devices of any VM: the IOMMU
is not switched off, the tables of the kernel that crashed stay in use, and a device goes on
with its DMA, into that kernel's memory, until a driver of the crash kernel takes it. No memory
of the crash kernel's is within its reach.
"""

import re

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import FRAMES_PER_S_SLOW, STEADY_S, bind, guarded, must_see
from rig.referee import dmalog

# KHO would take twice as much again for what it sets aside, and the next kernel has to find it there.
RESERVED = "crashkernel=192M kho_scratch=64M,512M,64M"
PANIC = r"Kernel panic - not syncing: Attempted to kill init!"
# Of 7.3: there is no KHO in a crash kernel, whatever its command line says.
NO_HANDOVER = "Disabling liveupdate because KHO is disabled"
# As in the scripts of distributions, and what the guest is to do.
PARAMETERS = "nr_cpus=1 reset_devices rig.idle=1 rig.debugfs=0"


MIB = 1 << 20
GUESTMEM_MIB = 256
# Of 2 GiB: what the crash kernel has itself, and what the firmware keeps.
LEAST_MIB = 2048 - GUESTMEM_MIB - 192 - 32


def dumped(machine, asked):
    """A dump has all memory, and that of guestmemfs only if it is asked to. Returns findings."""
    since = len(machine.events)
    machine.send("dump")
    pieces = machine.wait("dump", since=since)["pieces"]
    dump = [(e["start"], e["start"] + e["bytes"]) for e in machine.events[since:] if e["ev"] == "dumped"]
    apart = [(int(at, 16), int(at, 16) + int(size) * MIB) for size, at in
             re.findall(r"guestmemfs: (\d+) MiB at (0x[0-9a-f]+) on node", machine.console())]
    must_see("memory of guestmemfs", sum(end - begin for begin, end in apart) >= GUESTMEM_MIB * MIB)
    if pieces != len(dump):
        raise Failed(f"{pieces} pieces of memory in the dump, and {len(dump)} of them are known")
    both = sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in dump for b in apart)
    all_mib = sum(end - begin for begin, end in dump) // MIB
    machine.figures.update(dump_mib=all_mib, dump_guestmem_mib=both // MIB)
    # The kernel's text comes first, and then once more with the memory that it is in.
    memory = [piece for i, piece in enumerate(dump) if i or not any(a[0] <= piece[0] and piece[1] <= a[1] for a in dump[1:])]
    if memory != sorted(memory):
        yield f"the pieces of the dump are not in the order of their addresses: {[hex(begin) for begin, _ in memory]}"
    expected = sum(end - begin for begin, end in apart) if asked else 0
    if both != expected:
        yield f"the dump has {both // MIB} MiB of guestmemfs, expected {expected // MIB}"
    if all_mib - both // MIB < LEAST_MIB:
        yield f"the dump has {all_mib} MiB, {both // MIB} of them of guestmemfs, expected {LEAST_MIB} of others at least"


@guarded
def crash(machine, begin, iommu, incoming, guestmem=False, asked=False):
    """
    incoming: after the jump, before anybody has come; else before it. guestmem: the memory is a file of guestmemfs, which no
    dump has unless it is asked to. To see that fail: no e820__range_update() in take_out() of boot.c; asked: no sort() in
    guestmemfs_dump().
    """
    machine.expected += [PANIC, NO_HANDOVER]
    append = f"guestmem={GUESTMEM_MIB}M rig.guestmem=1" if guestmem else ""
    if asked:
        append += " guestmemfs.dump=1"
    run = begin(iommu=iommu, append=f"rig.updates={1 + incoming} {RESERVED} {append}".strip(), rate=FRAMES_PER_S_SLOW)
    run.rest(STEADY_S)
    if incoming:
        run.update(2, "idle=1", until="idle")
    else:
        machine.send("preserve")
        machine.wait("preserved")
    since = len(machine.events)
    machine.send(f"crash {PARAMETERS}")
    machine.wait("crash", since=since)
    booted = machine.wait("boot", since=since, timeout_s=60)["host_real_ns"] // 1000
    machine.wait("idle", since=since, timeout_s=60)
    must_see("a crash kernel", machine.read("/sys/kernel/kexec_crash_loaded") == "0" and machine.read("/proc/vmcore") is not None)
    run.rest(STEADY_S)
    for sender in run.senders.values():
        sender.stop()
    end = run.steady[-1][1]
    found = list(dumped(machine, asked)) if guestmem else []
    machine.send("off")
    machine.finish()
    log = machine.dma_log()
    preserved = {name: dmalog.source_id(run.ready[name]) for name in ("nic", "audio")}
    went_on = {name: len(log.times(sid, booted, end)) for name, sid in preserved.items()}
    faults = log.faults_of(preserved.values())
    machine.figures.update(tries=1, dmas_in_crash_kernel=went_on, iommu_faults=sum(faults.values()), lost="not judged",
                           outcome="the crash kernel runs; they go on into the memory of the one that crashed")
    # The ring of the network device fills up, since nobody empties it.
    must_see("DMA of the audio device in the crash kernel", went_on["audio"] > 100)
    if faults:
        found.append(f"refused: {dmalog.fault_kinds(faults)}")
    if log.misdirected:
        found.append(f"{len(log.misdirected)} DMAs went elsewhere")
    off = [t for t in log.switched_off if run.ready["host_real_ns"] // 1000 < t < end]
    if off:
        found.append(f"translation was switched off {len(off)} times")
    if found:
        raise Failed("; ".join(found))


CASES = [
    *(Case(f"crash-{name}{more}", f"a crash kernel is started while devices are {name}" + (", legacy mode" if more else ""),
           bind(crash, iommu=f"vtd-{mode}", incoming=name == "incoming"),
           fault=f"the kernel crashes while devices are {name}" + (", legacy mode" if more else ""))
      for name, mode, more in (("preserved", "scalable", ""), ("incoming", "scalable", ""), ("incoming", "legacy", "-legacy"))),
    Case("crash-guestmem", "a crash kernel is started while a file of guestmemfs is preserved, and no dump has its memory",
         bind(crash, iommu="vtd-scalable", incoming=False, guestmem=True),
         fault="the kernel crashes while a file of guestmemfs is preserved"),
    Case("crash-guestmem-asked", "the same, and the dump is asked to have its memory",
         bind(crash, iommu="vtd-scalable", incoming=False, guestmem=True, asked=True),
         fault="the kernel crashes while a file of guestmemfs is preserved, and a dump is to have it"),
]
