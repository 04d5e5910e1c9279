# SPDX-License-Identifier: GPL-2.0-only
"""
Hosts without an IOMMU: user-space drivers give physical addresses to their devices, which go on
with them while the kernel is replaced. Nothing but the device's own program keeps it to its memory,
so what the referee looks for is a frame that lands elsewhere, and memory that others get.
"""

import errno
import re

from rig.cases.devices import jumped_us, pci_command, BUS_MASTER
from rig.cases.discovery import steps
from rig.cases.handover import KEPT
from rig.cases.uncooperative import WORKING, ask, check_cells, idle_update, killed, removed, resume, work
from rig.cases.update import REPLACES_AFTER_UPDATE, refusals, undo
from rig.lib.case import Case
from rig.lib.iommu import NoIommu
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, FRAMES_PER_S_SLOW, STEADY_S, bind, clean, errno_name, guarded, must_see
from rig.referee import noiommu

NONE = "none"
UNKNOWN = "no IOMMU translates for it in this kernel"
GOES_ON = "goes on with its DMA, and no IOMMU keeps it to its memory"


@guarded
def update(machine, begin, updates=1, **options):
    """One update or more, and some replaces; everything arrives, in the same physical pages."""
    run = begin(iommu=NONE, append=f"rig.updates={updates} {options.pop('append', '')}".strip(), **options)
    run.rest(STEADY_S)
    for stage in range(2, updates + 2):
        run.update(stage)
        run.rest(AFTER_S)
    taint = int(machine.read("/proc/sys/kernel/tainted"))
    run.replace(REPLACES_AFTER_UPDATE)
    run.rest(0.5)
    run.stop()
    must_see("where the memory is in the machine", noiommu.pieces(machine.events, "preserved"))
    machine.figures["tainted"] = taint
    # TAINT_USER: said in the log, too.
    must_see("the kernel be tainted", taint & 1 << 6)
    if machine.console().count(GOES_ON) != updates * len([d for d in (run.ready["nic"], run.ready["audio"]) if d]):
        raise Failed("the log does not say of each device, in each kernel, that it goes on without an IOMMU")
    clean(run)


@guarded
def answers(machine, begin):
    """All that can be asked of a device in each state is answered as behind an IOMMU."""
    run = begin(iommu=NONE)
    run.rest(STEADY_S)
    idle_update(run, 2)
    ask(run, "incoming", "uncoop")
    resume(run, "states")
    run.rest(AFTER_S)
    run.stop()
    machine.figures["outcome"] = "refused, or granted with no effect; DMA goes on"
    # There is no group whose type could be written, nor one that is owned.
    found = [text for text in check_cells(run.machine, "a")
             if not text.startswith(("'group type' in state", "'other driver' in state 'incoming': ENODEV"))]
    if found:
        raise Failed("; ".join(found))
    clean(run)


@guarded
def replaced(machine, begin):
    """A process throws a page out of the memory under the device: the file has another one in
    its place then. No device writes to it, so that nothing is lost."""
    run = begin(iommu=NONE)
    run.rest(STEADY_S)
    answer = ask(run, "replace-page", "uncoop", what="replace-page")
    run.rest(1)
    run.stop()
    machine.figures["tries"] = 1
    machine.figures["outcome"] = "preserve is refused, and says where; DMA goes on"
    if answer["errno"] != errno.EINVAL or "cannot be preserved: the file has another page there now" not in machine.console():
        raise Failed(f"a punched memfd: {errno_name(answer['errno'])}, expected EINVAL and that the file has another page")
    clean(run)


@guarded
def privileges(machine, begin):
    """Whoever may not do raw I/O can neither preserve nor retrieve the device; nor can anybody retrieve
    it before the mode is allowed. Each is refused for now: then the update goes on."""
    run = begin(iommu=NONE, append="vfio.enable_unsafe_noiommu_mode=0", first="vfio.enable_unsafe_noiommu_mode=1")
    run.rest(STEADY_S)
    ask(run, "preserve-unprivileged", "uncoop")
    run.rest(1)
    idle_update(run, 2)
    ask(run, "retrieve-unprivileged", "uncoop")
    resume(run)
    run.rest(AFTER_S)
    run.stop()
    tried = {e["event"]: e["errno"] for e in machine.events if e["ev"] == "cell" and e["state"] == "without an IOMMU"}
    machine.figures["tries"] = len(tried)
    machine.figures["outcome"] = "EPERM each time; DMA goes on, and the update works"
    if len(tried) != 3 or set(tried.values()) != {errno.EPERM}:
        raise Failed(f"{tried}, expected EPERM each time")
    clean(run)


