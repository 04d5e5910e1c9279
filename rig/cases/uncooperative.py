# SPDX-License-Identifier: GPL-2.0-only
"""
User space that does not co-operate in a live update: it does not come back, dies
halfway, asks for the wrong thing, or has the devices taken away.

What has to happen is in docs/states.md; these cases read it there. Unless the
table says that the DMA ends, not one frame may be lost, and no sample.
"""

import errno
import re
import time

from rig.lib import states
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, FRAMES_PER_S_SLOW, PCI_ON, STEADY_S, bind, clean, errno_name, guarded, must_see, wall_us
from rig.referee import phases

# After all of these but the last the session cannot be finished yet.
STEPS = ("session", "memfd", "iommufd", "cdev-nic", "bind-nic", "cdev-audio", "bind-audio",
         "restore", "ioas", "hwpt", "replace-nic")
# From here on closing the session finishes it.
LATE_STEPS = ("replace", "destroy", "finish")

TABLES_SPARE = 8        # IOMMU pages that a domain more or less does not explain
# The receive ring lasts for 24 s, with 200 frames a second for 240: other work with all of
# the memory takes 20 when another machine runs beside this one, 100 on the debug kernel.
LATE_S = 10


def idle_update(run, stage, options=""):
    """Jump into a kernel in which nobody resumes for the time being."""
    machine = run.machine
    run.idle_since, run.idle_begin = len(machine.events), wall_us()
    machine.send(f"update idle=1 {options}".strip())
    run.jump = machine.wait("jump", since=run.idle_since)
    machine.wait("boot", stage=stage, since=run.idle_since, timeout_s=60)
    machine.wait("idle", since=run.idle_since)


def ask(run, command, event, timeout_s=30, **match):
    since = len(run.machine.events)
    run.machine.send(f"uncoop {command}")
    return run.machine.wait(event, since=since, timeout_s=timeout_s, **match)


# Of a machine in which other work needs all the memory: writing to it takes a minute on a busy host, without a word.
WORKING = {"quiet_s": 150, "limit_s": 400}


def work(run):
    return ask(run, "work", "worked", timeout_s=150)


