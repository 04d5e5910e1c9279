# SPDX-License-Identifier: GPL-2.0-only
"""
The way back: the next kernel fails, and the machine goes on with the one that was left
for this. DMA does not stop on either way: not one frame is lost, and no sample.

The twins break what makes it so: what was handed over is held, and nobody else does DMA.
"""

import errno
import threading
import time

from rig.cases import operator
from rig.cases.command import both_ways, continuo, printed
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, FRAMES_PER_S_SLOW, STEADY_S, bind, clean, guarded, must_see, until
from rig.referee import dmalog

PANIC = r"Kernel panic - not syncing: "

# Pages that reach the allocator are written to at once, not only once somebody needs them:
# what a kernel gave back that it had to hold is gone in every run.
FREED_IS_GONE = "init_on_free=1"

# The receive ring has to last for two boots: with so many frames a second for two minutes.
RATE = FRAMES_PER_S_SLOW

# How the next kernel fails: what the guest is told, and what the panic says.
# It uses the IOMMU in another mode than it was left in, which it cannot without stopping the devices.
REFUSES = "next=intel_iommu=sm_off", "what was handed over cannot be taken over: this kernel uses another mode"
OFF = "next=liveupdate=off", "what was handed over cannot be taken over: Live Update is switched off"
SILENT = "fail=begin:silent next=liveupdate.confirm_within=3", "the live update was not confirmed within 3 s"


def ends(step, more=""):
    """Process 1 of the next kernel ends after a step of the update."""
    return f"fail={step}:exit {more}".strip(), "Attempted to kill init!"


def panics(place, how=""):
    """The next kernel, which is of the laboratory, panics by itself."""
    return f"next=liveupdate.panic_at={place}{how and ':' + how}", f'told to at the place "{place}"'


def came_back(machine, reason):
    """The last kernel says that it has come back, and why."""
    back = [event for event in machine.events if event["ev"] == "back"][-1]
    machine.figures["came_back_for"] = back["reason"]
    # What stands in quotes there is cut off by the guest.
    if back["state"] != "came-back" or reason.split('"')[0] not in back["reason"]:
        raise Failed(f"the last kernel says '{back['state']}', for '{back['reason']}'; expected '{reason}'")


def first_word_us(run, kernel):
    """When the kernel of that number, from 1 on, said its first word, wall clock; None if it never did."""
    offset = time.time_ns() - time.monotonic_ns()
    at = [t for t, line in run.clock.lines if "Linux version" in line]
    return (at[kernel - 1] + offset) // 1000 if len(at) >= kernel else None


@guarded
def back(machine, begin, iommu, how, append="", **more):
    """The next kernel fails; how: what it is told, and what the panic says."""
    machine.expected.append(PANIC)
    run = begin(iommu=iommu, append=f"rig.back=1 {append}".strip(), rate=RATE, **more)
    run.rest(STEADY_S)
    run.update(2, how[0])
    run.rest(AFTER_S)
    came_back(machine, how[1])
    run.stop()
    clean(run)


# Of igb.c: where the device asks for interrupts, by an entry that nobody has set up.
ASKED = "-trace", "enable=vtd_ir_remap_msi_req", "-trace", "enable=vtd_ir_remap_msi"
TARGET = "addr 0xfeeff030"
REFUSED = "vtd_irte_get: detected non-present IRTE (index=32641,"


@guarded
def messages(machine, begin, iommu):
    """A device asks for an interrupt with each frame: none goes through, in none of the three kernels or between them."""
    machine.expected.append(PANIC)
    run = begin(iommu=iommu, append="rig.back=1", rate=RATE, messages=True, extra=ASKED)
    run.rest(STEADY_S)
    run.update(2, ends("verified")[0])
    run.rest(AFTER_S)
    came_back(machine, ends("verified")[1])
    run.stop()
    with open(machine.path("trace.log"), encoding="utf-8", errors="replace") as f:
        lines = [line for line in f if TARGET in line]
    tried = sum("vtd_ir_remap_msi_req" in line for line in lines)
    machine.figures.update(requests=tried, requests_through=len(lines) - tried)
    # What QEMU says of a refused one is as it has to be.
    found = [text for text in run.judge() if REFUSED not in text]
    must_see("requests", tried > 1000)
    if len(lines) > tried:
        found.append(f"{len(lines) - tried} interrupt requests went through")
    if found:
        raise Failed("; ".join(found))


