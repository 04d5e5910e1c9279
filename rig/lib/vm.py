# SPDX-License-Identifier: GPL-2.0-only
"""
A run whose device is a VM's: the machine is a host, an unmodified QEMU runs in it, and in
that a small Linux answers frames with its own driver, writes a journal to its disk, and
watches its clocks.
"""

import contextlib
import functools
import json
import os
import re
import subprocess
import time
from collections import Counter

from rig.lib import disk, initramfs, programs, qemu
from rig.lib.machine import Failed, Skipped
from rig.lib.run import Run, devices, guarded, wall_us
from rig.referee import dmalog, guestlog, journal, phases, wire

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# As devices() has them, and rig/guest/devices/igb.c the first virtual function.
MAC = {True: "52:54:00:c0:00:01", "vf": "52:54:00:c0:01:00"}
NIC = {True: "0000:00:04.0", "vf": "0000:00:14.0"}
VFS = "rig.vf=2 rig.pf=igb"             # of the network device, which the host's own driver has
SOUND = {True: "0000:00:05.0", "port": "0000:01:00.0"}     # as devices() has it
# A machine in a machine, both in software: the ring of 4096 frames has to last for an update,
# which takes 20 s and more beside other machines.
FRAMES_PER_S = 100
MEMORY_MIB, CPUS, DISK_MIB = 256, 2, 64
HOST_DISK_MIB = 256
GUESTMEM_FILE = "/guestmem/vm"           # where rig/guest/interfaces/guestmem.h mounts guestmemfs
RINGS = 1000                            # so many frames, and it is clear which page is which
OFFSET_MIB = 2
QEMU = "/usr/bin/qemu-system-x86_64"
PATIENCE_S = 300                        # until the VM has booted, or has ended
AGENT = "--agent /tmp/agent.sock"
TIMEOUT = "--timeout 120"               # of each step: hosts are busy, and VMs in software slow
UPDATE = f"{AGENT} {TIMEOUT} --kernel /host/next/bzImage --initrd /host/next/initramfs --append @/tmp/cmdline"
NAME = "vm"
WRAPPED = ("ioctl", "sock_send")      # by rig/vm/lab/laws.c
PROGRAM = ("/usr/bin/continuo-qemu", *AGENT.split(), *TIMEOUT.split(), "--state-dir", "/run/continuo-qemu")
# With two devices, since the kernel has QEMU map BARs.
BROKER_WITHOUT_P2P = (*PROGRAM, "--no-p2p", "run", NAME, "--")
BROKER, TAKE = (*PROGRAM, "run", NAME, "--"), " ".join((*PROGRAM, "take", NAME, "0"))

# What the VM's kernel says of the emulated machine, and not of an update.
HARMLESS = ()


