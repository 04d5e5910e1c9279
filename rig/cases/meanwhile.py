# SPDX-License-Identifier: GPL-2.0-only
"""
What can happen while continuo update is at each of its steps: a second operator aborts it; the
agent is killed, or ends because its package was upgraded, and another one is started. Each time
the VMs go on in the same kernel. What comes when the agent has begun to jump comes too late.

A step stands still as long as the case wants it to: those in which VMs are asked something as
long as one of them does not answer, that in which services end as long as one does not, all others
because the program is held (see rig/guest/libcontinuo/held_program.h). Nothing here depends on how
long something takes. Services that had ended run again each time.
"""

import time

from rig.cases.command import continuo, printed
from rig.cases.iommu import CHANGES
from rig.cases.library import agent_files
from rig.cases.operator import AGENT, EXAMPLE, REPORT, TENANTS, UPDATE, WRITTEN, arrived, as_before, start, tell
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.memory import Memory, shared
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded, wall_us
from rig.referee import dmalog

# So that the receive ring lasts for as long as a VM stays suspended, and the trace is not too large.
FRAMES_PER_S = 500
LIMIT_S = 900
# No step is to end by itself.
PATIENT = "--timeout 3600 --services-timeout 3600"
PATIENT_UPDATE = f"{UPDATE} {PATIENT}"
AGENT_PATH = "/usr/sbin/continuo-agent"
VM, OTHER = "vm-nic", "vm-audio"
# Services of the host, in the order in which they end; see rig/guest/libcontinuo/services.h.
SERVICES = ["web", "database"]
TO_START = "/run/continuo/services"
GOES_OVER = {**dict.fromkeys(TENANTS, "taken over"), EXAMPLE: "taken over"}

# Each step: who stands still in it, and what the VMs have been asked by then.
BOTH = ["preserve", "suspend"]
STEPS = {
    "load": ("update", []),             # the update is prepared, and the agent has not begun
    "sync": ("agent", []),
    "services": (SERVICES[-1], []),
    "sync_again": ("agent", []),
    "preserve": (VM, ["preserve"]),
    "suspend": (VM, BOTH),
    "flush": ("agent", BOTH),
    "count": ("agent", BOTH),
    "seal": ("agent", BOTH),
    "jump": ("agent", BOTH),
    "undo": (VM, ["preserve", "undo"]),
}
# These are one piece: nothing is heard in between.
ONE_PIECE = ("count", "seal", "jump")
# Those that have ended by then, where it is not all of them.
ENDED = {"load": [], "sync": [], "services": SERVICES[:-1]}


def serving(run, what):
    """All services run, and none is to be started again."""
    machine, deadline = run.machine, time.monotonic() + run.machine.bound(60)
    while True:
        states = {e["who"]: e["state"] for e in machine.events if e["ev"] == "service"}
        if states == dict.fromkeys(SERVICES, "runs") and machine.read(TO_START) is None:
            return
        if time.monotonic() > deadline:
            raise Failed(f"{what}: after it the services are {states}, and '{TO_START}' is {'not ' * (machine.read(TO_START) is None)}there")


