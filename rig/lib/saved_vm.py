# SPDX-License-Identifier: GPL-2.0-only
"""
A VM on a host without Continuo, whose operator has nothing but the kernel and QEMU as they are: the device
is plugged out of the VM, the VM is saved into a file, and in the next kernel it is
restored from there, and gets the device again.
"""

import bisect
import functools
import time

from rig.lib.machine import Failed
from rig.lib.run import guarded, wall_us
from rig.lib.vm import OPERATOR, PATIENCE_S, PORT, VmRun, device, passed_nic, qemu_arguments
from rig.referee import phases

STATE = "/host/vm/state"
RESTORE = "restore"                     # the VM's command line in the next kernel, beside the first one
NIC_IN_PORT = {**passed_nic(), "bus": "slot1"}
WITHOUT_NIC = (*PORT, *OPERATOR)
TENANT = "vm.plug=1"                    # it goes on without the device: rig/vm/wire.h
HOST_DISK_MIB = 768                     # with all of the VM's memory on it
EVERY_S = 0.02                          # QEMU is asked whether it has done something

# What is between the VM's end and the start of the next QEMU.
JUMP_PHASES = (
    ("leave", "vm_ended", "console:Starting new kernel"),
    ("jump", "console:Starting new kernel", "console:Linux version"),
    ("kernel boot", "console:Linux version", "console:Run /init as init process"),
    ("user space", "console:Run /init as init process", "host"),
)


class SavedVm(VmRun):
    """As a VmRun, by other means."""

    def __init__(self, machine, iommu):
        self.stood = []                 # when the virtual CPUs did, by the host's monotonic clock, in ns
        restore = qemu_arguments(machine.platform, more=(*WITHOUT_NIC, "-incoming", f"file:{STATE}"), nic=False, tenant=TENANT)
        super().__init__(machine, iommu, append="rig.preserve=0", more=(*WITHOUT_NIC, "-device", device(NIC_IN_PORT)), nic=False,
                         tenant=TENANT, vm_files={RESTORE: "\n".join(restore).encode()}, disk_mib=HOST_DISK_MIB)

    def _migrated(self, what):
        """Wait until QEMU has written the VM's state, or read it; what it says then."""
        def ended(answer):
            if answer.get("status") in ("failed", "cancelled"):
                raise Failed(f"the VM is not {what}: {answer}")
            return answer.get("status") == "completed"

        self.qmp_until(f"the VM to be {what}", ended, "query-migrate", EVERY_S)
        return self.qmp("query-migrate")

    def update(self, stage):
        """Until the VM has the device again, and answers."""
        # The next kernel is loaded while the VM runs.
        since = len(self.machine.events)
        self.machine.send("preserve")
        self.machine.wait("preserved", since=since)
        since, begin, begin_ns = len(self.machine.events), wall_us(), time.monotonic_ns()
        self.marks = [(None, begin_ns)]
        self._unplug()
        self.qmp("stop")
        stopped_ns = time.monotonic_ns()
        self._save(since)
        self._go_over(stage, since)
        self._restore()
        self.qmp("cont")
        self._mark("run")
        self.stood.append((stopped_ns, self.marks[-1][1]))
        self._plug()
        end_ns = self.marks[-1][1]
        self.windows.append((begin_ns, end_ns))
        self.updates.append((begin, wall_us()))
        steps = [(name, a, b) for (_, a), (name, b) in zip(self.marks, self.marks[1:]) if name]
        between = phases.spans(self.machine.events, self.clock.lines, since, end_ns, JUMP_PHASES, begin_ns)
        self.spans.append(sorted(steps + between, key=lambda span: span[1]))

    def _mark(self, phase, when_ns=None):
        """That is what it was since the last mark; None: what JUMP_PHASES says."""
        self.marks.append((phase, when_ns or time.monotonic_ns()))

    def _unplug(self):
        self.qmp("device_del", id="nic")
        self.qmp_until("the device to go", lambda names: "nic" not in [n["name"] for n in names], "qom-list", EVERY_S,
                       path="/machine/peripheral")
        self._mark("unplug")

    def _save(self, since):
        """The VM into the file; its QEMU ends."""
        machine = self.machine
        self.qmp("migrate-set-parameters", **{"max-bandwidth": 0})
        self.qmp("migrate", uri=f"file:{STATE}")
        machine.figures["state_mib"] = round(self._migrated("saved")["ram"]["transferred"] / (1 << 20), 1)
        self.qmp("quit")
        if machine.wait("vm_ended", since=since, timeout_s=PATIENCE_S)["status"]:
            raise Failed("QEMU does not end well")
        self._mark("save")

    def _go_over(self, stage, since):
        machine = self.machine
        machine.send("jump")
        machine.wait("boot", stage=stage, since=since, timeout_s=PATIENCE_S)
        self._mark(None, machine.wait("host", since=since, timeout_s=PATIENCE_S)["host_ns"])
        self.ended_before = len(machine.events)

    def _restore(self):
        self.machine.send(f"vm {RESTORE}")
        self.qmp("query-status")
        self._mark("start")
        self._migrated("restored")
        self._mark("restore")

    def _plug(self):
        counted = self.wire.status()["last"].counted
        self.qmp("device_add", **NIC_IN_PORT)
        self.hear("an answer after the device was plugged in", lambda status: status["last"].counted > counted)
        self._mark("plug")

    def _stood(self, i):
        return self.stood[i]

    def _see_qemu_end(self):
        self.machine.wait("vm_ended", since=self.ended_before, timeout_s=PATIENCE_S)

    def stop(self):
        super().stop()
        self.log.misdirected = list(self._astray())

    def _astray(self):
        """The VM's memory is somewhere else after an update, so that each kernel has its own places."""
        homes, jumps = {}, [begin for begin, _ in self.updates]
        for misdirected in self.log.misdirected:
            when, sid, iova, address, _ = misdirected
            kernel = bisect.bisect(jumps, when)
            if not kernel or homes.setdefault((kernel, sid, iova), address) != address:
                yield misdirected

    def without_device(self):
        """The longest time without DMA in the update, (from, until) in us, and how many frames came in it."""
        sid, (begin, end) = self.preserved["nic"], self.updates[0]
        edges = [begin, *self.log.times(sid, begin, end), end]
        gap = max(zip(edges, edges[1:]), key=lambda pair: pair[1] - pair[0])
        offset = time.time_ns() - time.monotonic_ns()
        first, last = (bisect.bisect_left(self.wire.log.times, us * 1000 - offset) for us in gap)
        return gap, last - first


guarded_saved_vm = functools.partial(guarded, kind=SavedVm)
