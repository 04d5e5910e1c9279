# SPDX-License-Identifier: GPL-2.0-only
"""
A run with devices that do DMA by themselves, and what the referee knows of it. The cases
of live updates are built from this.
"""

import functools
import math
import os
import time

from rig.lib.iommu import NAMED
from rig.lib.machine import Failed, Splat, errno_name
from rig.referee import audio, dmalog, frames, phases, summary, timeline

FRAMES_PER_S = 2000
FRAMES_PER_S_SLOW = 400         # debug kernel: the ring has to last longer
# Enough for thousands of DMA writes before an update and after it. What is shown to
# somebody has more of steady state to be compared with.
STEADY_S, AFTER_S = 1, 1
SHOWN_STEADY_S = 3

TRACE_LIMIT_BYTES = 1 << 30
SHORT_S = 0.25                  # less sound than this was lost
PATIENCE_S = 60                 # for what takes some seconds
STILL_US = 1_000_000            # a device that does no DMA for longer stands still
PCI_ON = 0x2 | 0x4              # memory space and bus master


def wall_us():
    return time.time_ns() // 1000


def devices(qemu, nic=True, sound=True, bystander=False, behind="bus", slot=4, extra=()):
    """QEMU's arguments. slot: of the network device, if it is on the root bus. behind: "bus" (directly on the root bus), "port" or "switch". sound: True,
    or "port": behind a port of its own, where it can be reset, by resetting its bus. bystander: True,
    or "vf": a virtual function of the same device, which gets the same frames."""
    out = list(extra)
    bus = ""
    if behind == "port":
        out += ["-device", "pcie-root-port,id=rp,chassis=1,slot=1,addr=8.0"]
        bus = ",bus=rp"
    if behind == "switch":
        out += ["-device", "pcie-root-port,id=rp,chassis=1,slot=1,addr=8.0",
                "-device", "x3130-upstream,id=up,bus=rp",
                "-device", "xio3130-downstream,id=down,bus=up,chassis=2,slot=2"]
        bus = ",bus=down"
    if nic:
        out += ["-netdev", "stream,id=nic,server=on,addr.type=unix,addr.path=nic.sock",
                "-device", "igb,netdev=nic,mac=52:54:00:c0:00:01" + (bus or f",addr={slot}.0")]
    if sound:
        # The codec's own timer drops a whole buffer when the host is late;
        # without it the samples follow the backend's clock and none is dropped.
        out += ["-audiodev", "wav,id=wav,path=audio.wav,timer-period=2000,"
                             "out.frequency=48000,out.format=s16,out.channels=2",
                *(["-device", "pcie-root-port,id=rpa,chassis=5,slot=5,addr=a.0", "-device", "intel-hda,bus=rpa"]
                  if sound == "port" else ["-device", "intel-hda,addr=5.0"]),
                "-device", qemu.hda_output("wav")]
    if bystander is True:
        out += ["-netdev", "stream,id=bystander,server=on,addr.type=unix,addr.path=bystander.sock",
                "-device", "igb,netdev=bystander,addr=6.0,mac=52:54:00:c0:00:02"]
    return out


