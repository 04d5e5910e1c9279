# SPDX-License-Identifier: GPL-2.0-only
"""
The live update, judged from outside: devices do DMA by themselves while the
kernel under them is replaced, and frames, samples and IOMMU say what happened.

Each way to pass has twins that break one law on purpose; they pass only
if the referee says no, and for the right reason.
"""

import errno
import os
import time

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.referee import audio, dmalog, frames, phases, summary, timeline

FRAMES_PER_S = 2000
FRAMES_PER_S_SLOW = 400         # debug kernel: the ring has to last longer
STEADY_S, AFTER_S = 3, 2
REPLACES_AFTER_UPDATE = 500
REPLACES = 10_000
REPLACES_NEGATIVE = 1_000

TRACE_LIMIT_BYTES = 1 << 30
PCI_ON = 0x2 | 0x4              # memory space and bus master

# Makes the kernel under test attach as 7.3 does: block, then set.
BLOCK_THEN_SET = "liveupdate.break=gap"


def wall_us():
    return time.time_ns() // 1000


def devices(nic=True, sound=True, bystander=False, behind="bus"):
    """QEMU's arguments. behind: "bus" (directly on the root bus), "port" or "switch"."""
    out = []
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
                "-device", "igb,netdev=nic,mac=52:54:00:c0:00:01" + (bus or ",addr=4.0")]
    if sound:
        # The codec's own timer drops a whole buffer when the host is late;
        # without it the samples follow the backend's clock and none is dropped.
        out += ["-audiodev", "wav,id=wav,path=audio.wav,timer-period=2000,"
                             "out.frequency=48000,out.format=s16,out.channels=2",
                "-device", "intel-hda,addr=5.0",
                "-device", "hda-output,audiodev=wav,mixer=off,use-timer=off"]
    if bystander:
        out += ["-netdev", "stream,id=bystander,server=on,addr.type=unix,addr.path=bystander.sock",
                "-device", "igb,netdev=bystander,addr=6.0,mac=52:54:00:c0:00:02"]
    return out


