# SPDX-License-Identifier: GPL-2.0-only
"""
A disk across an update: an NVMe controller that a driver in user space keeps busy. Its
backend is throttled to a byte a second, so that commands stay in flight until the referee
lets them complete. It does so at a moment of its choice:

- Between the kernels. The old one has ended, and the next one waits with its first
  instruction, see rig/lib/gate.py. All commands complete, and the referee reads the completion
  queue from the machine's memory: nothing but the device can have written there. The interrupts
  of these completions reach nobody, and no other one follows.
- After the update. The commands are in flight all through it, and complete under a driver that
  did not issue them.

Blocks have protection information, which the controller checks and takes off. QEMU copies the data of
such a read into memory when the read completes, by way of the IOMMU, and not before.

Seen to fail, besides the twins below: with protected=False "disk" misses the DMA of the reads between
the kernels, since QEMU then translates their addresses when they are issued.
"""

import functools
import os
import time

from rig.cases.vf import pf
from rig.lib import gate
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import Run, bind, clean, guarded, must_see, wall_us
from rig.referee import disk, phases, trace
from rig.referee.dmalog import source_id

STEADY = 400                    # commands; the queue wraps in the course of a run
BATCH = 150                     # commands, of which DEPTH are in flight
PATIENCE_S = 30
PAGE = 4096
MISSED_S = 5                    # after which nobody notices any more
FIRST_WORD = "Linux version"
IMAGE = "disk.img"
CSTS_READY = 0x1                # "Controller Status"


# A VF with two queues and two vectors, as rig/guest/devices/nvme_pf.h has it; user space has the PF.
WITH_VF = "subsys=subsys,sriov_max_vfs=1,sriov_vq_flexible=2,sriov_vi_flexible=2"
VF = "vfio_pci.enable_sriov=1 rig.pf=vfio rig.disk_vf=1"


def arguments(protected, vf):
    """QEMU's. protected: blocks have protection information. vf: the controller has a virtual function."""
    return ("-drive", f"if=none,id=disk,format=raw,file={IMAGE}",
            *(("-device", "nvme-subsys,id=subsys") if vf else ()),
            "-device", "nvme,id=nvme,serial=rig,addr=7.0" + f",{WITH_VF}" * vf,
            "-device", "nvme-ns,id=ns,bus=nvme,drive=disk,logical_block_size=4096,physical_block_size=4096"
            + f",ms={disk.METADATA},pi=1" * protected,
            *(argument for event in disk.EVENTS for argument in ("-trace", f"enable={event}")),
            *gate.DEVICE)