@guarded
def hangs(machine, begin, iommu):
    """A CPU of the next kernel spins with interrupts off; a watchdog sees it, here the referee, and raises an NMI."""
    machine.expected.append(PANIC)
    run = begin(iommu=iommu, append="rig.back=1 unknown_nmi_panic", rate=RATE)
    run.rest(STEADY_S)

    def watchdog():
        until(run, lambda: any("this CPU does nothing any more" in line for _, line in run.clock.lines))
        machine.qmp("inject-nmi")

    thread = threading.Thread(target=watchdog)
    thread.start()
    run.update(2, "next=liveupdate.panic_at=late:spin")
    thread.join()
    run.rest(AFTER_S)
    came_back(machine, "NMI: Not continuing")
    run.stop()
    clean(run)


@guarded
def stray(machine, begin, iommu):
    """A device that was not handed over does DMA in the kernel that fails, and not after it."""
    machine.expected.append(PANIC)
    run = begin(iommu=iommu, append="rig.back=1", bystander=True, rate=RATE)
    run.rest(STEADY_S)
    run.update(2, "stray=1 fail=begin:exit")
    run.rest(AFTER_S)
    came_back(machine, "Attempted to kill init!")
    second, third = first_word_us(run, 2), first_word_us(run, 3)
    run.stop()
    sid = dmalog.source_id(run.bystander["nic"])
    before, after = run.log.times(sid, second, third), run.log.times(sid, third)
    machine.figures.update(bystander_dmas_in_second=len(before), bystander_dmas_after=len(after))
    must_see("the bystander do DMA in the kernel that fails", before)
    found = run.judge()
    run.draw()
    if after:
        found.append(f"{len(after)} DMAs of a device that is not preserved, after the way back")
    if found:
        raise Failed("; ".join(found))


@guarded
def stray_free(machine, begin, iommu):
    """Neither bus mastering nor the IOMMU stops it: it does DMA while the third kernel boots."""
    machine.expected.append("")         # What becomes of that kernel is not the point.
    run = begin(iommu=iommu, append="rig.back=1 liveupdate.break=back", bystander=True)
    run.rest(STEADY_S)
    machine.send("update stray=1 fail=begin:exit")
    machine.wait("jump")
    adopted = "adopted, translation stayed on"
    until(run, lambda: sum(adopted in line for _, line in run.clock.lines) > 1, timeout_s=100)
    third = first_word_us(run, 3)
    machine.kill()
    run.log = machine.dma_log()
    must_see("the third kernel", third)
    after = run.log.times(dmalog.source_id(run.bystander["nic"]), third)
    machine.figures.update(tries=1, bystander_dmas_after=len(after),
                           outcome=f"{len(after)} DMAs landed in the third kernel, as they have to in this twin")
    must_see("DMA of the bystander in the third kernel", after)


@guarded
def lost(machine, begin, iommu, how, says="", append=""):
    """There is no way back, or a broken one, says the console: the devices do not come to their users again."""
    machine.expected.append("")
    run = begin(iommu=iommu, append=f"rig.back=1 {append}".strip())
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send(f"update {how[0]}")
    machine.wait("jump", since=since)
    # Two boots may have to pass until it is lost.
    until(run, lambda: any(e["ev"] in ("resumed", "error") for e in machine.events[since:]), timeout_s=100)
    resumed = any(e["ev"] == "resumed" for e in machine.events[since:])
    machine.kill()
    machine.figures.update(tries=1, outcome="the VMs are lost")
    must_see("the panic", "Kernel panic" in machine.console())
    must_see(f"why: {says}", says in machine.console())
    must_see("the devices be lost", not resumed)