class Run:
    """One machine from start to power-off, and what the referee has on it."""

    def __init__(self, machine, mode, nic=True, sound=True, bystander=False, behind="bus", append=""):
        self.machine, self.nic, self.sound = machine, nic, sound
        self.steady, self.updates = [], []          # windows in wall clock us
        self.spans = []                             # of each update
        self.senders = {}
        self.rate = FRAMES_PER_S if machine.slow == 1 else FRAMES_PER_S_SLOW
        devs = ",".join([*["nic"] * nic, *["audio"] * sound])
        machine.start(
            mode=mode, devices=devices(nic, sound, bystander, behind), trace=dmalog.EVENTS,
            append=f"earlyprintk=ttyS0 rig.devs={devs} {'rig.bystander=1 ' if bystander else ''}{append}".strip())
        self.clock = phases.ConsoleClock(machine.path("console.log"))
        self.ready = machine.wait("ready", timeout_s=60)
        machine.figures["mode"] = mode
        machine.figures["uname_release"] = machine.events[0].get("kernel_release")
        if bystander:
            self.bystander = machine.wait("bystander")
            self.senders["bystander"] = frames.Sender(machine.folder, "bystander", self.bystander["mac"], self.rate // 4)
        if nic:
            self.senders["nic"] = frames.Sender(machine.folder, "nic", self.ready["mac"], self.rate)
            machine.figures["frames_per_s"] = self.rate

    def rest(self, seconds):
        """DMA goes on and nobody does anything: what steady state is measured from."""
        time.sleep(0.3)
        begin, end = wall_us(), time.monotonic() + seconds
        while time.monotonic() < end:
            self.machine.check()
            time.sleep(0.05)
            if os.path.getsize(self.machine.path("trace.log")) > TRACE_LIMIT_BYTES:
                self.machine.trace("vtd_dmar_fault", False)
                raise Failed(f"more than {TRACE_LIMIT_BYTES >> 20} MB of IOMMU reports: a device is in a loop of faults")
        self.steady.append((begin, wall_us()))

    def update(self, stage, options="", resumes=True):
        machine, since, begin = self.machine, len(self.machine.events), wall_us()
        machine.send(f"update {options}".strip())
        self.jump = machine.wait("jump", since=since)
        machine.wait("boot", stage=stage, since=since, timeout_s=60)
        end = machine.wait("resumed" if resumes else "nothing", since=since, timeout_s=60)
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
        self.end = self.machine.wait("done")["host_real_ns"] // 1000
        self.machine.finish()
        self.clock.stop()
        self.log = dmalog.DmaLog.read(self.machine.path("trace.log"))

    def judge(self):
        """Put the figures into the result; return the findings."""
        machine, log, found = self.machine, self.log, []
        figures = machine.figures
        if self.nic:
            sender = self.senders["nic"]
            values, said = frames.judge(machine.events, sender.log)
            figures.update(values)
            # The guest reports only the first some hundred of them one by one.
            figures["slots_bad"] = max((e["bad"] for e in machine.events if e["ev"] in ("nic", "done")), default=0)
            figures["frames_dropped_on_wire"] = sender.dropped
            figures["sender_latest_ms"] = round(sender.latest_ns / 1e6, 1)
            found += said
        if self.sound:
            stopped = next(e["host_ns"] for e in machine.events if e["ev"] in ("audio_stopped", "done"))
            expected = (stopped - self.ready["host_ns"]) / 1e9
            values, said = audio.judge(*audio.read_wav(machine.path("audio.wav")), expected)
            figures.update(values)
            found += ["audio: " + text for text in said]
        self.preserved = {name: dmalog.source_id(self.ready[name])
                          for name in ("nic", "audio") if self.ready[name]}
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
        with open(machine.path("qemu.log"), encoding="utf-8", errors="replace") as f:
            said = [line.strip() for line in f if "vtd_" in line]
        if said and not faults:
            found.append(f"QEMU complains about the IOMMU: {said[0]}")
        found += self._gaps()
        if self.spans:
            figures["phases_ms"] = phases.phases_ms(self.spans[0])
            figures["update_ms"] = round((self.updates[0][1] - self.updates[0][0]) / 1e3, 1)
        for i, spans in enumerate(self.spans[1:], 2):
            figures[f"phases_{i}_ms"] = phases.phases_ms(spans)
        return found

    def _gaps(self):
        """Longest time without a DMA write, per device and for the worst of them."""
        found, worst = [], None
        for name, sid in self.preserved.items():
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
            # Times are for the reader: the host is shared. But a device that
            # stood still for a good part of the jump was stopped.
            jump_us = min(((end - start) / 1000 for spans in self.spans
                           for what, start, end in spans if what == "jump"), default=None)
            if jump_us and update > jump_us / 2:
                found.append(f"{name}: {update} us without a DMA write during the update, {steady} us in steady state")
        if worst:
            figures = self.machine.figures
            figures["dma_gap_ratio"], figures["dma_gap_steady_us"], figures["dma_gap_update_us"] = worst
        return found

    def draw(self):
        if not self.spans:
            return
        offset = time.time_ns() - time.monotonic_ns()
        begin, end = self.updates[0][0] - 500_000, self.updates[-1][1] + 500_000
        rows = [(f"{name} DMA", self.log.times(sid, begin, end, self.ready[name + "_writes"]))
                for name, sid in self.preserved.items()]
        spans = [(name, (a + offset) // 1000, (b + offset) // 1000) for update in self.spans for name, a, b in update]
        figures = self.machine.figures
        notes = [f"{figures.get('frames_sent', 0)} frames sent, {figures.get('frames_lost', 0)} lost; "
                 f"{figures.get('audio_samples', 0)} samples played, "
                 f"{figures.get('audio_samples_out_of_pattern', 0)} out of pattern; "
                 f"{figures['iommu_faults']} IOMMU faults"]
        if "dma_gap_update_us" in figures:
            notes.append(f"longest time without a DMA write: {figures['dma_gap_update_us'] / 1e3:.1f} ms during the update, "
                         f"{figures['dma_gap_steady_us'] / 1e3:.1f} ms in steady state")
        with open(self.machine.path("timeline.svg"), "w", encoding="utf-8") as f:
            f.write(timeline.svg(f"{self.machine.case}: DMA while the kernel is replaced", spans, rows, begin, end, notes))

    def thin(self):
        """Drop the translations, tens of megabytes, from a trace log that proved what it had to."""
        path = self.machine.path("trace.log")
        with open(path, encoding="utf-8", errors="replace") as f:
            kept = [line for line in f if ":vtd_dmar_translate " not in line]
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


def must_see(what, condition):
    if not condition:
        raise Failed(f"the referee did not see {what}, which this case causes on purpose")


def guarded(body):
    """A case from body(machine, begin): begin(...) makes the Run, which is ended in any event."""
    def case(machine, **arguments):
        runs = []

        def begin(**options):
            # The senders must not outlive a case that fails while it starts.
            run = Run.__new__(Run)
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


@guarded
def update(machine, begin, mode, nic=True, sound=True, updates=1, replaces=REPLACES_AFTER_UPDATE, show=False, **options):
    if updates > 1:
        options["append"] = f"rig.updates={updates}"
    run = begin(mode=mode, nic=nic, sound=sound, **options)
    run.rest(STEADY_S)
    for stage in range(2, updates + 2):
        run.update(stage)
        run.rest(AFTER_S)
    if replaces:
        run.replace(replaces)
        run.rest(0.5)
    run.stop()
    try:
        clean(run)
    finally:
        if show:
            print(summary.table(machine.figures))


@guarded
def no_preserve(machine, begin, mode):
    """The same with the preserve left out: DMA must be seen to stop."""
    run = begin(mode=mode, append="rig.preserve=0")
    run.rest(STEADY_S)
    run.update(2, resumes=False)
    time.sleep(AFTER_S)
    run.stop()
    run.judge()
    figures = machine.figures
    must_see("lost frames", figures["frames_lost"] > figures["frames_per_s"])
    must_see("the audio stop", figures["audio_played_s"] < figures["audio_expected_s"] - 1)
    for name, sid in run.preserved.items():
        late = run.log.times(sid, run.updates[0][1])
        if late:
            raise Failed(f"{name}: {len(late)} DMAs after an update that did not preserve it")
        must_see(f"the gap of the {name}", figures[f"{name}_dma_gap_update_us"] > 200_000)


@guarded
def memory(machine, begin, mode, updates=2):
    """The memory alone, as 7.3 can do by itself: what the devices wrote before is there after."""
    run = begin(mode=mode, append=f"rig.preserve=memfd rig.updates={updates}")
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
def undo(machine, begin, mode, n=20):
    """Preserve and undo under load, then replace, then update: nothing is left behind."""
    run = begin(mode=mode)
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send(f"undo {n}")
    machine.wait("undone", since=since, timeout_s=60)
    machine.figures["undone"] = n
    run.rest(1)
    run.replace(100)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    clean(run)


REFUSALS = {"unmarked hwpt": errno.EINVAL, "token twice": errno.EADDRINUSE,
            "iommufd before memfd": errno.ENOENT, "device before iommufd": errno.ENOENT,
            "unmap while preserved": errno.EBUSY, "map while preserved": errno.EBUSY,
            "destroy while preserved": errno.EBUSY,
            "open past the session": errno.EBUSY, "finish too early": errno.EBUSY,
            "bind to another iommufd": errno.EPERM}
SEALS = 0x1 | 0x2 | 0x4         # no further seals, no shrinking, no growing


@guarded
def refusals(machine, begin, mode):
    """What the rules forbid is refused by the right name, and the DMA goes on."""
    run = begin(mode=mode, append="rig.refusals=1")
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


@guarded
def refused(machine, begin, mode, reason, **options):
    """A device that must not be preserved is refused, and the log says why."""
    run = begin(mode=mode, **options)
    run.rest(STEADY_S)
    try:
        run.update(2)
    except Failed as error:
        if "preserve the network device: Operation not supported" not in str(error):
            raise
    else:
        raise Failed("the device was preserved; it must be refused")
    with open(machine.path("console.log"), encoding="utf-8", errors="replace") as f:
        if f"cannot be preserved: {reason}" not in f.read():
            raise Failed(f"the kernel log does not say '{reason}'")


@guarded
def hole(machine, begin, mode):
    """One mapped page left out of the rebuilt IOAS: faults there after the replace, nowhere else."""
    run = begin(mode=mode)
    run.rest(STEADY_S)
    offset = run.update(2, "hole=1")["hole"]
    run.rest(AFTER_S)
    run.stop()
    run.judge()
    page = 0x1000000000 + offset
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


@guarded
def steady(machine, begin, **options):
    """Nothing happens: what the referee says then is its own noise."""
    run = begin(**options)
    run.rest(STEADY_S)
    run.rest(AFTER_S)
    run.stop()
    clean(run)


@guarded
def replace(machine, begin, mode, n=REPLACES):
    """Replace under load with no update around it."""
    run = begin(mode=mode)
    run.rest(STEADY_S)
    run.replace(n)
    run.rest(1)
    run.stop()
    clean(run)


@guarded
def replace_with_gap(machine, begin, mode, append=BLOCK_THEN_SET):
    """7.3's own attach: the referee must see that it has a gap."""
    run = begin(mode=mode, append=append)
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


@guarded
def bystander(machine, begin, mode):
    """A device that is not preserved receives frames all the time: not one may land after the jump."""
    run = begin(mode=mode, bystander=True)
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
    start = next((b for name, b, _ in run.spans[0] if name == "jump"), None)
    if start and between:
        late_ms = (between[-1] * 1000 - (time.time_ns() - time.monotonic_ns()) - start) / 1e6
        if late_ms > 100:
            found.append(f"the device that is not preserved did DMA {late_ms:.0f} ms into the jump")
    if found:
        raise Failed("; ".join(found))


def bind(function, **arguments):
    return lambda machine: function(machine, **arguments)


def _cases():
    kinds = {"nic": {"sound": False}, "audio": {"nic": False}, "both": {}}
    for mode in ("legacy", "scalable"):
        for kind, options in kinds.items():
            yield Case(f"{mode}-{kind}", f"live update, {mode} mode, DMA by {kind}",
                       bind(update, mode=mode, **options), debug=kind == "both")
        yield Case(f"{mode}-steady", "DMA and no update at all", bind(steady, mode=mode))
        yield Case(f"{mode}-no-preserve", "negative: the preserve left out", bind(no_preserve, mode=mode))
        yield Case(f"{mode}-hole", "negative: one page left out of the rebuilt IOAS", bind(hole, mode=mode))
        yield Case(f"{mode}-replace", f"{REPLACES} replaces under load, no update", bind(replace, mode=mode))
        yield Case(f"{mode}-replace-gap", "negative: 7.3's block-then-set attach",
                   bind(replace_with_gap, mode=mode))
        yield Case(f"{mode}-bystander", "a device that is not preserved is blocked", bind(bystander, mode=mode))
    yield Case("undo", "20 preserves undone under load, then an update", bind(undo, mode="scalable"), debug=True)
    yield Case("refusals", "what the rules forbid is refused", bind(refusals, mode="scalable"))
    yield Case("memory", "the DMA memory alone is preserved, twice", bind(memory, mode="scalable"))
    yield Case("switch-steady", "DMA of a device behind a PCIe switch, no update",
               bind(steady, mode="scalable", behind="switch"))
    yield Case("three-updates", "three live updates in a row",
               bind(update, mode="scalable", updates=3))
    yield Case("each-hwpt", "live update, a HWPT of its own for each device",
               bind(update, mode="scalable", append="rig.hwpt=each"))
    yield Case("behind-port", "live update of a device behind a PCIe root port",
               bind(update, mode="scalable", behind="port"))
    yield Case("behind-switch", "a device behind a switch without ACS is refused",
               bind(refused, mode="scalable", behind="switch",
                    reason="it shares its IOMMU group"))
    yield Case("demo", "what 'make demo' shows: scalable mode, both devices",
               bind(update, mode="scalable", show=True))


CASES = list(_cases())
