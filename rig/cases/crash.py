# SPDX-License-Identifier: GPL-2.0-only
"""
A crash kernel is started while devices are preserved, or have come and nobody has taken them.

Nothing is handed over to it. It does what 7.3 has it do with the devices of any VM: the IOMMU
is not switched off, the tables of the kernel that crashed stay in use, and a device goes on
with its DMA, into that kernel's memory, until a driver of the crash kernel takes it. No memory
of the crash kernel's is within its reach.
"""

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


@guarded
def crash(machine, begin, iommu, incoming):
    """incoming: after the jump, before anybody has come; else before it."""
    machine.expected += [PANIC, NO_HANDOVER]
    run = begin(iommu=iommu, append=f"rig.updates={1 + incoming} {RESERVED}", rate=FRAMES_PER_S_SLOW)
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
    machine.send("off")
    machine.finish()
    log, found = machine.dma_log(), []
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
]