@guarded
def rebuilt_elsewhere(machine, begin, law=""):
    """
    A process maps other pages in place of those that the device writes to, and attaches it: that
    is refused, and the pages stay nobody else's. law: what is broken, so that others get them.
    """
    # DMA ends when the ring is full, and must not before the memory is somebody else's.
    run = begin(iommu=NONE, sound=False, rate=FRAMES_PER_S_SLOW, append=f"liveupdate.break={law}" if law else "", **WORKING)
    run.rest(STEADY_S)
    idle_update(run, 2)
    answer = ask(run, "elsewhere", "elsewhere")
    worked = work(run)
    until = worked["host_real_ns"] // 1000
    run.nic = False                     # what it receives is not in the file any more
    run.stop()
    found = run.judge()
    late = run.log.times(noiommu.NIC, answer["host_real_ns"] // 1000, until)
    machine.figures.update(tries=1, worked_mb=worked["bytes"] >> 20, worked_huge_mb=worked["huge_bytes"] >> 20,
                           worked_bad=worked["bad"])
    must_see("DMA into what the file does not have any more", late)
    if law:
        must_see("DMA into another process's memory", worked["bad"])
        machine.figures["outcome"] = "DMA goes on, into another process's memory"
        return
    machine.figures["outcome"] = "refused; DMA goes on, into pages that nobody else gets"
    if (answer["attach"], answer["finish"]) != (errno.EINVAL, errno.EBUSY):
        found.append(f"attach: {errno_name(answer['attach'])}, finish: {errno_name(answer['finish'])}; expected EINVAL and EBUSY")
    if "it goes on with other memory than the HWPT maps" not in machine.console():
        found.append("the log does not say why")
    if worked["bad"]:
        found.append(f"{worked['bad']} words of another process's memory were written to")
    if found:
        raise Failed("; ".join(found))


@guarded
def bystander(machine, begin, law=""):
    """
    A device that is not preserved: bus mastering alone keeps it off. law: that is broken, and the
    referee must see it write in the next kernel.
    """
    run = begin(iommu=NONE, bystander=True, append="hugepages=120" + (f" liveupdate.break={law}" if law else ""))
    run.rest(STEADY_S)
    before = pci_command(machine, run.bystander["nic"])
    run.update(2)
    after = pci_command(machine, run.bystander["nic"])
    run.rest(AFTER_S)
    begun = jumped_us(run)
    run.stop()
    times, addresses, _ = run.log.dma[noiommu.NIC]
    homes = noiommu.pieces(machine.events, "bystander")
    its = [t for t, a in zip(times, addresses) if any(b <= a < e for b, e in homes)]
    late = [t for t in its if t >= begun]
    machine.figures.update(tries=1, bystander_dmas_after=len(late), outcome=f"{len(late)} DMAs in the next kernel, bus mastering is "
                           + ("on" if after & BUS_MASTER else "off"))
    must_see("the bystander be a bus master before the update", before & BUS_MASTER)
    must_see("the bystander do DMA before the update", len(its) - len(late) > 100)
    if law:
        must_see("DMA of the bystander in the next kernel", late)
        return
    found = run.judge()
    if late or after & BUS_MASTER:
        found.append(f"a device that is not preserved may do DMA in the next kernel (PCI command {after:#x})")
    if found:
        raise Failed("; ".join(found))


@guarded
def other_mode(machine, begin, iommu, first, both, why):
    """The next kernel uses an IOMMU and the first one did not, or the other way round: nothing is taken over."""
    run = begin(iommu=iommu, append=f"rig.salvage=1 rig.hwpt=each {both}", first=first)
    run.rest(STEADY_S)
    end = run.update(2)
    run.rest(AFTER_S)
    run.stop()
    found = []
    for name in ("nic", "audio"):
        if f"{run.ready[name]} refused: {why}" not in machine.console() and \
                f"{run.ready[name]}: liveupdate: not taken over, bus mastering is off: {why}" not in machine.console():
            found.append(f"the log does not say that {name} is refused: {why}")
        if end[name] == KEPT:
            found.append(f"{name} was taken over")
        left = next(e for e in machine.events if e["ev"] == "found" and e["what"] == name)
        if left["pci_command"] & BUS_MASTER:
            found.append(f"{name} is a bus master in the next kernel")
    if GOES_ON in machine.console():
        found.append("the log says that a device goes on without an IOMMU")
    machine.figures["outcome"] = "refused and stopped"
    machine.figures["tries"] = 1
    if found:
        raise Failed("; ".join(found))


def domains(machine, at):
    """What the view says of the domains that came."""
    since = len(machine.events)
    machine.send(f"view {at}")
    machine.wait("viewed", since=since)
    text = "".join(e["text"] for e in machine.events[since:] if e["ev"] == "view")
    return [line for line in text.splitlines() if line.startswith("domain ") and "kernel=incoming" in line]


@guarded
def removed_unreset(machine, begin):
    """
    A device that nobody has retrieved is removed, and cannot be reset: its bus mastering is off, which
    somebody who finds it again could change. What it writes to stays.

    Seen to fail: with the domain let go of when the device is removed, before it is reset.
    """
    run = begin(iommu=NONE, sound=False)
    run.rest(STEADY_S)
    idle_update(run, 2)
    nic = run.ready["nic"]
    machine.put(f"/sys/bus/pci/devices/{nic}/reset_method", " ")
    before = domains(machine, "before")
    ask(run, "remove nic", "removed")
    after = domains(machine, "after")
    for sender in run.senders.values():
        sender.stop()
    machine.send("off")
    machine.finish()
    machine.figures.update(tries=1, outcome="stopped; its memory is kept until the next reboot")
    must_see("that it cannot be reset", f"{nic}: liveupdate: cannot be reset" in machine.console())
    must_see("the domain in the view", before)
    if before != after:
        raise Failed(f"the domain was let go of: {before}, then {after}")


def users(lines):
    """How many devices each of these domains waits for."""
    return sorted(int(re.search(r" devices=(\d+)", line).group(1)) for line in lines)


@guarded
def found_again(machine, begin):
    """
    Such devices are found again. One that still cannot be reset gets no driver, and what it writes to
    stays also when it is removed once more. The other one is reset, and only then its memory goes.

    Seen to fail: before pci_liveupdate_setup() asked whether memory waits for the reset.
    """
    run = begin(iommu=NONE, append="rig.hwpt=each")
    run.rest(STEADY_S)
    idle_update(run, 2)
    nic, audio = run.ready["nic"], run.ready["audio"]
    machine.put(f"/sys/bus/pci/devices/{nic}/reset_method", " ")
    said = {"before": users(domains(machine, "before"))}
    for name in ("nic", "audio"):
        ask(run, f"remove {name}", "removed")
    said["removed"] = users(domains(machine, "removed"))
    ask(run, "rescan", "uncoop", what="rescan")
    said["found"] = users(domains(machine, "found"))
    driver = machine.write(f"/sys/bus/pci/devices/{audio}/driver_override", "vfio-pci") or \
        machine.write("/sys/bus/pci/drivers_probe", audio)
    bound = machine.write("/sys/bus/pci/drivers/vfio-pci/unbind", audio)
    ask(run, "remove audio", "removed")
    said["removed again"] = users(domains(machine, "again"))
    for sender in run.senders.values():
        sender.stop()
    machine.send("off")
    machine.finish()
    machine.figures.update(tries=2, outcome="what cannot be reset gets no driver, and its memory is kept; the other one is reset first")
    must_see("a domain for each device in the view", said["before"] == [1, 1])
    log = machine.console()
    must_see("that neither can be reset", all(f"{bdf}: liveupdate: cannot be reset" in log for bdf in (nic, audio)))
    must_see("that one is reset later", f"{nic}: liveupdate: was reset" in log)
    found = []
    if said != {"before": [1, 1], "removed": [1, 1], "found": [0, 1], "removed again": [0, 1]}:
        found.append(f"devices that their memory waits for: {said}")
    if not bound:
        found.append(f"a driver has a device that was never reset ({driver})")
    if found:
        raise Failed("; ".join(found))


@guarded
def unknown_iommu(machine, begin):
    """
    The next kernel does not come to know that there is an IOMMU, as no table of the firmware's is read:
    nothing translates, as far as it knows, and nobody else has stopped what came from behind one.

    Seen to fail: without noiommu_refuse_others() in noiommu_adopt().
    """
    run = begin(iommu="vtd-scalable", sound=False)
    run.rest(STEADY_S)
    run.update(2, "idle=1 next=acpi=off", until="idle")
    left = pci_command(machine, run.ready["nic"]) & BUS_MASTER
    log = machine.console().rpartition("Linux version")[2]
    machine.figures.update(tries=1, outcome="stopped, by name")
    machine.close()
    if left or f"{run.ready['nic']}: liveupdate: not taken over, bus mastering is off: {UNKNOWN}" not in log:
        raise Failed(f"the device is {'' if left else 'not '}a bus master, or the log does not say that {UNKNOWN}")


CASES = [
    Case("noiommu", "live update without an IOMMU: DMA to physical addresses", update, debug=True),
    Case("noiommu-three-updates", "three live updates in a row without an IOMMU", bind(update, updates=3)),
    Case("noiommu-undo", "20 preserves undone under load without an IOMMU, then an update", bind(undo, iommu=NONE),
         fault="everything is preserved, and the session closed again, without an IOMMU"),
    Case("noiommu-kill", "SIGKILL after each step, without an IOMMU", bind(killed, iommu=NONE), debug=True,
         fault="process killed after each step, without an IOMMU"),
    Case("noiommu-states", "all that can be asked of a device without an IOMMU, in each state", answers,
         fault="every request in every state, without an IOMMU"),
    Case("noiommu-view", "the view at each step of an update without an IOMMU",
         bind(steps, iommu=NONE, shared=False)),
    Case("noiommu-adopt", "the restored tables are adopted, without an IOMMU", bind(update, append="rig.adopt=1")),
    Case("noiommu-refusals", "what the rules forbid is refused without an IOMMU", bind(refusals, iommu=NONE),
         fault="calls in the wrong order or with the wrong object, without an IOMMU"),
    Case("noiommu-remove", "a device without an IOMMU that nobody has retrieved is removed", bind(removed, iommu=NONE),
         fault="device removed before it is retrieved, without an IOMMU"),
    # iommufd is a module there, and VFIO makes groups, which the rig's kernel has none of.
    Case("noiommu-host", "live update without an IOMMU, a distribution's options", update, kernel="host"),
    # Seen to fail: without asking for dev->iommu in iommu_liveupdate_removed() the kernel stops.
    Case("noiommu-host-remove", "a device in a group that VFIO has made is removed, and was not retrieved",
         bind(removed, iommu=NONE, driver="vfio-pci"), kernel="host",
         fault="device in a group of VFIO's removed before it is retrieved, without an IOMMU"),
    Case("noiommu-punch", "memory that was punched is not preserved without an IOMMU", replaced,
         fault="a page of the memory is thrown away before the preserve, without an IOMMU"),
    Case("noiommu-privileges", "who may preserve and retrieve a device without an IOMMU", privileges,
         fault="no-IOMMU mode is not allowed, or the process is not privileged"),
    Case("noiommu-elsewhere", "other pages are mapped than the device writes to", rebuilt_elsewhere,
         fault="other pages are mapped than a device without an IOMMU writes to"),
    Case("noiommu-elsewhere-unasked", "negative: that is not refused", bind(rebuilt_elsewhere, law="pages"), kernel="lab"),
    Case("noiommu-bystander", "a device that is not preserved, without an IOMMU", bystander,
         fault="a device that is not preserved goes on, without an IOMMU"),
    Case("noiommu-bystander-master", "negative: without an IOMMU nothing but bus mastering blocks it",
         bind(bystander, law="master"), kernel="lab"),
    Case("noiommu-remove-unreset", "a device without an IOMMU is removed, and cannot be reset", removed_unreset,
         fault="device removed before it is retrieved, without an IOMMU, and it cannot be reset"),
    Case("noiommu-found-again", "such devices are found again; one can be reset then", found_again,
         fault="device removed without an IOMMU that could not be reset, and found again"),
    Case("noiommu-unknown", "a device that came from behind an IOMMU into a kernel that does not find it", unknown_iommu,
         fault="the next kernel does not find the IOMMU that the first one used"),
    Case("noiommu-to-iommu", "a device that came without an IOMMU into a kernel that uses one",
         bind(other_mode, iommu="vtd-scalable", first="intel_iommu=off rig.noiommu=1", both=NoIommu.allowed,
              why="it came without an IOMMU, and this kernel uses one"),
         fault="the next kernel uses an IOMMU, and the first one did not"),
    Case("noiommu-from-iommu", "a device that came from behind an IOMMU into a kernel without one",
         bind(other_mode, iommu="vtd-scalable", first="intel_iommu=on,sm_on", both=f"intel_iommu=off {NoIommu.allowed}",
              why="the IOMMU is turned off by the command line"),
         fault="the next kernel uses no IOMMU and allows no-IOMMU mode, and the first one used one"),
]
