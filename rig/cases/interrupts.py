# SPDX-License-Identifier: GPL-2.0-only
"""
Interrupts across an update: the guest looks at its receive ring only when the
eventfd of an MSI-X vector says so.

They have been seen to fail: interrupt-lost is the same with the signal at the
wiring left out (liveupdate.break=interrupt); "interrupts" fails if
rig/guest/update/resume.c does not call igb_irq_wire() before the replace.
"""

import time

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, STEADY_S, bind, clean, guarded, noticed

NOTICED_S = 20                  # in which a frame that has landed must be noticed
MISSED_S = 5                    # after which it counts as not noticed


@guarded
def all_through(machine, begin, iommu):
    """Frames and their interrupts before, during and after the update."""
    run = begin(iommu=iommu, append="rig.irq=1")
    run.rest(STEADY_S)
    run.update(2)
    run.rest(AFTER_S)
    run.replace(100)
    run.rest(0.5)
    run.stop()
    clean(run)
    counts = [e["interrupts"] for e in machine.events if e["ev"] == "nic"]
    machine.figures["interrupts"] = counts
    if not counts or counts[-1] < 100:
        raise Failed(f"only {counts} interrupts were counted: something else made the guest look")


@guarded
def last(machine, begin, iommu, lost=False, late=False):
    """
    The last frames come after the freeze and before there is an eventfd. No
    other interrupt follows, so theirs must be made up for. late: the eventfd comes
    after the end of the update, and after somebody else has opened the cdev.
    """
    run = begin(iommu=iommu, sound=False,
                append="rig.irq=1" + " rig.wire=late" * late + " liveupdate.break=interrupt" * lost)
    run.rest(STEADY_S)
    since = len(machine.events)
    machine.send("update idle=1")
    jump = machine.wait("jump", since=since)
    machine.wait("idle", since=since, timeout_s=60)
    run.senders["nic"].stop()
    time.sleep(0.5)
    sent = run.senders["nic"].sent - run.senders["nic"].dropped
    machine.figures["frames_after_the_freeze"] = sent - jump["next"]
    if sent <= jump["next"]:
        raise Failed("no frame was sent after the freeze")
    machine.send("resume")
    machine.wait("resumed", since=since, timeout_s=60)
    if late:
        machine.send("wire")
        machine.wait("wired", since=since)
    seen = noticed(machine, sent, MISSED_S if lost else NOTICED_S)
    machine.send("off")
    machine.finish()
    run.clock.stop()
    if lost:
        if seen:
            raise Failed("the frames were noticed although nothing was signalled at the wiring")
        machine.figures["outcome"] = "the frames have landed, and nobody notices"
        return
    if not seen:
        raise Failed("frames that landed after the freeze were not noticed: their interrupt was lost")
    machine.figures["interrupts_after"] = seen["interrupts"]
    machine.figures["outcome"] = "the eventfd is signalled when it is connected; all frames are found"
    machine.figures["lost"] = "nothing"


def _answered(machine):
    """How many interrupts of the audio device were answered in this kernel."""
    since = len(machine.events)
    machine.send("report")
    return machine.wait("audio", since=since)["interrupts"]


def _alive(machine, when):
    """Some 12 interrupts are raised in a second."""
    before = _answered(machine)
    time.sleep(1.5 * machine.slow)
    after = _answered(machine)
    if after <= before:
        raise Failed(f"{when}: INTx is dead, {after} interrupts were answered and no more come")


@guarded
def intx(machine, begin, iommu, held=("", "pending", "masked")):
    """
    INTx of the audio device, which is level-triggered: what is pending at the jump
    must be signalled when it is connected again, or no other one follows. Each new
    process reads the command register and writes it back.
    """
    run = begin(iommu=iommu, nic=False, append=f"rig.intx=1 rig.updates={len(held)}")
    run.rest(STEADY_S)
    _alive(machine, "before the update")
    for stage, how in enumerate(held, 2):
        if how:
            since = len(machine.events)
            machine.send(f"hold {how}")
            if not machine.wait("held", since=since)["pending"]:
                raise Failed(f"no interrupt was pending before update {stage - 1}")
        run.update(stage)
        _alive(machine, f"after update {stage - 1}" + f", which it was {how} in" * bool(how))
    run.rest(AFTER_S)
    run.stop()
    clean(run)
    machine.figures["tries"] = len(held)
    machine.figures["outcome"] = "INTx goes on after each"


CASES = [
    Case("interrupts", "MSI-X from the NIC all through an update", bind(all_through, iommu="vtd-scalable")),
    Case("interrupts-legacy", "the same with the IOMMU in legacy mode", bind(all_through, iommu="vtd-legacy")),
    Case("amd-interrupts", "the same with AMD-Vi", bind(all_through, iommu="amd")),
    Case("amd-interrupt-last", "the last interrupt falls into the jump, AMD-Vi", bind(last, iommu="amd"),
         fault="an interrupt is raised while there is no eventfd, and none follows"),
    Case("amd-interrupts-intx", "INTx all through three updates, AMD-Vi", bind(intx, iommu="amd"),
         fault="INTx is pending, or masked and pending, at the jump"),
    Case("interrupt-last", "the last interrupt falls into the jump", bind(last, iommu="vtd-scalable"),
         fault="an interrupt is raised while there is no eventfd, and none follows"),
    Case("interrupt-late", "the last interrupt falls into the jump, the eventfd comes after the end of the update",
         bind(last, iommu="vtd-scalable", late=True),
         fault="somebody opens the cdev before its user has connected an eventfd"),
    Case("interrupts-intx", "INTx from the audio device all through three updates: idle, pending, masked",
         bind(intx, iommu="vtd-scalable"), fault="INTx is pending, or masked and pending, at the jump"),
    Case("interrupt-lost", "negative: nothing is signalled when an eventfd is connected",
         bind(last, iommu="vtd-scalable", lost=True), kernel="lab"),
]