def resume(run, how="resume"):
    """The update ends: what happened since idle_update() is judged as one update."""
    end = ask(run, how, "resumed", timeout_s=60)
    run.updates.append((run.idle_begin, end["host_real_ns"] // 1000))
    run.spans.append(phases.spans(run.machine.events, run.clock.lines, run.idle_since, end["host_ns"]))


def check_cells(machine, letter):
    """Each answer that the guest got is the one in the table, and each that the table
    says this case tests was asked for."""
    asked, found = {}, []
    for e in machine.events:
        if e["ev"] == "cell":
            asked.setdefault((e["event"], e["state"]), []).append(e["errno"])
    table = states.cells()
    for (event, state), cell in table.items():
        if letter not in cell.letters or cell.seen_otherwise:
            continue
        numbers = asked.pop((event, state), None)
        if not numbers:
            found.append(f"'{event}' in state '{state}' was not tried")
            continue
        for number in numbers:
            said = errno_name(number) or "ok"
            if said != cell.answer:
                found.append(f"'{event}' in state '{state}': {said}, the table says {cell.answer}")
    found += [f"'{event}' in state '{state}' is not in the table" for event, state in asked
              if (event, state) not in table]
    machine.figures["tries"] = sum(e["ev"] == "cell" for e in machine.events)
    return found


def fail_if(found):
    if found:
        raise Failed("; ".join(found))


def dma_after(run, name, begin):
    return run.log.times(run.preserved[name], begin)


def must_go_on(run, begin, end, found):
    """DMA of each device all through a window, at the pace of the steady state."""
    for name, sid in run.preserved.items():
        within = run.ready[name + "_writes"]
        gap = run.log.longest_gap_us(sid, begin, end, within)
        run.machine.figures[f"{name}_dma_gap_alone_us"] = gap
        if gap > (end - begin) / 2:
            found.append(f"{name}: {gap} us without a DMA write with nobody there, of {end - begin}")


@guarded
def every_answer(machine, begin, iommu):
    """All that can be asked of a device, in each state.

    Seen to fail: without iommufd_liveupdate_in_use() 'destroy' is granted in state
    iommufd, and then nobody can bind the device.
    """
    run = begin(iommu=iommu)
    run.rest(STEADY_S)
    idle_update(run, 2)
    ask(run, "incoming", "uncoop")
    resume(run, "states")
    run.rest(AFTER_S)
    run.stop()
    found = run.judge() + check_cells(run.machine, "a")
    run.draw()
    machine.figures["outcome"] = "refused, or granted with no effect; DMA goes on"
    fail_if(found)


@guarded
def killed(machine, begin, iommu, append=""):
    """SIGKILL after each step: the next process starts over, the last one finishes.

    Seen to fail: without the line in luo_session_release() nobody gets the session
    after the first one; without vfio_liveupdate_rebind() nobody gets on after 'bind-nic'.
    """
    run = begin(iommu=iommu, rate=FRAMES_PER_S_SLOW, append=f"rig.updates=2 {append}".strip())
    before = ask(run, "memory", "memory")
    run.rest(STEADY_S)
    idle_update(run, 2)
    for step in STEPS:
        ask(run, f"kill {step}", "killed", step=step)
    resume(run)
    run.rest(AFTER_S)
    after = ask(run, "memory", "memory")
    # What it took over can be handed on.
    run.update(3, "idle=0")
    run.rest(AFTER_S)
    run.stop()
    found = run.judge()
    run.draw()
    machine.figures["tries"] = len(STEPS)
    machine.figures["swept_objects"] = sum(e["n"] for e in machine.events if e["ev"] == "swept")
    machine.figures["iommu_pages"] = [before["iommu_pages"], after["iommu_pages"]]
    machine.figures["outcome"] = "DMA goes on, the next process resumes"
    if after["iommu_pages"] > before["iommu_pages"] + TABLES_SPARE:
        found.append(f"{after['iommu_pages']} IOMMU pages after all, {before['iommu_pages']} before")
    if "adopt" in append:
        must_see("what a dead process had adopted",
                 any(e["ev"] == "adopted" and e["what"] == "found" for e in machine.events))
    else:
        must_see("anything left behind by the dead", machine.figures["swept_objects"])
    fail_if(found)


@guarded
def let_go(machine, begin, iommu, append=""):
    """SIGKILL once the devices have left their restored HWPT: closing the session
    finishes it, and the device goes the way of every dead process's device.

    Seen to fail: with 'hwpt' among the LATE_STEPS, after which the session holds all, the
    device is still a bus master and the memory is not back.
    """
    run = begin(iommu=iommu, sound=False, append=f"rig.flush=1 rig.updates=4 {append}".strip())
    base = ask(run, "memory", "memory")
    run.rest(STEADY_S)
    found, sender, senders = [], run.senders["nic"], run.senders
    for stage, step in enumerate(LATE_STEPS, 2):
        idle_update(run, stage)
        if stage == 2:
            # All that was sent is in the memory of a process that says so and dies.
            sender.stop()
            run.senders = {}
            time.sleep(0.5)
        held = ask(run, "memory", "memory")
        end = ask(run, f"kill {step}", "killed", step=step)
        if stage == 2:
            run.updates.append((run.idle_begin, end["host_real_ns"] // 1000))
        seen = ask(run, "look nic", "look")
        if not seen["there"] or seen["command"] & 0x4:
            found.append(f"after '{step}' the device is still a bus master ({seen})")
        free = ask(run, "memory", "memory")
        if held["shmem_kb"] - free["shmem_kb"] < 32 << 10 and free["shmem_kb"] > 32 << 10:
            found.append(f"after '{step}' the memory is not back: {held}, {free}")
        if free["free_kb"] < held["free_kb"] + (32 << 10):
            found.append(f"after '{step}' no more memory is free than before: {held}, {free}")
        if free["iommu_pages"] >= base["iommu_pages"]:
            found.append(f"after '{step}' there are {free['iommu_pages']} IOMMU pages, {base['iommu_pages']} with the device in use")
        machine.figures[f"memory_after_{step}"] = {k: free[k] for k in ("free_kb", "shmem_kb", "iommu_pages")}
        if step != LATE_STEPS[-1]:
            ask(run, "start", "ready", timeout_s=60)
    run.stop()
    run.senders = senders
    found += run.judge()
    machine.figures["tries"] = len(LATE_STEPS)
    machine.figures["outcome"] = "session finished; device stopped and reset, memory back"
    fail_if(found)


@guarded
def late(machine, begin, iommu, append=""):
    """Processes that retrieve in odd orders, other work that needs all the memory, and an
    agent that comes back much later, and closes the session where it should finish it.

    Seen to fail: without the line in luo_session_release(), since the session is gone
    after the first of them.
    """
    run = begin(iommu=iommu, rate=FRAMES_PER_S_SLOW // 2, append=append, **WORKING)
    run.rest(STEADY_S)
    idle_update(run, 2)
    alone = wall_us()
    ask(run, "order", "uncoop", what="order")
    worked = work(run)
    run.rest(max(0, LATE_S - (wall_us() - alone) / 1e6))
    back = wall_us()
    resume(run, "resume by-closing")
    run.rest(AFTER_S)
    run.stop()
    found = run.judge() + check_cells(run.machine, "c")
    run.draw()
    must_go_on(run, alone, back, found)
    machine.figures["alone_s"] = round((back - alone) / 1e6, 1)
    machine.figures["outcome"] = "DMA goes on, resumed"
    if worked["bad"]:
        found.append(f"{worked['bad']} words of another process's memory were written to")
    fail_if(found)


@guarded
def never(machine, begin, iommu):
    """Nobody comes back, and at last the machine is rebooted with nothing preserved:
    the devices are stopped before their translation goes.

    Seen to fail: without the stop in pci_liveupdate_shutdown() the kernel after that
    finds both devices running.
    """
    run = begin(iommu=iommu, append="rig.updates=2")
    run.rest(STEADY_S)
    idle_update(run, 2)
    alone = wall_us()
    run.rest(5)
    gone = wall_us()
    since = len(machine.events)
    machine.send("uncoop leave")
    machine.wait("jump", since=since)
    boot = machine.wait("boot", stage=3, since=since, timeout_s=60)
    machine.wait("idle", since=since)
    looks = [ask(run, f"look {name}", "look") for name in ("nic", "audio")]
    run.nic = run.sound = False         # what they receive and play ends here
    run.stop()
    found = run.judge()
    # Translation was on when the devices were stopped, and goes off then, as in 7.3.
    found = [text for text in found if not text.startswith("translation was switched off")]
    must_go_on(run, alone, gone, found)
    for name in run.preserved:
        after = dma_after(run, name, boot["host_real_ns"] // 1000)
        if after:
            found.append(f"{name}: {len(after)} DMAs in a kernel that it was not handed over to")
    for look in looks:
        if look["command"] & 0x4:
            found.append(f"{look['dev']} is a bus master in a kernel that it was not handed over to")
    if "running, but not in the handover" in machine.console():
        found.append("a device was running when the kernel after that found it")
    machine.figures["tries"] = 1
    machine.figures["outcome"] = "DMA goes on; stopped by the reboot"
    fail_if(found)


@guarded
def removed(machine, begin, iommu, behind="bus", driver=""):
    """A device nobody has retrieved yet is removed: it is stopped, the other one goes on,
    and the session can be finished without it. driver: it has that one by then.

    Seen to fail: without iommu_liveupdate_removed() the kernel warns in
    __iommu_group_free_device(); without the reference that is kept for the HWPT the
    iommufd cannot be retrieved any more, and the other device is lost with it.
    """
    run = begin(iommu=iommu, behind=behind, append="rig.hwpt=each")
    base = ask(run, "memory", "memory")
    run.rest(STEADY_S)
    idle_update(run, 2)
    if driver:
        machine.put(f"/sys/bus/pci/devices/{run.ready['nic']}/driver_override", driver)
        machine.put("/sys/bus/pci/drivers_probe", run.ready["nic"])
    gone = ask(run, "remove nic", "removed")
    away = ask(run, "look nic", "look")
    ask(run, "rescan", "uncoop")
    again = ask(run, "look nic", "look")
    resume(run, "resume without-nic")
    run.rest(AFTER_S)
    after = ask(run, "memory", "memory")
    run.stop()
    run.nic = False
    found = run.judge()
    found = [text for text in found if not text.startswith("nic: ")]
    found += check_cells(run.machine, "f")
    if gone["errno"]:
        found.append(f"the removal failed: {errno_name(gone['errno'])}")
    if away["there"] or not again["there"] or again["command"] & 0x4:
        found.append(f"removed: {away}; found again: {again}")
    late_dma = dma_after(run, "nic", gone["host_real_ns"] // 1000)
    if late_dma:
        found.append(f"{len(late_dma)} DMAs of a device that was removed")
    must_see("the device do DMA until then", dma_after(run, "nic", run.idle_begin))
    if after["iommu_pages"] >= base["iommu_pages"]:
        found.append(f"{after['iommu_pages']} IOMMU pages with one device, {base['iommu_pages']} with both")
    if "not taken over, bus mastering is off: it was removed" not in machine.console() \
            or "liveupdate: was reset" not in machine.console():
        found.append("the log does not say that the device was stopped and reset")
    machine.figures["outcome"] = "stopped, blocked, reset; the others go on, finished without it"
    fail_if(found)


@guarded
def removed_held(machine, begin, iommu):
    """A device whose file a session holds is removed: that waits, as for each VFIO file.

    Seen to fail: with nobody holding the file (no 'kill cdev-nic') the device goes at once.
    """
    run = begin(iommu=iommu)
    run.rest(STEADY_S)
    idle_update(run, 2)
    ask(run, "kill cdev-nic", "killed")
    ask(run, "remove nic", "removing")
    time.sleep(2)
    resume(run)
    run.rest(AFTER_S)
    early = [e for e in machine.events if e["ev"] == "removed"]
    for sender in run.senders.values():
        sender.stop()
    senders, run.senders = run.senders, {}
    time.sleep(0.5)
    since = len(machine.events)
    ask(run, "close nic", "closed")
    gone = machine.wait("removed", since=since)
    away = ask(run, "look nic", "look")
    run.stop()
    run.senders = senders
    found = run.judge()
    run.draw()
    if early:
        found.append("the device was removed while its file was held")
    if gone["errno"] or away["there"]:
        found.append(f"not removed when its file was closed: {gone}, {away}")
    machine.figures["tries"] = 1
    machine.figures["outcome"] = "waits until the file is closed; DMA goes on until then"
    fail_if(found)


@guarded
def outgoing(machine, begin, iommu):
    """Between preserve and jump: what stops the device is seen by the freeze at the latest.

    Seen to fail: without the trylock of pci_liveupdate_freeze() the jump is not refused,
    and hangs, as the shutdown waits for the lock; and with a removing process that has
    inherited the file, since the device is not removed when the file is closed.
    """
    run = begin(iommu=iommu)
    run.rest(STEADY_S)
    ask(run, "preserve", "uncoop")
    ask(run, "preserved", "uncoop", what="preserved")
    run.rest(1)
    for sender in run.senders.values():
        sender.stop()
    senders, run.senders = run.senders, {}
    time.sleep(0.5)
    ask(run, "stopped", "uncoop", what="stopped")
    ask(run, "preserve", "uncoop")
    ask(run, "remove nic", "removing")
    time.sleep(1)
    answer = ask(run, "reboot", "reboot")
    ask(run, "undo", "uncoop")
    since = len(machine.events)
    ask(run, "close nic", "closed")
    gone = machine.wait("removed", since=since)
    ask(run, "rescan", "uncoop")
    again = ask(run, "look nic", "look")
    run.stop()
    run.senders = senders
    found = run.judge() + check_cells(run.machine, "h")
    if answer["errno"] != errno.EBUSY or "is being reset or unbound" not in machine.console():
        found.append(f"the jump was not refused because of the removal: {answer}")
    if gone["errno"] or not again["there"]:
        found.append(f"not removed in the end: {gone}, {again}")
    machine.figures["outcome"] = "reset allowed; detach and removal refuse the jump; undone"
    fail_if(found)


@guarded
def memory_lost(machine, begin, iommu, how, letter, append="", law=""):
    """A process throws out of the retrieved memfd what the device is writing to: the pages
    are nobody else's until the device has left its restored HWPT.

    Seen to fail: without memfd_liveupdate_hold() the device writes into the memory of the
    process that gets the pages next. law: what is broken.
    """
    run = begin(iommu=iommu, sound=False, rate=FRAMES_PER_S_SLOW, append=f"{append} liveupdate.break={law}" if law else append, **WORKING)
    run.rest(STEADY_S)
    idle_update(run, 2)
    ask(run, how, "uncoop", what=how)
    alone = wall_us()
    worked = work(run)
    run.nic = False                     # what it has received is gone with the pages
    run.stop()
    found = run.judge() + check_cells(run.machine, letter)
    must_see("DMA into what was thrown away", dma_after(run, "nic", alone))
    machine.figures["worked_mb"] = worked["bytes"] >> 20
    machine.figures["worked_huge_mb"] = worked["huge_bytes"] >> 20
    machine.figures["outcome"] = "DMA goes on, into pages that nobody else gets"
    if law:
        must_see("DMA into another process's memory", worked["bad"])
        machine.figures["outcome"] = "DMA goes on, into another process's memory"
        return
    if worked["bad"]:
        found.append(f"{worked['bad']} words of another process's memory were written to")
    fail_if(found)


@guarded
def starved(machine, begin, iommu):
    """A process cannot retrieve: half of the memory is too much, then files are short.
    The pages are nobody else's meanwhile, and later the next process gets all.

    To see it fail: without `retry` in luo_retrieve_file() the second retrieve gives ENOSPC as the
    first one did, and the session can never be finished.
    """
    run = begin(iommu=iommu, rate=FRAMES_PER_S_SLOW // 2, **WORKING)
    run.rest(STEADY_S)
    idle_update(run, 2)
    ask(run, "starve", "uncoop", what="starve")
    worked = work(run)
    ask(run, "short", "uncoop", what="short")
    ask(run, "fed", "uncoop", what="fed")
    resume(run)
    run.rest(AFTER_S)
    run.stop()
    found = run.judge() + check_cells(run.machine, "l")
    must_see("a file that was filled in part",
             re.search(r"cannot be retrieved: [1-9]\d* of its \d+ folios are in it", machine.console()))
    machine.figures["worked_mb"] = worked["bytes"] >> 20
    machine.figures["outcome"] = "DMA goes on, into pages that nobody else gets; retrieved later"
    if worked["bad"]:
        found.append(f"{worked['bad']} words of another process's memory were written to")
    fail_if(found)


@guarded
def handler_missing(machine, begin, iommu):
    """The next kernel has no vfio-pci: the cdev waits, and nothing else does.

    To see it fail: -ENOENT from luo_file_deserialize_one(), since no session can be
    retrieved then, now or later.
    """
    run = begin(iommu=iommu, sound=False)
    run.rest(1)
    idle_update(run, 2, "next=initcall_blacklist=vfio_pci_init")
    ask(run, "no-handler", "uncoop", what="no-handler")
    alone = wall_us()
    run.rest(1)
    run.nic = False                     # nobody looks at what it has received
    run.stop()
    found = run.judge() + check_cells(run.machine, "r")
    must_see("DMA of a device whose file waits", dma_after(run, "nic", alone))
    machine.figures["outcome"] = "DMA goes on, the file waits"
    fail_if(found)


@guarded
def sleeps(machine, begin, iommu):
    """The machine is to suspend, to hibernate, and to go back to a hibernated kernel, while a
    device is preserved, and while it is incoming. And a device is to be preserved while the
    machine goes to sleep.

    Seen to fail: without pci_liveupdate_pm() each of these sleeps is granted, and so is the
    preserve.
    """
    run = begin(iommu=iommu, rate=FRAMES_PER_S_SLOW, limit_s=240)
    run.rest(STEADY_S)
    ask(run, "preserve", "uncoop", what="preserve")
    ask(run, "sleep preserved", "uncoop", what="sleep")
    ask(run, "undo", "uncoop", what="undo")
    ask(run, "sleep undone", "uncoop", what="sleep")
    ask(run, "going-to-sleep", "uncoop", what="going-to-sleep")
    # The first preserve has loaded the kernel of stage 2.
    idle_update(run, 3)
    ask(run, "sleep incoming", "uncoop", what="sleep")
    resume(run)
    ask(run, "sleep finished", "uncoop", what="sleep")
    run.rest(AFTER_S)
    run.stop()
    found = run.judge() + check_cells(run.machine, "s")
    machine.figures["outcome"] = "EBUSY until the session is undone or finished; DMA goes on"
    rule = "the machine is about to suspend or hibernate"
    if f"cannot be preserved: {rule}" not in machine.console():
        found.append(f"the log does not say '{rule}'")
    fail_if(found)


@guarded
def pasids(machine, begin, iommu):
    """A PASID is attached, and another one replaced, while the device is preserved.

    Seen to fail: with iommu_liveupdate_frozen() always false, both are granted.
    """
    run = begin(iommu=iommu, sound=False)
    run.rest(STEADY_S)
    ask(run, "pasids", "uncoop", what="pasids")
    run.update(2)
    run.rest(AFTER_S)
    run.stop()
    found = run.judge() + check_cells(run.machine, "t")
    machine.figures["outcome"] = "EBUSY until the preserve is undone; DMA goes on"
    fail_if(found)


GIVEN_UP_KB = 48 << 10          # of the 66 MB of the memfd
GIVEN_UP_GIGANTIC_KB = 1 << 20
SLACK_KB = 16 << 10             # that the kernel may have come to need meanwhile


def give_up(run, letter, outcome, options="", how=""):
    """What nobody can retrieve is given up: what the memory was used for before the finish, and after it."""
    run.rest(1)
    idle_update(run, 2, options)
    before = ask(run, "memory", "memory")
    ask(run, f"give-up {how}".strip(), "uncoop", what="give-up")
    after = ask(run, "memory", "memory")
    run.machine.send("off")
    run.machine.finish()
    run.machine.figures["lost"] = "not judged"
    run.machine.figures["outcome"] = outcome
    return before, after, check_cells(run.machine, letter)


@guarded
def given_up(machine, begin, iommu):
    """The memory of a retrieve that failed is freed by finish, if no device needs it.

    To see it fail: memfd_liveupdate_discard() left out of memfd_luo_finish().
    """
    run = begin(iommu=iommu, sound=False, append="rig.preserve=memfd")
    before, after, found = give_up(run, "q", "freed when the session is finished")
    machine.figures["free_kb"] = [before["free_kb"], after["free_kb"]]
    if after["free_kb"] < before["free_kb"] + GIVEN_UP_KB:
        found.append(f"the memory is not back: {before['free_kb']} kB were free before, {after['free_kb']} kB after")
    fail_if(found)


@guarded
def huge_given_up(machine, begin, iommu, pages=64):
    """The huge pages that nobody retrieved go to the pool with the finish, if no device needs them.

    To see it fail: discard() left out of finish_held() in hugetlb_liveupdate.c.
    """
    run = begin(iommu=iommu, sound=False, append=f"rig.preserve=memfd hugepages={pages} rig.hugetlb=21")
    before, after, found = give_up(run, "v", "in the pool when the session is finished")
    machine.figures["huge_free"] = [before["huge_free"], after["huge_free"]]
    must_see("huge pages that are not in the pool", before["huge_free"] < pages)
    for when, got in (("before", before), ("after", after)):
        if got["huge"] != pages:
            found.append(f"the pool has {got['huge']} pages {when} the finish, not {pages}")
    if after["huge_free"] != pages:
        found.append(f"of {pages} huge pages {after['huge_free']} are free after the finish")
    fail_if(found)


@guarded
def size_lacking(machine, begin, iommu):
    """The next kernel has no pages of 1 GiB: the memory is refused by name, and is the host's when it is given up.

    To see it fail: the folio_put() left out of discard() in hugetlb_liveupdate.c.
    """
    run = begin(iommu=iommu, sound=False, append="rig.preserve=memfd hugepagesz=1G hugepages=2 rig.hugetlb=30", memory="8G")
    before, after, found = give_up(run, "C", "refused by name; the memory is the host's when the session is finished",
                                   "next=clearcpuid=pdpe1gb", "size")
    machine.figures["free_kb"] = [before["free_kb"], after["free_kb"]]
    if "memfd with pages of 1048576 KiB cannot be made" not in machine.console():
        found.append("the log does not say of which size the pages are")
    if after["free_kb"] < before["free_kb"] + GIVEN_UP_GIGANTIC_KB - SLACK_KB:
        found.append(f"the memory is not back: {before['free_kb']} kB were free before, {after['free_kb']} kB after")
    fail_if(found)


@guarded
def frozen_file(machine, begin, iommu):
    """
    Huge pages of a memfd that is preserved: nothing is put into it or taken out of it, also by those
    who have it mapped, and what was not there is. When that is undone all of it works again.

    To see it fail: freeze() of hugetlb_liveupdate.c does nothing.
    """
    run = begin(iommu=iommu, append="hugepages=64 rig.hugetlb=21")
    run.rest(STEADY_S)
    got = ask(run, "frozen", "frozen")
    run.rest(1)
    run.stop()
    found = run.judge() + check_cells(run.machine, "u")
    machine.figures["outcome"] = "`EPERM`, and nothing has changed; when it is undone it works again"
    free = [got[key] for key in ("before", "preserved", "after", "punched", "again")]
    machine.figures["huge_free"] = free
    # Of four pages three are there first; at the end none is, and then four.
    if free != [free[0] + n for n in (0, -1, -1, 3, -1)]:
        found.append(f"huge pages that are free, one after the other: {free}")
    if got["wrong"] or got["left"]:
        found.append(f"{got['wrong']} words of it were changed while it was preserved, {got['left']} were left when it was undone")
    fail_if(found)


@guarded
def punched(machine, begin, iommu, append=""):
    """
    A page is thrown out of the memory when it is mapped already: the device goes on with what the file does not
    have any more, so that it is not preserved.

    To see it fail: check_leaf() of iommufd/liveupdate.c does not compare addresses.
    """
    run = begin(iommu=iommu, append=append)
    run.rest(STEADY_S)
    answer = ask(run, "replace-page", "uncoop", what="replace-page")
    run.rest(1)
    run.stop()
    found = run.judge()
    machine.figures["tries"] = 1
    machine.figures["outcome"] = "preserve is refused, and says where; DMA goes on"
    if answer["errno"] != errno.EINVAL or "cannot be preserved: the file has another page there now" not in machine.console():
        found.append(f"{errno_name(answer['errno'])}, expected EINVAL and that the file has another page")
    fail_if(found)


DIFFERS = 1


@guarded
def punched_after(machine, begin, iommu, append=""):
    """
    The same in the next kernel, between the retrieve and the map: the comparison says where, and as long
    as nothing is replaced the pages that the device writes to are nobody else's.

    To see it fail: verify_differs() of iommu_pt_verify.h finds nothing.
    """
    run = begin(iommu=iommu, sound=False, rate=FRAMES_PER_S_SLOW, append=append, **WORKING)
    run.rest(STEADY_S)
    idle_update(run, 2)
    answer = ask(run, "verify-elsewhere", "elsewhere")
    alone = wall_us()
    worked = work(run)
    run.nic = False                     # what it has received is gone with the pages
    run.stop()
    found = run.judge()
    must_see("DMA into what was thrown away", dma_after(run, "nic", alone))
    machine.figures.update(tries=1, worked_mb=worked["bytes"] >> 20, worked_huge_mb=worked["huge_bytes"] >> 20)
    machine.figures["outcome"] = "the comparison finds it; DMA goes on, into pages that nobody else gets"
    if not answer["result"] & DIFFERS or not answer["iova"]:
        found.append(f"the comparison says {answer}")
    if worked["bad"]:
        found.append(f"{worked['bad']} words of another process's memory were written to")
    fail_if(found)


TABLES = 1000


@guarded
def charged(machine, begin, iommu):
    """
    Whoever adopts tables has them charged to his memory cgroup, as if he had made them.

    To see it fail: iommu_pages_restore() in place of iommu_pages_adopt().
    """
    run = begin(iommu=iommu, sound=False, append="rig.adopt=1")
    since = len(machine.events)
    machine.send(f"tables {TABLES}")
    machine.wait("tables", since=since)
    run.rest(1)
    idle_update(run, 2)
    resume(run, "charged")
    got = machine.wait("charged", since=run.idle_since)
    run.rest(1)
    run.stop()
    found = run.judge()
    machine.figures["charged_pages"] = got["tables_bytes"] // 4096
    machine.figures["outcome"] = "charged to the group"
    if got["tables_bytes"] < TABLES * 4096:
        found.append(f"{got['tables_bytes'] // 4096} pages of tables are charged to the group, {TABLES} were adopted")
    fail_if(found)


@guarded
def hold_broken(machine, begin, iommu):
    """Negative: the devices are let go when a process dies."""
    run = begin(iommu=iommu, append="liveupdate.break=hold")
    run.rest(STEADY_S)
    idle_update(run, 2)
    end = ask(run, "kill iommufd", "killed")
    time.sleep(AFTER_S)
    run.nic = run.sound = False
    run.stop()
    run.judge()
    for name in run.preserved:
        late_dma = dma_after(run, name, end["host_real_ns"] // 1000 + 300_000)
        must_see(f"the {name} stop", not late_dma)
        must_see(f"the {name} do DMA before", dma_after(run, name, run.idle_begin))


CASES = [
    Case("uncoop-states", "all that can be asked of a device, in each state", bind(every_answer, iommu="vtd-scalable"),
         debug=True, fault="every request in every state"),
    Case("uncoop-kill", "SIGKILL after each step of retrieve, rebuild and replace", bind(killed, iommu="vtd-scalable"),
         debug=True, fault="process killed after each step"),
    Case("uncoop-kill-adopt", "the same with the restored tables adopted", bind(killed, iommu="vtd-scalable", append="rig.adopt=1"),
         fault="process killed after each step, adopting"),
    Case("uncoop-kill-legacy", "the same with the IOMMU in legacy mode", bind(killed, iommu="vtd-legacy"),
         fault="process killed after each step, legacy mode"),
    Case("hugetlb-kill", "the same with huge pages", bind(killed, iommu="vtd-scalable", append="hugepages=64 rig.hugetlb=21"),
         debug=True, fault="process killed after each step, with huge pages"),
    Case("uncoop-let-go", "SIGKILL after the replace: finished by closing, and let go", bind(let_go, iommu="vtd-scalable"),
         fault="process killed after replace, destroy, finish"),
    Case("uncoop-late", "odd orders, other work, and an agent that comes back late", bind(late, iommu="vtd-scalable"),
         fault="agent comes back late, retrieves in odd orders"),
    Case("uncoop-never", "nobody comes back, and the machine is rebooted", bind(never, iommu="vtd-scalable"),
         fault="agent never comes back"),
    Case("uncoop-remove", "a device that nobody has retrieved is removed", bind(removed, iommu="vtd-scalable"),
         fault="device removed before it is retrieved"),
    Case("uncoop-remove-legacy", "the same behind a root port, with the IOMMU in legacy mode",
         bind(removed, iommu="vtd-legacy", behind="port"),
         fault="device removed before it is retrieved, legacy mode"),
    Case("uncoop-remove-held", "a device that a session holds is removed", bind(removed_held, iommu="vtd-scalable"),
         fault="device removed while a session holds it"),
    Case("uncoop-outgoing", "reset, detach, removal between preserve and jump", bind(outgoing, iommu="vtd-scalable"),
         fault="device reset, detached, removed before the jump"),
    Case("uncoop-punch", "a process throws away the memory that a device writes to", bind(memory_lost, iommu="vtd-scalable", how="punch", letter="k"),
         fault="memory taken out of the memfd under the device"),
    Case("hugetlb-punch", "a process throws away the huge pages that a device writes to",
         bind(memory_lost, iommu="vtd-scalable", how="punch", letter="k", append="hugepages=64 rig.hugetlb=21"),
         debug=True, fault="huge pages taken out of the memfd under the device"),
    Case("hugetlb-punch-early", "negative: huge pages that are thrown away go to the pool at once",
         bind(memory_lost, iommu="vtd-scalable", how="punch", letter="k", append="hugepages=64 rig.hugetlb=21", law="pool"),
         kernel="lab", fault="huge pages go back to the pool while a device writes to them"),
    Case("uncoop-starve", "what a device writes to cannot be retrieved, and later it can",
         bind(starved, iommu="vtd-scalable"), debug=True, fault="no memory, and no files, to retrieve with"),
    Case("adopt-charged", "adopted tables are charged to the memory cgroup of who adopts",
         bind(charged, iommu="vtd-scalable"), kernel="systemd"),
    Case("handler-missing", "a file that no handler is registered for", bind(handler_missing, iommu="vtd-scalable"),
         fault="no vfio-pci in the next kernel"),
    Case("memfd-given-up", "memory that cannot be retrieved is freed if no device needs it",
         bind(given_up, iommu="vtd-scalable"), fault="no memory to retrieve a memfd that no device uses"),
    Case("hugetlb-size-lacking", "the next kernel has no huge pages of the size of a VM's: refused by name, and the memory is not lost",
         bind(size_lacking, iommu="vtd-scalable"), fault="the next kernel has no huge pages of the size of a VM's, which no device uses"),
    Case("hugetlb-given-up", "huge pages that are not retrieved go to the pool if no device needs them",
         bind(huge_given_up, iommu="vtd-scalable"), debug=True, fault="no file to retrieve a memfd of huge pages that no device uses"),
    Case("hugetlb-frozen", "huge pages of a memfd that is preserved, and when that is undone", bind(frozen_file, iommu="vtd-scalable"),
         fault="huge pages are put into a preserved memfd, or taken out of it"),
    *(Case(f"{name}-map", f"a page of {what} is thrown away when it is mapped, before the preserve",
           bind(punched, iommu="vtd-scalable", append=append), fault=f"a page of {what} is thrown away when it is mapped, before the preserve")
      for name, what, append in (("punch", "a memfd", ""), ("hugetlb-punch", "a memfd of huge pages", "hugepages=64 rig.hugetlb=21"))),
    *(Case(f"{name}-rebuild", f"what a device writes to of {what} is thrown away before it is mapped again",
           bind(punched_after, iommu="vtd-scalable", append=append),
           fault=f"what a device writes to of {what} is thrown away after the retrieve, before the map")
      for name, what, append in (("punch", "a memfd", ""), ("hugetlb-punch", "a memfd of huge pages", "hugepages=64 rig.hugetlb=21"))),
    Case("uncoop-sleep", "suspend and hibernation are refused while a device is preserved or incoming",
         bind(sleeps, iommu="vtd-scalable"), kernel="host", fault="the machine is to suspend"),
    Case("uncoop-pasids", "PASIDs are attached and replaced while a device is preserved", bind(pasids, iommu="vtd-scalable"),
         fault="a PASID of a preserved device is attached or replaced"),
    Case("uncoop-hold-broken", "negative: devices are let go when a process dies", bind(hold_broken, iommu="vtd-scalable"),
         kernel="lab"),
]