@guarded
def damaged(machine, begin, iommu, checked=True):
    """A page of the image is written to in the kernel that fails: a panic as without a way back, unless nobody looks."""
    machine.expected.append("")
    run = begin(iommu=iommu, append=f"rig.back=1 liveupdate.break=parked{'' if checked else ',digest'}")
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send(f"update {ends('begin')[0]}")
    machine.wait("jump", since=since)
    # The panic resets the machine, which ends it; what becomes of one that jumps into a damaged image is not the point.
    until(run, lambda: any(e["ev"] in ("resumed", "error") for e in machine.events[since:])
          or not checked and "going back to the kernel" in machine.console(), timeout_s=100)
    resumed = any(e["ev"] in ("resumed", "error") for e in machine.events[since:])
    machine.kill()
    said = machine.console()
    goes, why = "going back to the kernel" in said, "no way back: the image has changed since it was loaded" in said
    machine.figures.update(tries=1, outcome="a panic as without a way back, that says why" if checked else
                           "found: the machine jumps into an image that is damaged")
    must_see("the panic", "Kernel panic" in said)
    if (goes, why) != (not checked, checked) or resumed:
        raise Failed(f"it goes back: {goes}; it says that the image has changed: {why}; the VMs came: {resumed}")


@guarded
def thrice(machine, begin, iommu):
    """There and back, again and again: each time the kernel that came back begins the next update."""
    machine.expected.append(PANIC)
    run = begin(iommu=iommu, append="rig.back=1 rig.updates=4", rate=RATE)
    run.rest(STEADY_S)
    for stage in (2, 3, 4):
        how = ends("begin")
        run.update(stage, how[0])
        run.rest(AFTER_S)
        came_back(machine, how[1])
    run.stop()
    clean(run)


@guarded
def fails_too(machine, begin, iommu):
    """The kernel that came back panics, too: that is the end, and nobody goes anywhere."""
    machine.expected.append("")
    run = begin(iommu=iommu, append="rig.back=1", rate=RATE)
    run.rest(STEADY_S)
    machine.send("update fail=begin:exit again=1")
    machine.wait("jump")
    until(run, lambda: False, timeout_s=100)    # The panic resets the machine, which ends it.
    machine.kill()
    said = machine.console()
    machine.figures.update(tries=1, outcome="a panic as without a way back: the machine is reset")
    must_see("two panics", said.count("Kernel panic") == 2)
    must_see("one way back", said.count("going back to the kernel") == 1)


@guarded
def confirmed(machine, begin, iommu):
    """The next kernel is well: what was held is let go, and all is as without a way back."""
    run = begin(iommu=iommu, append="rig.back=1")
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    said = [event["state"] for event in machine.events if event["ev"] == "back"]
    if said != ["none", "armed"]:
        raise Failed(f"the kernels say {said}")
    run.stop()
    clean(run)


# With the command and the agent. The image to go back to is that of the next kernel, which is this one's, too.
BACK_TO = "--back /next/bzImage --back-initrd /next/initramfs --back-append @/next/cmdline"
ALL = dict.fromkeys([*operator.TENANTS, operator.EXAMPLE], "taken over")


def host_row(machine, check):
    _, data = continuo(machine, f"{operator.AGENT} check")
    return next(row for row in data["host"] if row["check"] == check)


def expect(what, found, expected):
    if found != expected:
        raise Failed(f"{what}: {found}, expected {expected}")


@guarded
def by_agent(machine, begin, iommu):
    """
    The VMs of two users and of the example are carried over by an update with a way back: the agent confirms it once
    all of them are ready, and they move after that.
    Seen to fail: with confirm_ready() told of nobody.
    """
    run = operator.start(begin, iommu, rate=RATE)
    expect("check before", host_row(machine, "way back")["ok"], "yes")
    status, plan = both_ways(machine, f"{operator.UPDATE} {BACK_TO} --confirm-within 100 --dry-run update")
    if status or "back" not in [step["step"] for step in plan["step"]]:
        raise Failed(f"a dry run ends with {status}, and says {plan}")
    run.rest(STEADY_S)
    report = operator.jump(run, f"--confirm-within 100 {BACK_TO}", ALL)
    expect("the report", (report["back"], report.get("back_why")), ("confirmed", None))
    with_times = [e for e in machine.events if e["ev"] == "tenant_back"]
    expect("how often the tenants came", len(with_times), 2)
    expect("confirm when it is confirmed", printed(machine, f"{operator.AGENT} confirm")[0], 1)
    expect("check after", host_row(machine, "confirmed")["ok"], "yes")
    run.rest(AFTER_S)
    operator.states(run, operator.IDLE)
    run.stop()
    clean(run)