def guest_agent():
    """QEMU's, as Debian has it: {path in the VM: program or library}."""
    top = subprocess.run([f"{TOP}/scripts/setup", "--qemu-ga"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    if not top:
        raise Failed("there is no guest agent; run scripts/setup qemu-ga")
    program = f"{top}/usr/sbin/qemu-ga"
    return {f"/{path}": programs.read(here) for path, here in {"usr/sbin/qemu-ga": program, **disk.linked(program, top)}.items()}


def guest(agent=False):
    """The VM's initramfs."""
    with programs.folder("rig-vm") as out:
        programs.make("rig/vm", out)
        return initramfs.archive({"/init": programs.read(f"{out}/init"), **(guest_agent() if agent else {})})


def broker(lab=False):
    """continuo-qemu; lab: with rig/vm/lab/laws.c, which breaks a law."""
    if not lab:
        return {"/usr/bin/continuo-qemu": programs.program("qemu", "continuo-qemu")}
    with programs.folder("qemu-lab") as folder:
        subprocess.run(["cc", "-O2", "-g", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", f"-I{TOP}/lib", "-c",
                        "-o", f"{folder}/laws.o", f"{TOP}/rig/vm/lab/laws.c"], check=True)
        # First, or it would be linked with the laboratory too.
        programs.make("lib", f"{folder}/lib")
        # make does not know what is in the flags.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{folder}/continuo-qemu")
        programs.make("qemu", folder, "STATIC=1",
                      f"LDFLAGS={folder}/laws.o " + ",".join(["-Wl", *(f"--wrap={name}" for name in WRAPPED)]))
        return {"/usr/bin/continuo-qemu": programs.read(f"{folder}/continuo-qemu")}


GIGANTIC_MIB = 1024                     # a page of that size cannot be had in parts


def memory_mib(kind):
    """How much of it the VM has."""
    return {"gigantic": GIGANTIC_MIB, "huge+gigantic": MEMORY_MIB // 2 + GIGANTIC_MIB}.get(kind, MEMORY_MIB)


def memory_arguments(kind):
    """
    The VM's memory, as the documentation says: in a memfd, one of huge pages, of 2 MiB or ("gigantic") of 1 GiB, or a file of
    guestmemfs. With two kinds a half of it is in the first one, the other one, of a file behind its first 2 MiB, in the second one;
    "gigantic" is a page of it besides a half of the first one.
    """
    half = f"size={MEMORY_MIB // 2}M,share=on"
    backends = {"memfd": "memfd", "huge": "memfd,hugetlb=on,hugetlbsize=2M", "gigantic": "memfd,hugetlb=on,hugetlbsize=1G",
                "guestmem": f"file,mem-path={GUESTMEM_FILE}"}
    low, _, high = kind.partition("+")
    if high:
        second = {"gigantic": f"size={GIGANTIC_MIB}M,share=on", "guestmem": f"offset={OFFSET_MIB}M,{half}"}.get(high, half)
        return ["-object", f"memory-backend-{backends[low]},id=low,{half}", "-numa", "node,nodeid=0,memdev=low",
                "-object", f"memory-backend-{backends[high]},id=high,{second}",
                "-numa", "node,nodeid=1,memdev=high", "-machine", "q35,aux-ram-share=on"]
    return ["-object", f"memory-backend-{backends[kind]},id=ram,size={memory_mib(kind)}M,share=on",
            "-machine", "q35,memory-backend=ram,aux-ram-share=on"]


def host_memory(kind):
    """What the host's command line has for it: just enough."""
    parts = kind.split("+")
    share = MEMORY_MIB // len(parts)
    return " ".join(words for part, words in (
        ("huge", f"hugepages={share // 2}"),
        ("gigantic", "hugepagesz=1G hugepages=1"),
        ("guestmem", f"guestmem={MEMORY_MIB}M rig.guestmem=1")) if part in parts)


# Where a device can be plugged in, memory can be taken away and given back, and the operator can say so,
# who also ends QEMU.
MONITOR = "/run/own.qmp"                # as rig/guest/hypervisor/monitor.c has it
PORT = ("-device", "pcie-root-port,id=slot1,chassis=1,slot=1")
AGENT_PORT = ("-chardev", "socket,path=/run/agent.sock,server=on,wait=off,id=qga",
              "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=qga,name=org.qemu.guest_agent.0")
OPERATOR = ("-qmp", f"unix:{MONITOR},server=on,wait=off")
CHANGES = (*PORT, "-device", "virtio-balloon-pci,id=balloon", *OPERATOR, "-no-shutdown")


def passed_nic(nic=True):
    """The VM's network device, as its operator gives it to QEMU. nic: see qemu_arguments()."""
    return {"driver": "vfio-pci", "id": "nic", "host": NIC[nic], "iommufd": "iommufd0"}


def device(properties):
    """As an argument, what device_add gets from QEMU's operator."""
    return ",".join([properties["driver"], *(f"{key}={value}" for key, value in properties.items() if key != "driver")])


def qemu_arguments(platform, memory="memfd", reboots=False, sound=False, more=(), nic=True, tenant=""):
    """The VM, as the documentation says that one is started that is to be carried over. memory: see
    memory_arguments(); reboots: it may boot again, which otherwise ends it; sound: it has the HD audio device, too (see devices()), and
    no message interrupts of it; more: arguments; nic: it has the host's network device, directly on its root bus, or ("vf") the device's first
    virtual function; tenant: what its kernel's command line says more."""
    if nic:
        more = ("-device", device(passed_nic(nic)), *more)
    if sound:
        more = (*more, "-device", f"vfio-pci,id=sound,host={SOUND[sound]},iommufd=iommufd0")
    options = f"{platform.options} {tenant}".strip() + " vm.sound=1 snd_hda_intel.enable_msi=0" * bool(sound)
    return [
        QEMU, "-nodefaults", "-no-user-config", "-display", "none", *["-no-reboot"] * (not reboots),
        "-accel", "kvm", "-cpu", "host", "-smp", str(CPUS), "-m", f"{memory_mib(memory)}M",
        *memory_arguments(memory),
        "-object", "iommufd,id=iommufd0",
        *more,
        "-blockdev", "driver=file,node-name=file,filename=/host/vm/disk.img",
        "-blockdev", "driver=raw,node-name=disk,file=file",
        "-device", "virtio-blk-pci,drive=disk",
        "-chardev", "file,id=console,path=/host/vm/console.log,append=on", "-serial", "chardev:console",
        "-kernel", "/host/vm/bzImage", "-initrd", "/host/vm/initramfs",
        # Warnings and what is worse: each letter is an exit of the VM. The early console has them from the first moment on.
        "-append", f"loglevel=5 {platform.console} {platform.early_console} panic=-1 oops=panic {options}",
    ]


class VmRun(Run):
    """One machine with a VM in it, and what the referee has on both."""

    def __init__(self, machine, iommu, prefix=(), files=None, append="", rate=FRAMES_PER_S, lab="nothing", memory="memfd", reboots=False,
                 sound=False, more=(), nic=True, tenant="", vm_files=None, disk_mib=HOST_DISK_MIB, older=False, agent=False, **options):
        """prefix: what the VM's command line begins with; files: in the host beside the
        guest programs; lab: the law that the laboratory's continuo-qemu breaks; memory: what
        the VM's is in (see memory_arguments()), of which the host has just enough; reboots: the VM will boot again;
        sound: it has the audio device, too; more, nic, tenant: see qemu_arguments(); vm_files: beside what QEMU has of the VM;
        disk_mib: of the host's disk; older: the VM's is QEMU 10.2, see scripts/build-qemu; agent: QEMU's guest agent runs in it; options: further ones of machine.start()."""
        self.machine, self.nic, self.sound, self.messages = machine, True, sound, False
        self.traced, self.late = True, False
        self.steady, self.updates, self.spans = [], [], []
        self.windows = []                       # updates by the host's monotonic clock, in ns
        self.senders, self.ended_before = {}, 0
        self.reboots, self.may_reset, self.quits = 0, reboots, "-no-shutdown" in more
        self.rate = rate
        files = files or {}
        append = " ".join(filter(None, (host_memory(memory), VFS * (nic == "vf"), append)))
        if agent:
            more, tenant = (*more, *AGENT_PORT), f"{tenant} vm.agent=1".strip()
        if "gigantic" in memory:
            options["memory"] = "8G"
        own = qemu.find_older() if older else machine.qemu
        if not own:
            raise Skipped("QEMU 10.2 cannot be had; see scripts/build-qemu")
        # What the host goes over to is on its disk, so that it is there for any number of updates.
        disk.make(machine.path("host.img"), {
            **disk.qemu_files(own, machine.qemu), "vm/bzImage": machine.kernel, "next/bzImage": machine.next_kernel}, {
            "next/initramfs": initramfs.archive({**initramfs.programs(machine.programs), **files}),
            "vm/initramfs": guest(agent), "vm/lab": lab.encode(),
            "vm/command": "\n".join([*prefix, *qemu_arguments(machine.platform, memory, reboots, sound, more, nic, tenant)]).encode(),
            **{f"vm/{name}": data for name, data in (vm_files or {}).items()},
        }, {"vm/disk.img": DISK_MIB << 20, "vm/console.log": 0}, disk_mib)
        machine.start(
            iommu=iommu, nested=True, quiet_s=PATIENCE_S, limit_s=1800, files=files,
            devices=devices(machine.qemu, sound=sound, extra=[
                "-drive", "if=none,id=host,file=host.img,format=raw,cache=unsafe",
                "-device", "virtio-blk-pci,drive=host,addr=7.0,iommu_platform=on,disable-legacy=on"]),
            append=f"{machine.platform.early_console} rig.vm=1 {append}".strip(), **options)
        self.clock = phases.ConsoleClock(machine.path("console.log"))
        self.wire = self.senders["nic"] = wire.Wire(machine.folder, "nic", MAC[nic or True], rate)
        host = machine.wait("host", timeout_s=60)
        self.ready = {"nic": host["nic"], "nic_writes": None, "audio": host["audio"], "audio_writes": None}
        machine.figures["iommu"] = iommu
        machine.figures["uname_release"] = machine.events[0].get("kernel_release")
        machine.figures["qemu_version"] = own.text
        machine.figures["frames_per_s"] = rate
        self.began_ns = time.monotonic_ns()
        machine.send("vm")
        first = self._first_word()
        machine.figures["vm_start_s"] = round((time.monotonic_ns() - self.began_ns) / 1e9, 1)
        machine.figures["vm_cpus"] = first["last"].cpus
        self.wire.send()
        self.hear("an answer", lambda status: status["last"].counted)

    def _first_word(self):
        """In an emulator that is not repaired (rig/lib/erratum.py) a VM resets itself now and then,
        without a word on its console, mostly while it boots. No update has begun then. With one
        that is, it fails the case."""
        try:
            return self.hear("a word of the VM", lambda status: status["last"])
        except Failed:
            ended = [e["status"] for e in self.machine.events if e["ev"] == "vm_ended"]
            said = b"".join(bytes.fromhex(e["hex"]) for e in self.machine.events if e["ev"] == "vm_said")
            silent = not re.search(rb"[Pp]anic|Oops|BUG|vm: failed", said)
            repaired = self.machine.figures["emulator_repaired"]
            if not repaired and silent and (ended == [0] or self._was_reset()):
                raise Skipped("the VM reset itself while it booted") from None
            raise

    def _was_reset(self):
        """By itself, as its QEMU says, which does not end then if it is told not to."""
        return not self.may_reset and any('"reason":"guest-reset"' in line for _, line in list(self.clock.lines))

    def hear(self, what, condition, timeout_s=PATIENCE_S):
        """Wait until the wire's status is so; returns it."""
        deadline = time.monotonic() + self.machine.bound(timeout_s)
        while True:
            self.machine.check_runs()
            ended = next((e for e in self.machine.events[self.ended_before:] if e["ev"] == "vm_ended"), None)
            status = self.wire.status()
            if condition(status):
                return status
            if ended:
                raise Failed(f"waited for {what}, but QEMU has ended with status {ended['status']}; see vm-console.log")
            if self._was_reset():
                raise Failed(f"waited for {what}, but the VM has reset itself")
            if time.monotonic() > deadline:
                raise self.machine.gave_up(f"waited for {what} for {self.machine.bound(timeout_s):.0f} s; the VM said {status}")
            time.sleep(0.02)

    def reboot(self):
        """The VM boots again, by itself; no frames go out until it answers."""
        before = self.wire.status()["last"]
        self.wire.reboot()
        self.hear("the VM after its reboot", lambda status: status["last"].mono_ns < before.mono_ns)
        self.reboots += 1
        counted = self.wire.status()["last"].counted
        self.wire.send()
        self.hear("an answer after the reboot", lambda status: status["last"].counted > counted)

    def qmp(self, command, **arguments):
        """What QEMU answers to the VM's operator."""
        since = len(self.machine.events)
        self.machine.send("qmp " + json.dumps({"execute": command, "arguments": arguments}))
        answer = self.machine.wait("qmp", since=since, timeout_s=PATIENCE_S)["answer"]
        if "return" not in answer:
            raise Failed(f"QEMU says to {command}: {answer}")
        return answer["return"]

    def qmp_until(self, what, condition, command, every_s=0.2, **arguments):
        """Ask until the answer is so."""
        deadline = time.monotonic() + self.machine.bound(PATIENCE_S)
        while not condition(answer := self.qmp(command, **arguments)):
            if time.monotonic() > deadline:
                raise self.machine.gave_up(f"waited for {what} for {self.machine.bound(PATIENCE_S):.0f} s; QEMU says {answer}")
            time.sleep(every_s)

    def update(self, stage, options="", whole=True, meanwhile=None):
        """By continuo update, until the VM speaks again, and continuo-qemu says that it has finished.
        whole: the VM is; else what continuo-qemu says is enough, even that it failed. meanwhile: what is
        done after the jump."""
        machine, since = self.machine, len(self.machine.events)
        begin, begin_ns = wall_us(), time.monotonic_ns()
        machine.send(f"run /usr/bin/continuo --json {UPDATE} {options} update".replace("  ", " "))
        boot = self._jump(stage, since)
        if meanwhile:
            meanwhile()
        if whole:
            self.hear("the VM after the update", lambda status: status["last"].heard_ns > boot["host_ns"])
        ends = ("qemu:finished", *["qemu:failed"] * (not whole))
        self.read("continuo-qemu to finish", lambda t, line: t > begin_ns and any(phases.says(line, end) for end in ends))
        end_ns = time.monotonic_ns()
        self.windows.append((begin_ns, end_ns))
        self.updates.append((begin, wall_us()))
        self.spans.append(phases.spans(machine.events, self.clock.lines, since, end_ns, phases.VM_PHASES, begin_ns))

    def _jump(self, stage, since):
        """The next kernel's first word; a command that comes back says why there is none."""
        machine, deadline = self.machine, time.monotonic() + self.machine.bound(PATIENCE_S)
        while True:
            machine.check_runs()
            news = machine.events[since:]
            for event in news:
                if event["ev"] == "boot" and event["stage"] == stage:
                    return event
                if event["ev"] == "ran":
                    said = b"".join(bytes.fromhex(e["hex"]) for e in news if e["ev"] == "printed").decode(errors="replace")
                    raise Failed(f"continuo update ends with {event['status']}: {said.strip()[-1500:]}")
            if time.monotonic() > deadline:
                raise machine.gave_up(f"waited for the jump for {machine.bound(PATIENCE_S):.0f} s")
            time.sleep(0.02)

    def lose(self, stage):
        """A jump with nothing preserved: there is no VM in the next kernel."""
        machine, since = self.machine, len(self.machine.events)
        begin, begin_ns = wall_us(), time.monotonic_ns()
        machine.send("update")
        machine.wait("boot", stage=stage, since=since, timeout_s=PATIENCE_S)
        end = machine.wait("host", since=since, timeout_s=PATIENCE_S)
        self.windows.append((begin_ns, end["host_ns"]))
        self.updates.append((begin, end["host_real_ns"] // 1000))
        self.spans.append(phases.spans(machine.events, self.clock.lines, since, end["host_ns"], phases.VM_PHASES, begin_ns))

    def stop_without_vm(self):
        """As stop(), of a host that has no VM any more."""
        self.wire.close()
        self._power_off()

    def cut(self):
        """The end of a run whose VM may be in any state: the machine's power is cut."""
        machine = self.machine
        self.end = time.time_ns() // 1000
        self.wire.close()
        machine.qmp("quit")
        machine.await_end()
        self.clock.stop()
        self._files()

    def busiest_page(self):
        """The page that the device has used most: the ring of the 256 frames to be sent is one page,
        whereas 256 frames that come in use up a page of their ring, and the next ones another."""
        self.hear(f"{RINGS} answers", lambda status: status["last"].counted >= RINGS)
        log, sid = self.machine.dma_log(), dmalog.source_id(self.ready["nic"])
        _, iovas, _ = log.dma[sid]
        return Counter(iova & ~0xfff for iova in iovas).most_common(1)[0][0]

    def read(self, what, condition, timeout_s=PATIENCE_S):
        """Wait for a line on the host's console: condition(when in ns, line)."""
        deadline = time.monotonic() + self.machine.bound(timeout_s)
        while not any(condition(*line) for line in list(self.clock.lines)):
            self.machine.check_runs()
            if time.monotonic() > deadline:
                raise self.machine.gave_up(f"waited for {what} for {self.machine.bound(timeout_s):.0f} s")
            time.sleep(0.02)

    def stop(self):
        """The VM ends by itself, and then the host; afterwards everything is on file."""
        # The last frame must not come while there is no place in the ring: nobody would answer it.
        counted = self.wire.status()["last"].counted
        self.hear("the VM to take frames", lambda status: status["last"].counted > counted)
        self.wire.last()
        self.hear("the VM's last word", lambda status: status["last"].kind == wire.END)
        if self.quits:
            self.qmp_until("the VM to shut down", lambda s: s["status"] == "shutdown", "query-status")
            self.qmp("quit")
        self._see_qemu_end()
        self.wire.close()
        self._power_off()

    def _see_qemu_end(self):
        if self.windows:
            # Its parent is the agent, so that the guest's program does not see it.
            self.read("the end of QEMU", lambda when, line: when > self.windows[-1][1] and "qemu-ended" in line)
        else:
            self.machine.wait("vm_ended", timeout_s=PATIENCE_S)

    def _power_off(self):
        machine = self.machine
        machine.send("stop")
        self.end = machine.wait("done", timeout_s=PATIENCE_S)["host_real_ns"] // 1000
        machine.send("off")
        machine.finish()
        self.clock.stop()
        self._files()

    def _files(self):
        machine = self.machine
        self.log = machine.dma_log()
        disk.check(machine.path("host.img"))
        for name in ("disk.img", "console.log"):
            disk.extract(machine.path("host.img"), f"vm/{name}", machine.path(f"vm-{name}"))

    def _judge_frames(self):
        figures, words = self.machine.figures, self.wire.words
        values, found = wire.judge(words, self.wire.log, self.reboots)
        figures.update(values)
        figures["frames_dropped_on_wire"] = self.wire.dropped
        figures["sender_latest_ms"] = round(self.wire.latest_ns / 1e6, 1)
        values, said = wire.judge_clocks(words)
        figures.update(values)
        found += said
        if self.sound:
            values, said = wire.judge_sounds(words, self.windows)
            figures.update(values)
            found += said
        with open(self.machine.path("vm-disk.img"), "rb") as f:
            values, said = journal.judge(f, max((w.acknowledged for w in words), default=0))
        figures.update(values)
        found += said
        with open(self.machine.path("vm-console.log"), encoding="utf-8", errors="replace") as f:
            values, said = guestlog.judge(f.read(), HARMLESS)
        figures.update(values)
        found += said
        self._pauses()
        return found

    def _sounded(self):
        """It has begun before the VM's first word, and ends after the last one; not before the VM, and not after it."""
        words, done = self.wire.words, next(e for e in self.machine.events if e["ev"] == "done")
        return (self.began_ns, done["host_ns"]), (words[0].heard_real_ns, words[-1].heard_real_ns)

    def _stood(self, i):
        """When the virtual CPUs stood still in an update: from when to when the VM was not heard of."""
        return wire.silence(self.wire.words, *self.windows[i])

    def _pauses(self):
        """For how long they stood still, and which phases of the update that was."""
        figures = self.machine.figures
        for i, spans in enumerate(self.spans):
            begin, end = self._stood(i)
            suffix = f"_{i + 1}" if i else ""
            figures[f"pause{suffix}_ms"] = round((end - begin) / 1e6, 1)
            figures[f"pause{suffix}_phases_ms"] = phases.phases_ms(
                [(name, max(a, begin), min(b, end)) for name, a, b in spans if a < end and b > begin])
        if self.windows:
            first, last = self.windows[0][0], self.windows[-1][1]
            figures["guest_wall_offset_before_ms"] = wire.wall_offset_ms([w for w in self.wire.words if w.heard_ns < first])
            figures["guest_wall_offset_after_ms"] = wire.wall_offset_ms([w for w in self.wire.words if w.heard_ns > last])

    def _dark(self, offset):
        return [tuple((t + offset) // 1000 for t in self._stood(i)) for i in range(len(self.windows))]

    def _notes(self):
        figures = self.machine.figures
        return [f"{figures['frames_sent']} frames sent, {figures['frames_lost']} lost; {figures['disk_records']} records on "
                f"the VM's disk, {figures['disk_records_lost']} lost; {figures['iommu_faults']} IOMMU faults",
                f"the VM's virtual CPUs stood still for {figures['pause_ms']:.0f} ms; its clocks stepped back "
                f"{figures['guest_clock_backwards']} times"]

    def kill(self):
        super().kill()
        # Of a run that failed, the disk is as it was.
        if not os.path.exists(self.machine.path("vm-console.log")):
            with open(self.machine.path("vm-console.log"), "wb") as f:
                f.write(b"".join(bytes.fromhex(e["hex"]) for e in self.machine.events if e["ev"] == "vm_said"))

    def thin(self):
        super().thin()
        for name in ("host.img", "vm-disk.img"):
            os.unlink(self.machine.path(name))


guarded_vm = functools.partial(guarded, kind=VmRun)