class Update:
    """One that stands still at a step."""

    def __init__(self, run, step, arguments=PATIENT_UPDATE):
        self.run, self.machine, self.step = run, run.machine, step
        self.since = len(self.machine.events)
        self.who, self.asked = STEPS[step]
        if self.who != "update":
            self.tell(self.who, f"at {step}")
        if step == "undo":
            self.tell(OTHER, "at preserve")
        self.hold("update", step if self.who == "update" else "-", f"{arguments} update")
        if step == "undo":
            self.wait("stands", who=OTHER, at="preserve")
            self.wait("obeyed", who=VM, want="preserve")
            self.hold("first", "-", f"{AGENT} abort")
        self.wait("stands", who=self.who, at=step)

    def wait(self, name, **match):
        return self.machine.wait(name, since=self.since, timeout_s=60, **match)

    def tell(self, who, words):
        tell(self.run, who, words)

    def hold(self, who, place, arguments):
        """The command, to be held at a place."""
        self.machine.send(f"held {who} {place} /usr/bin/continuo --json {arguments}")
        self.wait("began", who=who)

    def go_on(self):
        """Who stands is not the agent's any more, if it is no VM."""
        if self.who in SERVICES:
            # It is started again, though it does not end.
            self.wait("service", who=self.who, state="stays")
        if self.who not in (VM, OTHER):
            self.tell(self.who, "go")

    def must_end(self, who, status):
        ended = self.wait("ended", who=who)["status"]
        if ended != status:
            raise Failed(f"{self.step}: {who} ends with {ended}, expected {status}")

    def must_be_undone(self, asked, status=4, **before):
        """The command says so; all is as before; the VMs were asked what they had to be asked."""
        self.must_end("update", status)
        as_before(self.run, self.step, **before)
        serving(self.run, self.step)
        ended = [e["who"] for e in self.machine.events[self.since:] if e["ev"] == "service" and e["state"] == "ended"]
        if ended != ENDED.get(self.step, SERVICES):
            raise Failed(f"{self.step}: services have ended in the order {ended}")
        for who in (VM, OTHER):
            got = [e["want"] for e in self.machine.events[self.since:] if e["ev"] == "obeyed" and e["who"] == who]
            if got != asked:
                raise Failed(f"{self.step}: {who} was asked to {got}, expected {asked}")


def end(run, since, begun):
    """The update that comes at last has gone over; what the referee has to say."""
    arrived(run, since, begun, GOES_OVER)
    run.rest(AFTER_S)
    run.stop()
    # It says so in this kernel, too, when it goes on after it was suspended.
    if WRITTEN not in run.machine.console().rpartition("Linux version")[2]:
        raise Failed("the example does not say what its device has written")
    clean(run)


@guarded
def aborted(machine, begin, iommu):
    """
    A second operator aborts the update at each step, once with nobody updating, and once when
    somebody else has aborted already. Then the command is killed, and he takes the update over and
    hears its end, which is an abort. At last he comes too late: the agent counts.
    """
    run = start(begin, iommu, append="rig.held=1", rate=FRAMES_PER_S, ready_s=240, quiet_s=150, limit_s=LIMIT_S)
    serving(run, "start")
    run.rest(STEADY_S)
    tries = 0
    if printed(machine, f"{AGENT} abort")[0] != 1:
        raise Failed("an abort with no update does not end with 1")
    for step, (who, asked) in STEPS.items():
        if step in ONE_PIECE:
            continue
        update = Update(run, step)
        if step == "undo":
            # Ends with the first one's: its undo is under way.
            if printed(machine, f"{AGENT} abort")[0] != 3:
                raise Failed("an abort of what somebody else aborts does not end with 3")
            update.tell(VM, "go")
            update.must_end("first", 0)
        else:
            status, data = continuo(machine, f"{AGENT} abort")
            if status or data["outcome"] != "undone":
                raise Failed(f"{step}: abort ends with {status} and {data}")
        update.go_on()
        update.must_be_undone(asked + ["undo"] if asked and step != "undo" else asked)
        _, report = continuo(machine, REPORT)
        if (report["outcome"], report.get("why")) != ("undone", "the update was aborted"):
            raise Failed(f"{step}: the report says {report['outcome']}: {report.get('why')}")
        tries += 1

    update = Update(run, "suspend")
    update.tell("update", "kill")
    update.must_end("update", -9)
    update.hold("second", "sent", f"{AGENT} attach")
    update.wait("stands", who="second", at="sent")
    status, data = continuo(machine, f"{AGENT} abort")
    if status or data["outcome"] != "undone":
        raise Failed(f"abort of an update whose command was killed ends with {status} and {data}")
    update.tell("second", "go")
    update.must_end("second", 4)
    # Who has loaded the next kernel cannot unload it any more: it is in place as after "load".
    status, data = continuo(machine, "--unload load")
    if status or data["outcome"] != "unloaded":
        raise Failed(f"load --unload after an update whose command was killed ends with {status} and {data}")
    as_before(run, "attach")
    serving(run, "attach")
    run.rest(1)

    # The agent answers nobody while it stands: who aborts has to have spoken with it before.
    since = len(machine.events)
    machine.send(f"held second ask /usr/bin/continuo --json {AGENT} abort")
    machine.wait("stands", since=since, timeout_s=60, who="second", at="ask")
    update = Update(run, "count")
    for words in ("at sent", "go"):
        update.tell("second", words)
    update.wait("stands", who="second", at="sent")
    begun = wall_us()
    machine.send("tell agent go")
    machine.figures["tries"] = tries + 2
    machine.figures["outcome"] = "undone, up to the count; the one after that comes too late, and the update goes well"
    end(run, update.since, begun)