@guarded
def not_by_agent(machine, begin, iommu):
    """
    Two of three VMs are ready, and nobody comes for the third: nobody confirms, the machine goes back, and there all
    three are taken over. The update is undone, and why is to be read.
    """
    machine.expected.append(PANIC)
    run = operator.start(begin, iommu, append="rig.absent_armed=1", rate=RATE)
    run.rest(STEADY_S)
    report = operator.jump(run, f"--confirm-within 15 {BACK_TO}", ALL, outcome="undone")
    why = "the live update was not confirmed within 15 s"
    if report["back"] != "came-back" or why not in report["back_why"] or why not in report["why"] or report["ended"] != "undone":
        raise Failed(f"the report says {report}")
    expect("boots", sum(e["ev"] == "boot" for e in machine.events), 3)
    status, log = printed(machine, "--failed-log report")
    if status or why.encode() not in log or b"the way back is armed" not in log:
        raise Failed(f"the log of the kernel that failed: {status}, {log[-500:]}")
    waited = "1 VM is not ready yet, vm-edu among them"
    if waited not in machine.console() and waited.encode() not in log:
        raise Failed("the agent does not say whom it waits for")
    run.rest(AFTER_S)
    operator.states(run, operator.IDLE)
    run.stop()
    clean(run)


@guarded
def by_hand(machine, begin, iommu):
    """All VMs are ready, and the gate says that the host is not well: the operator confirms."""
    run = operator.start(begin, iommu, append="rig.health=/usr/bin/continuo", rate=RATE)
    run.rest(STEADY_S)
    since, begun = len(machine.events), time.time_ns() // 1000
    machine.send(f"run /usr/bin/continuo --json {operator.UPDATE} {BACK_TO} --confirm-within 200 update")
    machine.wait("boot", stage=2, since=since, timeout_s=60)
    said = "the host is not well: /usr/bin/continuo ended with 2"
    until(run, lambda: said in machine.console())
    expect("check before it is confirmed", host_row(machine, "confirmed")["ok"], "no")
    _, report = continuo(machine, operator.REPORT)
    if report["back"] != "armed" or said not in report["back_why"] or report["outcome"] != "arrived":
        raise Failed(f"the report before it is confirmed: {report}")
    for arguments in ("update", "load"):
        expect(f"{arguments} before the last one is confirmed",
               printed(machine, f"{operator.AGENT} -k /bin/init --reuse-cmdline {arguments}")[0], 1)
    if any(e["ev"] == "tenant_back" for e in machine.events):
        raise Failed("a VM was taken over before it was confirmed")
    expect("confirm", printed(machine, f"{operator.AGENT} confirm")[0], 0)
    report = operator.arrived(run, since, begun, ALL)
    expect("the report", report["back"], "confirmed")
    run.rest(AFTER_S)
    run.stop()
    clean(run)


@guarded
def refused(machine, begin, iommu, says, append=""):
    """There is no way back behind that IOMMU, or of that memory: reboot(2) says so, and without one the update works."""
    run = begin(iommu=iommu, append=append)
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send("skew back")
    machine.wait("skew_over", since=since, timeout_s=60)
    answer = machine.wait("skew", since=since)
    run.rest(1)
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    machine.figures.update(tries=1, outcome="reboot(2): EOPNOTSUPP, the log names it; DMA goes on, and the update without a way back works")
    if answer["errno"] != errno.EOPNOTSUPP or says not in machine.console():
        raise Failed(f"reboot(2) with a back image: {answer['text']}, expected EOPNOTSUPP, and '{says}'")
    clean(run)


SCALABLE = "vtd-scalable"
NO_IOMMU_WAY = "there is no way back behind this kind of IOMMU, or without one"