class DiskRun(Run):
    """A Run with a disk, and maybe other devices."""

    def __init__(self, machine, iommu, nic=False, sound=False, protected=True, vf=False, append="", **options):
        self.protected, self.vf = protected, vf
        with open(machine.path(IMAGE), "wb") as f:
            f.truncate(disk.BYTES)
        self.gate = None
        with open(machine.next_kernel, "rb") as f:
            image = gate.gated(f.read())
        machine.next_kernel = machine.path("bzImage")
        with open(machine.next_kernel, "wb") as f:
            f.write(image)
        super().__init__(machine, iommu, nic, sound, extra=arguments(protected, vf), disk=True,
                         append=f"{append} {VF if vf else ''}".strip(), **options)
        self.gate = gate.Gate(machine)

    def commands(self):
        """(fetched, completed) of all so far, as QEMU's trace has it; see disk.py."""
        with open(self.machine.path("trace.log"), encoding="utf-8", errors="replace") as f:
            whole = f.read().rpartition("\n")[0]
        return disk.commands(whole.splitlines())

    def throttle(self, on):
        """Whoever comes when the bucket is empty waits for longer than any case takes."""
        limits = dict.fromkeys(("bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
        self.machine.qmp("block_set_io_throttle", id="ns", bps=int(on), **limits)

    def until(self, what, condition, seconds=PATIENCE_S):
        end = time.monotonic() + self.machine.bound(seconds)
        while not condition():
            self.machine.check()
            if time.monotonic() > end:
                raise self.machine.gave_up(f"waited for {what}")
            time.sleep(0.01)

    def work(self, commands):
        """That many commands, until the driver has taken them all."""
        since = len(self.machine.events)
        self.machine.send(f"disk {commands}")
        self.machine.wait("disk_idle", since=since)

    def fill(self):
        """As many commands are in flight as the driver issues at a time; it has more to issue."""
        self.throttle(True)
        if not self.protected:
            # One finds the bucket empty. With protection it waits before its second access.
            self.work(1)
        before, done = map(len, self.commands())
        self.machine.send(f"disk {BATCH}")
        self.until("the controller to fetch all commands", lambda: len(self.commands()[0]) == before + disk.DEPTH)
        self.must_be_in_flight(done, "before the update")
        return done

    def must_be_in_flight(self, done, when):
        fetched, made = map(len, self.commands())
        if fetched - made != disk.DEPTH or made != done:
            raise Failed(f"{when} {fetched - made} commands are in flight, and {made - done} have completed")

    def said(self, text):
        """How many lines of the console say that."""
        return sum(text in line for _, line in self.clock.lines)

    def dma(self, begin=0):
        """The DMA of the disk, from that byte of QEMU's trace on: [(iova, address, mask)]"""
        out, sid, iommu = [], source_id(self.ready["disk"]), self.machine.iommu.referee
        with open(self.machine.path("trace.log"), "rb") as f:
            f.seek(begin)
            whole = f.read().rpartition(b"\n")[0].decode(errors="replace")
        for line in whole.splitlines():
            found = trace.parse(line)
            got = found and iommu.read(found[1], found[2])
            if got and got[0] == "dma" and got[1] == sid:
                out.append(got[2:])
        return out

    def page(self, iova):
        """What the machine's memory has where the disk did DMA to that page last."""
        at = [address + iova - base for base, address, mask in self.dma() if base <= iova <= base | mask]
        must_see("DMA to the completion queue", at)
        self.machine.qmp("pmemsave", val=at[-1], size=PAGE, filename="memory.bin")
        with open(self.machine.path("memory.bin"), "rb") as f:
            return f.read()

    def complete(self, done):
        """All that is in flight completes, and is in memory; nobody is there who could have looked."""
        begin = os.path.getsize(self.machine.path("trace.log"))
        self.throttle(False)
        self.until("all commands to complete", lambda: len(self.commands()[1]) == done + disk.DEPTH)
        order = [n for n, _ in self.commands()[1][done:]]
        self.until("the completions in memory",
                   lambda: disk.entries(self.page(self.ready["disk_queue"]), done, disk.DEPTH + 1) == order)
        reads = [n for n in order if not disk.is_write(n)]
        self.machine.figures["disk_completed_between_kernels"] = {"writes": len(order) - len(reads), "reads": len(reads)}
        must_see("reads and writes", 0 < len(reads) < len(order))
        dma = self.dma(begin)
        for n in reads:
            for at in disk.buffers(n):
                iova = self.ready["disk_buffers"] + at
                must_see(f"DMA to {iova:#x}, which command {n} reads into",
                         any(base <= iova <= base | mask for base, _, mask in dma))

    def update_by_gate(self, between):
        """An update, with between() done while no kernel is there; returns how many events there were before."""
        machine, since, begin, kernels = self.machine, len(self.machine.events), wall_us(), self.said(FIRST_WORD)
        machine.send("update idle=1")
        self.jump = machine.wait("jump", since=since)
        self.gate.arrived()
        between()
        if self.said(FIRST_WORD) != kernels:
            raise Failed("the next kernel did not wait at the gate")
        self.gate.open()
        machine.wait("idle", since=since, timeout_s=60)
        if self.vf and pf(self, "resume"):
            raise Failed("who has the physical function does not get it back")
        machine.send("resume")
        end = machine.wait("resumed", since=since, timeout_s=60)
        self.updates.append((begin, end["host_real_ns"] // 1000))
        self.spans.append(phases.spans(machine.events, self.clock.lines, since, end["host_ns"]))
        return since

    def idle(self, since, seconds=PATIENCE_S):
        """Has the driver taken all completions, in that time?"""
        end = time.monotonic() + seconds * self.machine.slow
        while time.monotonic() < end:
            self.machine.check()
            if any(event["ev"] == "disk_idle" for event in self.machine.events[since:]):
                return True
            time.sleep(0.05)
        return False

    def kill(self):
        if self.gate:
            self.gate.close()
        super().kill()

    def judge(self):
        with open(self.machine.path("trace.log"), encoding="utf-8", errors="replace") as lines, \
                open(self.machine.path(IMAGE), "rb") as image:
            figures, found = disk.judge(self.machine.events, lines, image)
        self.machine.figures.update(figures)
        return found + super().judge()

    def _notes(self):
        figures = self.machine.figures
        return [f"{figures['disk_commands']} commands, {figures['disk_commands_lost']} lost; "
                f"{figures['disk_blocks_compared']} blocks compared, {figures['disk_blocks_lost']} lost; "
                f"{figures['iommu_faults']} IOMMU faults"]


guarded_disk = functools.partial(guarded, kind=DiskRun)


@guarded_disk
def carried(machine, begin, iommu, **options):
    """Two updates: what is in flight completes between the kernels, then after the update."""
    run = begin(iommu=iommu, append="rig.updates=2", **options)
    run.work(STEADY)
    done = run.fill()
    since = run.update_by_gate(lambda: run.complete(done))
    machine.wait("disk_idle", since=since, timeout_s=PATIENCE_S)
    run.work(STEADY)

    done = run.fill()
    since = run.update_by_gate(lambda: run.must_be_in_flight(done, "between the kernels"))
    run.must_be_in_flight(done, "after the second update")
    run.throttle(False)
    machine.wait("disk_idle", since=since, timeout_s=PATIENCE_S)
    run.work(STEADY)
    run.stop()
    clean(run)
    machine.figures.update(tries=2, lost="nothing", outcome="all complete once, in memory and in the file; the queue goes on")


@guarded_disk
def beside(machine, begin, iommu):
    """The same in one update beside the other devices, whose DMA is judged as ever."""
    run = begin(iommu=iommu, nic=True, sound=True)
    run.rest(1)
    run.work(STEADY)
    done = run.fill()
    since = run.update_by_gate(lambda: run.must_be_in_flight(done, "between the kernels"))
    run.must_be_in_flight(done, "after the update")
    run.throttle(False)
    machine.wait("disk_idle", since=since, timeout_s=PATIENCE_S)
    run.rest(1)
    run.stop()
    clean(run)


@guarded_disk
def was_reset(machine, begin, iommu):
    """
    The next kernel resets the controller: what was in flight never completes, nor anything else.

    Without protection: QEMU does not come back from a reset within such a command's two accesses.
    """
    run = begin(iommu=iommu, protected=False, append="liveupdate.break=reset")
    run.work(STEADY)
    done = run.fill()
    since = run.update_by_gate(lambda: run.must_be_in_flight(done, "between the kernels"))
    run.throttle(False)
    must_see("the queue stand still", not run.idle(since, MISSED_S))
    run.stop()
    found = run.judge()
    lost = machine.figures["disk_commands_lost"]
    must_see("all commands in flight be lost", lost >= disk.DEPTH and any("never completed" in text for text in found))
    must_see("a controller that is not enabled", not said(machine)["csts"] & CSTS_READY)
    machine.figures["outcome"] = f"{lost} commands never complete, and the queue stands still"


@guarded_disk
def taken_away(machine, begin, iommu):
    """
    The next kernel sets SR-IOV of the controller up as ever, which switches it off: what was in flight is never seen by
    anybody, and the controller fetches nothing more.

    Without protection, as in was_reset(). Seen to fail: with no law broken all of it completes.
    """
    run = begin(iommu=iommu, protected=False, vf=True, append="liveupdate.break=sriov")
    run.work(STEADY)
    done = run.fill()
    since = len(machine.events)
    machine.send("update idle=1")
    machine.wait("jump", since=since)
    run.gate.arrived()
    run.must_be_in_flight(done, "between the kernels")
    fetched, queue = len(run.commands()[0]), run.page(run.ready["disk_queue"])
    run.gate.open()
    machine.wait("idle", since=since, timeout_s=60)
    run.throttle(False)
    time.sleep(MISSED_S)
    # Nobody resumes: there is no device for whom.
    machine.send("off")
    must_see("nothing new in the completion queue", run.page(run.ready["disk_queue"]) == queue)
    must_see("no further command", len(run.commands()[0]) == fetched)
    must_see("the function be gone", f"liveupdate: {run.ready['disk']} refused: the PCI device is gone or was refused" in machine.console())
    machine.finish()
    machine.figures.update(tries=1, outcome="all commands in flight are lost, and the function is gone")


def said(machine):
    """The driver's last report."""
    return [event for event in machine.events if event["ev"] == "disk"][-1]


@guarded_disk
def not_signalled(machine, begin, iommu):
    """Nothing is signalled when the eventfd is connected: all has completed, and nobody looks."""
    run = begin(iommu=iommu, append="liveupdate.break=interrupt")
    run.work(STEADY)
    done = run.fill()
    since = run.update_by_gate(lambda: run.complete(done))
    must_see("nobody look at the queue", not run.idle(since, MISSED_S))
    run.stop()
    found = run.judge()
    must_see("completions that nobody took", any(f"{disk.DEPTH} commands never completed" in text for text in found))
    machine.figures["outcome"] = "all commands have completed, and nobody notices"


CASES = [
    Case("disk", "NVMe: commands in flight complete between the kernels, and after an update",
         bind(carried, iommu="vtd-scalable"), fault="commands of a disk complete while no kernel is there"),
    Case("disk-legacy", "the same with the IOMMU in legacy mode", bind(carried, iommu="vtd-legacy"),
         fault="commands of a disk complete while no kernel is there"),
    *(Case(f"disk-vf-{mode}", f"the same with a virtual function, whose physical one user space has; {mode} mode",
           bind(carried, iommu=f"vtd-{mode}", vf=True), fault="commands of a disk that is a virtual function complete while no kernel is there")
      for mode in ("legacy", "scalable")),
    Case("disk-beside", "NVMe beside network and audio: commands in flight all through an update",
         bind(beside, iommu="vtd-scalable")),
    Case("disk-reset", "negative: the next kernel resets the controller", bind(was_reset, iommu="vtd-scalable"), kernel="lab"),
    Case("disk-vf-off", "negative: the next kernel sets SR-IOV of the controller up as ever", bind(taken_away, iommu="vtd-scalable"), kernel="lab",
         fault="the next kernel switches SR-IOV of an NVMe controller off"),
    Case("disk-lost", "negative: nothing is signalled when the disk's eventfd is connected",
         bind(not_signalled, iommu="vtd-legacy"), kernel="lab"),
]