class Run:
    """One machine from start to power-off, and what the referee has on it."""

    def __init__(self, machine, iommu, nic=True, sound=True, bystander=False, behind="bus", append="",
                 extra=(), rate=None, tenants=False, messages=False, disk=False, ready_s=60,
                 **options):
        """extra: more of QEMU's arguments; rate: frames/s; tenants: each device is another process's;
        messages: the network device asks for an interrupt with each frame, see frames.py; disk: there is one among
        extra, which is used; ready_s: until the devices are in use; options:
        further ones of machine.start()."""
        self.machine, self.nic, self.sound, self.messages = machine, nic, sound, messages
        self.traced = True                          # the devices' DMA is in the log, but for those that the IOMMU does not see
        self.late = False                           # the host is kept too busy to be in time
        self.steady, self.updates = [], []          # windows in wall clock us
        self.spans = []                             # of each update
        self.senders = {}
        self.rate = rate or (FRAMES_PER_S if machine.slow == 1 else FRAMES_PER_S_SLOW)
        if messages:
            self.rate //= 2                         # Each frame takes two places in the ring.
            append = f"rig.attack=1 {append}"
        devs = ",".join([*["nic"] * nic, *["audio"] * bool(sound), *["disk"] * disk])
        machine.start(
            iommu=iommu, devices=devices(machine.qemu, nic, sound, bystander, behind, NAMED[iommu].nic_slot, extra), **options,
            append=f"{machine.platform.early_console} rig.devs={devs} {'rig.bystander=1 ' if bystander else ''}{append}".strip())
        self.clock = phases.ConsoleClock(machine.path("console.log"))
        if tenants:
            sounding = machine.wait("ready", timeout_s=ready_s, nic="")
            self.ready = {**machine.wait("ready", timeout_s=ready_s, audio=""),
                          **{key: sounding[key] for key in ("audio", "audio_writes", "host_ns", "host_real_ns")}}
        else:
            self.ready = machine.wait("ready", timeout_s=ready_s)
        machine.figures["iommu"] = iommu
        machine.figures["uname_release"] = machine.events[0].get("kernel_release")
        if bystander:
            self.bystander = machine.wait("bystander")
            if bystander is True:
                self.senders["bystander"] = frames.Sender(machine.folder, "bystander", self.bystander["mac"], self.rate // 4, turn=self._turn)
        if nic:
            self.senders["nic"] = frames.Sender(machine.folder, "nic", self.ready["mac"], self.rate, messages, self._turn)
            machine.figures["frames_per_s"] = self.rate

    def _turn(self):
        """QEMU's main loop has gone round: it answers in one round what it reads in another."""
        try:
            for _ in range(3):
                self.machine.qmp("query-status")
        except Failed:
            # It has ended, or is about to: nobody takes anything any more.
            pass

    def rest(self, seconds):
        """DMA goes on and nobody does anything: what steady state is measured from."""
        time.sleep(0.3)
        begin, end = wall_us(), time.monotonic() + seconds
        while time.monotonic() < end:
            self.machine.check()
            time.sleep(0.05)
            if os.path.getsize(self.machine.path("trace.log")) > TRACE_LIMIT_BYTES:
                self.machine.trace(self.machine.iommu.referee.REFUSED, False)
                raise Failed(f"more than {TRACE_LIMIT_BYTES >> 20} MB of IOMMU reports: a device is in a loop of faults")
        self.steady.append((begin, wall_us()))

    def update(self, stage, options="", until="resumed", command="update"):
        """command: "jump" if all is preserved already."""
        machine, since, begin = self.machine, len(self.machine.events), wall_us()
        machine.send(f"{command} {options}".strip())
        self.jump = machine.wait("jump", since=since)
        machine.wait("boot", stage=stage, since=since, timeout_s=60)
        end = machine.wait(until, since=since, timeout_s=60)
        self.updates.append((begin, end["host_real_ns"] // 1000))
        self.spans.append(phases.spans(machine.events, self.clock.lines, since, end["host_ns"]))
        return end

    def replace(self, n):
        since = len(self.machine.events)
        begin = wall_us()
        self.machine.send(f"replace {n}")
        done = self.machine.wait("replaced", since=since, timeout_s=100)
        self.replacing = (begin, done["host_real_ns"] // 1000)
        self.machine.figures["replaces"] = self.machine.figures.get("replaces", 0) + n
        self.machine.figures["replace_mean_us"] = round(done["spent_us"] / n, 1)
        self.machine.figures["replace_longest_us"] = done["longest_us"]

    def stop(self):
        """Frames first, then the guest; afterwards everything is on file."""
        for sender in self.senders.values():
            sender.stop()
        time.sleep(0.5)
        self.machine.send("stop")
        # The kernel switches translation off when it powers off: that is no concern of ours.
        self.end = self.machine.wait("done", timeout_s=120)["host_real_ns"] // 1000
        self.machine.send("off")
        self.machine.finish()
        self.clock.stop()
        self.log = self.machine.dma_log()

    def judge(self):
        """Put the figures into the result; return the findings."""
        found = self._judge_frames() if self.nic else []
        if self.sound:
            found += self._judge_sound()
        found += self._judge_dma()
        for event in self.machine.events:
            if event["ev"] == "verified" and event["result"] & 1:
                found.append(f"{event['what']}: what was rebuilt differs from what was restored at {event['iova']:#x}")
        found += self._gaps()
        figures = self.machine.figures
        if self.spans:
            figures["phases_ms"] = phases.phases_ms(self.spans[0])
            figures["update_ms"] = round((self.updates[0][1] - self.updates[0][0]) / 1e3, 1)
        for i, spans in enumerate(self.spans[1:], 2):
            figures[f"phases_{i}_ms"] = phases.phases_ms(spans)
        return found

    def _judge_frames(self):
        sender, figures = self.senders["nic"], self.machine.figures
        values, found = frames.judge(self.machine.events, sender.log, messages=self.messages)
        figures.update(values)
        # The guest reports only the first some hundred of them one by one.
        figures["slots_bad"] = max((e["bad"] for e in self.machine.events if e["ev"] in ("nic", "done")), default=0)
        figures["frames_dropped_on_wire"] = sender.dropped
        figures["sender_latest_ms"] = round(sender.latest_ns / 1e6, 1)
        return found

    def _sounded(self):
        """From when to when the audio device played, by the host's monotonic clock and by its wall clock, in ns."""
        stopped = next(e for e in self.machine.events if e["ev"] in ("audio_stopped", "done"))
        return (self.ready["host_ns"], stopped["host_ns"]), (self.ready["host_real_ns"], stopped["host_real_ns"])

    def _judge_sound(self):
        machine, log = self.machine, self.log
        (begin, end), real = self._sounded()
        expected = (end - begin) / 1e9
        # QEMU 11's codec has a timer of its own, which falls behind when the host is late:
        # by 2 s in 227 on a host with two debug kernels. Where DMA is in the log, that
        # says whether the device stood still.
        by_dma = self.traced and not machine.qemu.old and "audio" in machine.iommu.referee.SEEN
        values, said = audio.judge(*audio.read_wav(machine.path("audio.wav")), expected,
                                   short_s=math.inf if by_dma or self.late else SHORT_S, overruns=log.audio_overruns)
        if by_dma:
            still = log.longest_gap_us(dmalog.source_id(self.ready["audio"]), *(ns // 1000 for ns in real), self.ready["audio_writes"])
            values["audio_dma_gap_longest_us"] = still
            if still > STILL_US:
                said.append(f"no DMA for {still} us")
        machine.figures.update(values)
        return ["audio: " + text for text in said]

    def _judge_dma(self):
        """What the IOMMU refused, sent elsewhere, or was told."""
        machine, log, found = self.machine, self.log, []
        figures = machine.figures
        self.preserved = {name: dmalog.source_id(self.ready[name])
                          for name in machine.iommu.referee.SEEN if self.ready.get(name)}
        faults = log.faults_of(self.preserved.values())
        figures["iommu_faults"] = sum(faults.values())
        if faults:
            figures["iommu_fault_kinds"] = dmalog.fault_kinds(faults)
            found.append(f"{figures['iommu_faults']} IOMMU faults: {figures['iommu_fault_kinds']}")
        wrong = [m for m in log.misdirected if m[1] in self.preserved.values()]
        figures["dma_misdirected"] = len(wrong)
        if wrong:
            found.append(f"{len(wrong)} DMAs misdirected, the first to {wrong[0][3]:#x} in place of {wrong[0][4]:#x}")
        off = [t for t in log.switched_off if t < self.end]
        figures["translation_switched_off"] = len(off)
        if off:
            found.append(f"translation was switched off {len(off)} times")
        if log.unreadable:
            found.append(f"{log.unreadable} lines of QEMU's trace log were not understood")
        for event in machine.events:
            if event["ev"] == "retrieved" and event["pci_command"] & PCI_ON != PCI_ON:
                found.append(f"{event['what']}: PCI command register {event['pci_command']:#x} after the update, "
                             "memory or bus mastering is off")
        # Of an IOMMU the log says of each DMA where it was to go.
        elsewhere = getattr(machine.iommu.referee, "elsewhere", None)
        if elsewhere:
            outside = elsewhere(machine.events, log)
            figures["dma_elsewhere"] = len(outside)
            if outside:
                found.append(f"{len(outside)} frames were written outside of the memory, the first to {outside[0]:#x}")
        with open(machine.path("qemu.log"), encoding="utf-8", errors="replace") as f:
            said = [line.strip() for line in f if machine.iommu.referee.COMPLAINT in line]
        if said and not faults:
            found.append(f"QEMU complains about the IOMMU: {said[0]}")
        return found

    def _gaps(self):
        """Longest time without a DMA write, per device and for the worst of them."""
        found, worst = [], None
        for name, sid in self.preserved.items():
            if name == "disk":
                continue                            # It does what it is asked to, and then nothing.
            within = self.ready[name + "_writes"]

            def longest(windows):
                return max((self.log.longest_gap_us(sid, *w, within) for w in windows), default=None)

            steady, update = longest(self.steady), longest(self.updates)
            self.machine.figures[f"{name}_dma_gap_steady_us"] = steady
            if update is None:
                continue
            self.machine.figures[f"{name}_dma_gap_update_us"] = update
            ratio = round(update / steady, 2)
            if worst is None or ratio > worst[0]:
                worst = ratio, steady, update
            # Times are for the reader: the host is shared, and QEMU was seen to write nothing at
            # all in its trace for 60 to 105 ms. But a device that stood still for most of a
            # jump, or for half of a boot, was stopped.
            for phase in ("jump", "kernel boot"):
                for begin, end in self._phases(phase):
                    stood = self.log.longest_gap_us(sid, begin, end, within)
                    if stood > (end - begin) / 2:
                        found.append(f"{name}: {stood} us without a DMA write in {end - begin} us of {phase}, {steady} us in steady state")
        if worst:
            figures = self.machine.figures
            figures["dma_gap_ratio"], figures["dma_gap_steady_us"], figures["dma_gap_update_us"] = worst
        return found

    def _phases(self, phase):
        """That phase of each update, as (begin, end) in the time of the trace."""
        offset = time.time_ns() - time.monotonic_ns()
        return [((begin + offset) // 1000, (end + offset) // 1000) for spans in self.spans
                for name, begin, end in spans if name == phase]

    def draw(self):
        if not self.spans:
            return
        offset = time.time_ns() - time.monotonic_ns()
        begin, end = self.updates[0][0] - 500_000, self.updates[-1][1] + 500_000
        rows = [(f"{name} DMA", self.log.times(sid, begin, end, self.ready[name + "_writes"]))
                for name, sid in self.preserved.items() if name != "disk"]
        spans = [(name, (a + offset) // 1000, (b + offset) // 1000) for update in self.spans for name, a, b in update]
        figures, notes = self.machine.figures, self._notes()
        if "dma_gap_update_us" in figures:
            notes.append(f"longest time without a DMA write: {figures['dma_gap_update_us'] / 1e3:.1f} ms during the update, "
                         f"{figures['dma_gap_steady_us'] / 1e3:.1f} ms in steady state")
        with open(self.machine.path("timeline.svg"), "w", encoding="utf-8") as f:
            f.write(timeline.svg(f"{self.machine.case}: DMA while the kernel is replaced", spans, rows, begin, end, notes,
                                 self._dark(offset)))

    def _dark(self, offset):
        """[(begin, end)] in us of when nobody served the devices, if the phases do not say it; offset: from
        the host's monotonic clock to its wall clock, in ns."""
        return None

    def _notes(self):
        """What is written below the picture, first."""
        figures = self.machine.figures
        return [f"{figures.get('frames_sent', 0)} frames sent, {figures.get('frames_lost', 0)} lost; "
                f"{figures.get('audio_samples', 0)} samples played, "
                f"{figures.get('audio_samples_out_of_pattern', 0)} out of pattern; "
                f"{figures['iommu_faults']} IOMMU faults"]

    def thin(self):
        """Drop the translations, tens of megabytes, from a trace log that proved what it had to."""
        path = self.machine.path("trace.log")
        with open(path, encoding="utf-8", errors="replace") as f:
            kept = [line for line in f if f"{self.machine.iommu.referee.DMA} " not in line]
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(kept)

    def kill(self):
        for sender in self.senders.values():
            sender.kill()
        self.clock.stop()


def clean(run):
    found = run.judge()
    run.draw()
    if found:
        raise Failed("; ".join(found))


def noticed(machine, slots, seconds):
    """Has the guest noticed that so many slots of the ring are filled, in that time? Its report then, or None."""
    end = time.monotonic() + seconds * machine.slow
    while time.monotonic() < end:
        since = len(machine.events)
        machine.send("report")
        seen = machine.wait("nic", since=since)
        if seen["next"] >= slots:
            return seen
        time.sleep(0.2)
    return None


def past(machine, event):
    """Wait until the network device was to write to the page that is missing since that event."""
    if event["at"] > event["hole_begin"]:
        raise Failed("the network device was past the page before that was missing: nothing was shown")
    if not noticed(machine, event["hole_end"], PATIENCE_S):
        raise Failed("the network device does not come to the page that is missing")


def must_see(what, condition):
    if not condition:
        raise Failed(f"the referee did not see {what}, which this case causes on purpose")


def until(run, done, timeout_s=60):
    """Wait for something that the machine may not survive; no longer than it is there."""
    deadline = time.monotonic() + timeout_s * run.machine.slow
    while not (done() or run.machine.ended()) and time.monotonic() < deadline:
        try:
            run.machine.check()
        except (Failed, Splat):
            break
        time.sleep(0.05)


def guarded(body, kind=Run):
    """A case from body(machine, begin): begin(...) makes the Run, or one of that kind, which is
    ended in any event; begin(machine=OTHER, ...) makes one of another machine of the case."""
    def case(machine, **arguments):
        runs = []

        def begin(machine=machine, **options):
            # The senders must not outlive a case that fails while it starts.
            run = kind.__new__(kind)
            run.senders = {}
            runs.append(run)
            run.__init__(machine, **options)
            return run

        try:
            body(machine, begin, **arguments)
            for run in runs:
                if hasattr(run, "log"):
                    run.thin()
        finally:
            for run in runs:
                if hasattr(run, "clock"):
                    run.kill()
    return case


def bind(function, **arguments):
    """function(machine), with these arguments; further ones, or others, can be given later."""
    return functools.partial(function, **arguments)