CASES = [
    Case("way-back", "process 1 of the next kernel ends: back, with nothing lost",
         bind(back, iommu=SCALABLE, how=ends("begin"))),
    Case("way-back-legacy", "the same with the IOMMU in legacy mode",
         bind(back, iommu="vtd-legacy", how=ends("begin"))),
    Case("way-back-other-cpu", "the same on the second CPU",
         bind(back, iommu=SCALABLE, how=ends("begin", "cpu=1"))),
    Case("way-back-silent", "nobody confirms the next kernel in time: back, with nothing lost",
         bind(back, iommu=SCALABLE, how=SILENT)),
    Case("way-back-refused", "the next kernel would refuse the devices: back, with nothing lost",
         bind(back, iommu=SCALABLE, how=REFUSES)),
    Case("way-back-refused-all", "the next kernel has live update switched off: back, with nothing lost",
         bind(back, iommu=SCALABLE, how=OFF)),
    Case("way-back-confirmed", "a way back that nobody needs is given up",
         bind(confirmed, iommu=SCALABLE)),
    Case("way-back-stray", "a device that was not handed over, and runs when the next kernel fails, is stopped",
         bind(stray, iommu=SCALABLE)),
    Case("way-back-stray-free", "negative: it is not stopped",
         bind(stray_free, iommu=SCALABLE), kernel="lab"),
    *(Case(f"way-back-{step}", f"process 1 of the next kernel ends after the step '{step}': back, with nothing lost",
           bind(back, iommu=SCALABLE, how=ends(step), append=FREED_IS_GONE))
      for step in ("memfd", "bind-nic", "restore", "verified")),
    Case("way-back-hugetlb", "the same with memory of huge pages",
         bind(back, iommu=SCALABLE, how=ends("verified"), append="hugepages=64 rig.hugetlb=21")),
    Case("way-back-vf", "the same with a virtual function, whose PF pci-pf-stub has",
         bind(back, iommu=SCALABLE, how=ends("verified"), append="rig.vf=1", sound=False)),
    Case("way-back-messages", "a device asks for interrupts all the while: nothing is lost, and none goes astray",
         bind(messages, iommu=SCALABLE)),
    *(Case(f"way-back-at-{place}", f"the next kernel panics at the place '{place}': back, with nothing lost",
           bind(back, iommu=SCALABLE, how=panics(place)), kernel="lab")
      for place in ("armed", "scan", "entry", "adopted", "domain", "late")),
    Case("way-back-locked", "the next kernel panics with the locks held that the way back needs",
         bind(back, iommu=SCALABLE, how=panics("late", "locked")), kernel="lab"),
    Case("way-back-hangs", "a CPU of the next kernel spins with interrupts off, and a watchdog raises an NMI",
         bind(hangs, iommu=SCALABLE), kernel="lab"),
    Case("way-back-thrice", "there and back three times, with nothing lost",
         bind(thrice, iommu=SCALABLE)),
    Case("way-back-fails", "the kernel that came back panics, too",
         bind(fails_too, iommu=SCALABLE)),
    Case("way-back-update", "continuo update and the agent: confirmed once all VMs are ready",
         bind(by_agent, iommu=SCALABLE)),
    Case("way-back-update-silent", "the same, one VM is never ready: back, and all are taken over there",
         bind(not_by_agent, iommu=SCALABLE)),
    Case("way-back-update-gate", "the same, the host is not well: the operator confirms",
         bind(by_hand, iommu=SCALABLE)),
    Case("way-back-noiommu", "no IOMMU and a back image: refused by name",
         bind(refused, iommu="none", says=NO_IOMMU_WAY), fault="a back image is loaded, and devices have no IOMMU"),
    Case("way-back-guestmem", "a VM's memory in guestmemfs and a back image: refused by name",
         bind(refused, iommu=SCALABLE, says="what guestmemfs hands over is not kept for a way back",
                                 append="guestmem=512M rig.guestmem=1"), fault="a back image is loaded, and memory is in guestmemfs"),
    Case("way-back-unarmed", "negative: the next kernel panics before the way back is armed",
         bind(lost, iommu=SCALABLE, how=panics("early")), kernel="lab"),
    Case("way-back-not-held", "negative: what was handed over reaches the allocator",
         bind(lost, iommu=SCALABLE, how=ends("verified"), append=f"liveupdate.break=held {FREED_IS_GONE}",
                              says="LUO state is incompatible"), kernel="lab"),
    Case("way-back-damaged", "a page of the image to go back to was written to: it is not used",
         bind(damaged, iommu=SCALABLE), kernel="lab", fault="a page of the image to go back to is written to"),
    Case("way-back-damaged-unchecked", "negative: it is used",
         bind(damaged, iommu=SCALABLE, checked=False), kernel="lab",
         fault="law broken: a page of the image to go back to is written to, and nobody looks"),
]