def versions():
    """Agents that do the same, and differ in size: {path in the guest: bytes}."""
    program = agent_files()[AGENT_PATH]
    return {f"/package/{n}/continuo-agent": program + bytes(n) for n in (1, 2)}


def install(run, path):
    """As the package does: the program is replaced, and the one that runs is left alone."""
    since = len(run.machine.events)
    run.machine.send(f"install {path} {AGENT_PATH}")
    number = run.machine.wait("installed", since=since)["errno"]
    if number:
        raise Failed(f"install {path}: errno {number}")


def another_agent(update, status, size):
    """The agent has ended, and the next one has both tenants."""
    update.must_end("agent", status)
    began = update.wait("began", who="agent")["bytes"]
    if began != size:
        raise Failed(f"{update.step}: the next agent has {began} bytes, expected {size}")
    for who in (VM, OTHER):
        update.wait("tenant_again", who=who)


@guarded
def restarted(machine, begin, iommu):
    """
    The agent is killed at each step. Then it is upgraded at each step: its program is replaced,
    which changes nothing, and it is ended, which undoes the update first. At last it is upgraded
    and told to end when it is about to jump, which is too late.
    """
    packages = versions()
    run = start(begin, iommu, append="rig.held=1", rate=FRAMES_PER_S, ready_s=240, quiet_s=150, limit_s=LIMIT_S, files=packages)
    serving(run, "start")
    run.rest(STEADY_S)
    size, agents = len(agent_files()[AGENT_PATH]), 1
    for step, (who, asked) in STEPS.items():
        update = Update(run, step)
        update.tell("agent", "kill")
        another_agent(update, -9, size)
        agents += 1
        if step == "undo":
            update.must_end("first", 3)
        if who != "agent":
            update.go_on()
        # Nobody has told the command how it ended.
        update.must_be_undone(asked, status=3)

    paths = list(packages)
    for step, (who, asked) in STEPS.items():
        if step in ONE_PIECE:
            continue
        paths.reverse()
        size = len(packages[paths[0]])
        update = Update(run, step)
        install(run, paths[0])
        update.tell("agent", "end")
        if step == "undo":
            # It ends when all have undone.
            update.tell(VM, "go")
            update.must_end("first", 0)
        another_agent(update, 0, size)
        agents += 1
        if who != "agent":
            update.go_on()
        # Before the agent has begun, nobody listens to how it ends.
        update.must_be_undone(asked + ["undo"] if asked and step != "undo" else asked, status=3 if who == "update" else 4)
    run.rest(1)

    update = Update(run, "count")
    install(run, paths[1])
    update.tell("agent", "end")
    begun = wall_us()
    machine.send("tell agent go")
    machine.figures["tries"] = agents
    machine.figures["outcome"] = "undone, and the VMs register with the next agent; what comes after the count comes too late"
    end(run, update.since, begun)
    if sum(e["ev"] == "began" and e["who"] == "agent" for e in machine.events) != agents:
        raise Failed(f"an agent has ended by itself: there were more than {agents}")



class Entry:
    """The IOMMU's entry of the network device, of which a bit changes."""
    rule = "iommu_changed"

    def __init__(self, run, change):
        self.device, self.memory = run.ready["nic"], Memory(run.machine)
        self.said, self.address, self.value = change
        self.before = self.memory.get(self.address)

    def change(self):
        self.memory.put(self.address, self.value)

    def change_back(self):
        self.memory.put(self.address, self.before)


class Sleep:
    """The audio device's VMM says that it does not use it, until it is told to undo."""
    rule, said = "vfio_low_power", "it is in a low power state"

    def __init__(self, run):
        self.run, self.device = run, run.ready["audio"]

    def change(self):
        tell(self.run, OTHER, "sleep")

    def change_back(self):
        pass


def refused_late(run, it, arguments=PATIENT_UPDATE, **before):
    """The device changes when all VMs stand still, and the agent is about to jump."""
    machine, at = run.machine, len(run.machine.console())
    update = Update(run, "jump", arguments)
    it.change()
    update.tell("agent", "go")
    # The kernel has said no before a VM is told.
    update.wait("obeyed", who=VM, want="undo")
    it.change_back()
    update.must_be_undone(BOTH + ["undo"], **before)
    _, report = continuo(machine, REPORT)
    words = "the kernel does not jump", it.device, it.said, f"(rule {it.rule})"
    for what, text in (("the command", machine.console()[at:]), ("the report", report.get("why", ""))):
        if not any(all(word in line for word in words) for line in text.splitlines()):
            raise Failed(f"{it.rule}: {what} does not name {it.device} and the rule: {text[-1500:]}")
    if report["outcome"] != "undone" or f"; {it.device}" not in report["why"]:
        raise Failed(f"{it.rule}: the report says {report['outcome']}: {report['why']}")
    machine.figures.setdefault("why", []).append(report["why"])


@guarded
def changed(machine, begin, iommu):
    """
    What was well when it was loaded, and when all VMs had preserved, is not any more when the
    agent jumps: the kernel refuses a device. And before that, a VM refuses. Each time all is undone, and
    the device and the rule, or the VM and its reason, are named. A kernel that was in place stays there,
    and the next update begins from it and goes over.
    """
    run = start(begin, iommu, append="rig.held=1", rate=FRAMES_PER_S, ready_s=240, quiet_s=150, limit_s=LIMIT_S, extra=shared(machine))
    changes = CHANGES[iommu](Memory(machine), dmalog.source_id(run.ready["nic"]))
    serving(run, "start")
    run.rest(STEADY_S)
    first = next(changes)
    refused_late(run, Entry(run, first))
    refused_late(run, Sleep(run))
    # The same once more is told from what came before.
    refused_late(run, Entry(run, first))

    tell(run, VM, "refuse")
    status, data = continuo(machine, f"{UPDATE} update")
    tell(run, VM, "agree")
    as_before(run, "a VM that refuses")
    serving(run, "a VM that refuses")
    _, report = continuo(machine, REPORT)
    why = f"VM u1000.{VM} could not preserve: it has no disk"
    if (status, data["outcome"], report["outcome"], report.get("why")) != (4, "undone", "undone", why):
        raise Failed(f"with a VM that refuses the update ends with {status}, {data['outcome']}; the report says {report['outcome']}: {report.get('why')}")

    status, data = continuo(machine, "--kernel /next/bzImage --initrd /next/initramfs --append @/next/cmdline load")
    if status:
        raise Failed(f"load ends with {status}: {data}")
    placed = next(row["found"] for row in continuo(machine, "check")[1]["host"] if row["check"] == "kexec")
    if not placed.startswith("/next/bzImage is in place since "):
        raise Failed(f"after load {placed}")
    refused_late(run, Entry(run, next(changes)), f"{AGENT} {PATIENT}", placed=placed)
    run.rest(1)
    since, begun = len(machine.events), wall_us()
    machine.send(f"held update - /usr/bin/continuo --json {AGENT} {PATIENT} update")
    machine.figures["tries"] = 5
    machine.figures["outcome"] = "undone as a whole, the device and the rule are named, or the VM; the next update, from the kernel that stays in place, goes well"
    end(run, since, begun)


CASES = [
    Case("update-changed", "a device changes when all VMs are suspended: the update is undone, and the next one goes over",
         bind(changed, iommu="vtd-scalable"), fault="the kernel refuses the jump of an update since a device has changed, or a VM refuses"),
    Case("update-abort", "a second operator aborts the update at each of its steps",
         bind(aborted, iommu="vtd-scalable"), fault="a second operator aborts the update at each of its steps"),
    Case("update-restart", "the agent is killed, or upgraded and ended, at each step of an update",
         bind(restarted, iommu="vtd-legacy"), fault="the agent is killed, or upgraded and ended, at each step of an update"),
]
