# SPDX-License-Identifier: GPL-2.0-only
"""A VM in an unmodified QEMU, with a device of the host's, and what becomes of it."""

import errno
import functools
import time
import uuid

from rig.cases.command import continuo, facts, printed, program, says_ready
from rig.cases.library import agent_files
from rig.cases.vf import OWNED, TOKEN, clean_but, differences, pf_of, port, what_vfs_have
from rig.cases.way_back import PANIC, came_back, until
from rig.lib import disk
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, SHOWN_STEADY_S, STEADY_S, bind, clean, devices, errno_name, must_see
from rig.lib.vm import (AGENT, BROKER, BROKER_WITHOUT_P2P, CHANGES, HOST_DISK_MIB, MEMORY_MIB, NAME, PATIENCE_S, PROGRAM, QEMU, TAKE, UPDATE, broker,
                        guarded_vm)
from rig.referee import page, summary, wire

UNDONE = 4                              # of continuo update: it failed, and everything is as before
BALLOON_MIB = 64
DIMM_MIB = 128                          # of which a block of memory of x86 is one
RIGHT_MS = 1500                         # the next kernel has its own wall clock from the RTC, which counts seconds
BROKEN_S = 5                            # in which a law that was broken has to show
SLOW_PER_S = 50                         # frames: the ring of 4096 has to last for two tries, or beside other work


def host_files():
    return {**agent_files(), **program(), **broker()}


USER = 1000


def registered(run, user=0):
    """Wait until the agent knows the VM, and that it can be carried over. user: whose it is."""
    name = f"u{user}.{NAME}" if user else NAME
    deadline = time.monotonic() + run.machine.bound(PATIENCE_S)
    while True:
        status, data = continuo(run.machine, f"{AGENT} list")
        states = {row["vm"]: row["state"] for row in data["vm"]}
        if not status and states == {name: "idle"}:
            return
        if time.monotonic() > deadline:
            raise Failed(f"the agent does not know the VM: list ends with {status} and says {data}")
        time.sleep(0.2)


@guarded_vm
def steady(machine, begin, iommu):
    """Nothing happens: what the referee says of the VM then is its own noise."""
    run = begin(iommu=iommu)
    run.rest(STEADY_S)
    run.rest(AFTER_S)
    run.stop()
    clean(run)


def no_direct_io(run):
    """From memory without struct pages the disk is written through the page cache only, as the documentation says."""
    run.machine.send("direct")
    came = run.machine.wait("direct")
    if (came["direct"], came["cached"], came["ordinary"]) != (errno.EFAULT, 0, 0):
        raise Failed(f"O_DIRECT from the VM's memory: {errno_name(came['direct'])}, expected EFAULT; through the page cache: "
                     f"{errno_name(came['cached'])}; O_DIRECT from ordinary memory: {errno_name(came['ordinary'])}")


@guarded_vm
def update(machine, begin, iommu, updates=1, show=False, before=None, user=0, **options):
    """
    The VM goes on, and each thing that its tenant could notice is judged. before: what is tried before the update.
    With nic="vf" its device is a virtual function; the interface of the physical one, which the host's igb has, goes up
    after each update, and what was set for virtual functions is as it was.
    """
    found, vf = [], options.get("nic") == "vf"
    run = begin(iommu=iommu, prefix=BROKER_WITHOUT_P2P if options.get("sound") else BROKER, files=host_files(),
                append=f"rig.agent=1 rig.vm_uid={user}", **options)
    registered(run, user)
    if before:
        before(run)
    run.rest(SHOWN_STEADY_S if show else STEADY_S)
    had = what_vfs_have(run) if vf else None
    for stage in range(2, updates + 2):
        says_ready(machine, AGENT)
        run.update(stage)
        registered(run, user)
        run.rest(AFTER_S)
        if vf:
            port(run, "up")
            run.rest(AFTER_S)
            found += differences(had, what_vfs_have(run), f"kernel {stage}")
    run.stop()
    try:
        clean_but(run, found)
    finally:
        if show:
            print(summary.table(machine.figures))
            with open(machine.path("timeline.svg"), encoding="utf-8") as f:
                timeline = f.read()
            with open(machine.path("report.html"), "w", encoding="utf-8") as f:
                f.write(page.page("A VM lives through the replacement of the kernel below it", machine.figures, timeline,
                                  page.VM_HOW_TO_READ))


@guarded_vm
def reboot(machine, begin, iommu, nic=True):
    """
    Its tenant boots the VM again after an update, and it lives through the next update as before. nic="vf": its igbvf then asks the
    physical function's driver for what it needs, which that answers since its interface is up.
    """
    run = begin(iommu=iommu, prefix=BROKER, files=host_files(), append="rig.agent=1", reboots=True, rate=SLOW_PER_S, nic=nic)
    registered(run)
    run.rest(STEADY_S)
    for stage in (2, 3):
        run.update(stage)
        registered(run)
        run.rest(AFTER_S)
        if nic == "vf":
            port(run, "up")
        if stage == 2:
            run.reboot()
            run.rest(AFTER_S)
    run.stop()
    clean(run)
    machine.figures["outcome"] = "it boots, and the next update carries it over"


BACK_TO = "--back /host/next/bzImage --back-initrd /host/next/initramfs --back-append @/tmp/cmdline"
GATE = "/usr/bin/continuo"              # which without arguments ends with 2
SAYS_NO = f"the host is not well: {GATE} ended with 2"


@guarded_vm
def way_back(machine, begin, iommu):
    """
    The next kernel fails while its QEMU has the VM already and waits, and a watchdog, here the referee, raises an NMI: the
    VM goes on in the kernel that was left for this, in a third QEMU. In the next update the operator confirms, and it
    goes on in that kernel. To see it fail: no continuo_ready() in continuo_vm_take_flags() of
    lib/vm.c; the kernel refuses to move the device then.
    """
    machine.expected.append(PANIC)
    run = begin(iommu=iommu, prefix=BROKER, files=host_files(), append=f"rig.agent=1 rig.back=1 rig.health={GATE} unknown_nmi_panic", rate=SLOW_PER_S)
    registered(run)
    run.rest(STEADY_S)

    def gate_says_no(times):
        """All VMs are ready, and none moves."""
        heard = run.wire.status()["last"].heard_ns

        def said(what, times=1):
            return sum(what in line for _, line in run.clock.lines) >= times

        def runs():
            return run.wire.status()["last"].heard_ns != heard

        until(run, lambda: runs() or said(SAYS_NO, times) or said(" failed take "), PATIENCE_S)
        if runs():
            raise Failed("the VM runs in a kernel that nobody has confirmed")
        if not said(SAYS_NO, times):
            raise Failed("the gate is not asked")

    def fail():
        gate_says_no(1)
        since = len(machine.events)
        machine.qmp("inject-nmi")
        machine.wait("boot", since=since, timeout_s=PATIENCE_S)

    def confirm():
        gate_says_no(2)
        status, said = printed(machine, f"{AGENT} confirm")
        if status:
            raise Failed(f"continuo confirm ends with {status}: {said}")

    run.update(2, BACK_TO, meanwhile=fail)
    came_back(machine, "NMI: Not continuing")
    registered(run)
    run.rest(AFTER_S)
    run.update(3, BACK_TO, meanwhile=confirm)
    registered(run)
    run.rest(AFTER_S)
    run.stop()
    clean(run)
    machine.figures["outcome"] = "the VM goes on in the kernel that was left, in a third QEMU; the next update is confirmed"


def refused(run, *reasons):
    """The update is refused, for these reasons, and nothing has become of the VM."""
    since = len(run.clock.lines)
    status, data = continuo(run.machine, f"{UPDATE} update", PATIENCE_S)
    said = [line for _, line in run.clock.lines[since:]]
    if status != UNDONE:
        raise Failed(f"continuo update ends with {status} and says {data}, expected {UNDONE}")
    for reason in reasons:
        if not any(" refused " in line and reason in line for line in said):
            raise Failed(f"continuo-qemu does not refuse the VM for \"{reason}\"; it says {said}")
    # One of them is what the operator reads, all of them are in the log.
    if not any(reason in str(value) for reason in reasons for value in facts(data)):
        raise Failed(f"continuo update does not say why: {data}")
    registered(run)


@guarded_vm
def set_right(machine, begin, iommu):
    """
    QEMU's guest agent runs in the VM: its wall clock, which is behind by the time of the pause, is right again. To see
    it fail: no clock_mend() in qemu/take.c.
    """
    run = begin(iommu=iommu, prefix=BROKER, files=host_files(), append="rig.agent=1", agent=True)
    registered(run)
    run.rest(STEADY_S)
    run.update(2)
    run.read("what continuo-qemu says of the clock", lambda when, line: when > run.windows[-1][0] and " clock the guest's wall clock " in line)
    since = time.monotonic_ns()
    registered(run)
    run.rest(AFTER_S)
    run.stop()
    clean(run)
    said = [line for _, line in run.clock.lines if " clock the guest's wall clock " in line][-1].partition(" clock ")[2].strip()
    off = wire.wall_offset_ms([word for word in run.wire.words if word.heard_ns > since])
    machine.figures.update(outcome=said, guest_wall_offset_set_ms=off)
    must_see("the agent set the clock", "its agent has set it" in said)
    # That it was wrong is seen with vm-update.
    if abs(off) > RIGHT_MS:
        raise Failed(f"the VM's wall clock is {off} ms behind after its agent has set it")


@guarded_vm
def changed(machine, begin, iommu):
    """
    What its operator plugged into the VM stands against an update, by name, until it is plugged out again: the
    next QEMU would be started without it. A balloon in the VM does not: memory that it has given back is away
    after the update as before, and comes back when it is let go. To see it fail: no check_parts() in vm_check()
    and suspend() of qemu/vm.c; QEMU then refuses the state after the jump.
    """
    run = begin(iommu=iommu, prefix=BROKER, files=host_files(), append="rig.agent=1", more=CHANGES, rate=SLOW_PER_S)
    registered(run)
    run.rest(STEADY_S)
    run.qmp("object-add", **{"qom-type": "memory-backend-memfd"}, id="more", size=16 << 20)
    run.qmp("device_add", driver="virtio-rng-pci", id="hot", bus="slot1")
    refused(run, "object /objects/more (memory-backend-memfd) was plugged in", "device /machine/peripheral/hot (virtio-rng-pci) was plugged in")
    run.rest(STEADY_S)
    run.qmp("device_del", id="hot")
    run.qmp_until("the device to go", lambda names: "hot" not in [n["name"] for n in names], "qom-list", path="/machine/peripheral")
    refused(run, "object /objects/more (memory-backend-memfd) was plugged in")
    run.qmp("object-del", id="more")
    less = (MEMORY_MIB - BALLOON_MIB) << 20
    run.qmp("balloon", value=less)
    run.qmp_until("the balloon to fill", lambda b: b["actual"] == less, "query-balloon")
    run.update(2)
    registered(run)
    run.rest(AFTER_S)
    after = run.qmp("query-balloon")["actual"]
    if after != less:
        raise Failed(f"the VM has {after} bytes after the update, and had {less} before")
    run.qmp("balloon", value=MEMORY_MIB << 20)
    run.qmp_until("the balloon to empty", lambda b: b["actual"] == MEMORY_MIB << 20, "query-balloon")
    run.rest(AFTER_S)
    run.stop()
    clean(run)
    machine.figures["outcome"] = "refused by name until it is plugged out; the balloon goes over; then QEMU is told to quit"


@guarded_vm
def plugged_after(machine, begin, iommu):
    """
    After an update the VM is one like any other: memory is plugged in, which its QEMU has to map for the device in the
    address space that it was given, and which the guest takes; a device is plugged in and out. The memory stands against
    the next update by name, since the QEMU there would be started without it.
    """
    def unplugged(names):
        return "hot" not in [n["name"] for n in names]

    run = begin(iommu=iommu, prefix=BROKER, files=host_files(), append="rig.agent=1",
                more=("-m", f"{MEMORY_MIB}M,slots=1,maxmem=1G", *CHANGES), tenant="memhp_default_state=online", rate=SLOW_PER_S)
    registered(run)
    run.rest(STEADY_S)
    run.update(2)
    registered(run)
    run.rest(AFTER_S)
    run.qmp("object-add", **{"qom-type": "memory-backend-memfd"}, id="more", size=DIMM_MIB << 20)
    run.qmp("device_add", driver="pc-dimm", id="dimm", memdev="more")
    # 0 is success. "Advanced Configuration and Power Interface Specification", section "_OST (OSPM Status Indication)".
    run.qmp_until("the guest to take the memory", lambda slots: any(s.get("device") == "dimm" and s["status"] == 0 for s in slots),
                  "query-acpi-ospm-status")
    run.qmp("device_add", driver="virtio-rng-pci", id="hot", bus="slot1")
    run.rest(STEADY_S)
    run.qmp("device_del", id="hot")
    run.qmp_until("the device to go", unplugged, "qom-list", path="/machine/peripheral")
    size = run.qmp("query-memory-size-summary")
    refused(run, "object /objects/more (memory-backend-memfd) was plugged in", "device /machine/peripheral/dimm (pc-dimm) was plugged in")
    run.rest(AFTER_S)
    run.stop()
    clean(run)
    machine.figures["outcome"] = "memory and a device are plugged in after an update; the memory stands against the next one, by name"
    if size["plugged-memory"] != DIMM_MIB << 20:
        raise Failed(f"QEMU has {size['plugged-memory']} bytes of memory that was plugged in")


@guarded_vm
def stopped_by_qemu(machine, begin, iommu):
    """
    A device that can be reset through its bus only: a QEMU that takes a VM writes to its command register first,
    which ends its DMA, so that it is refused before. To see that: no device_bus_reset() in classify() of qemu/vm.c; the
    VM's first access to the device after the jump ends it.
    """
    run = begin(iommu=iommu, prefix=BROKER, files=host_files(), append="rig.agent=1", sound=True, rate=SLOW_PER_S)
    registered(run)
    run.rest(STEADY_S)
    refused(run, 'VFIO device "0000:00:05.0": a device that QEMU can reset only through its bus')
    run.rest(AFTER_S)
    run.stop()
    # When its QEMU has ended, such a device goes on, without bus mastering: what is played then is nobody's.
    run.sound = False
    clean(run)
    machine.figures["outcome"] = "refused by name; the VM goes on"


@guarded_vm
def peers(machine, begin, iommu):
    """
    Two devices on a kernel that lets one do DMA to the other's BARs, which QEMU has had mapped: said when the VM is started, and
    its update refused by name, as long as its operator does not say that the guest's drivers do no such thing (vm-two-devices).
    To see it fail: no look at DMA_BUF in vm_check_files() of qemu/vm.c; and without check_p2p() in learn(), too, the update is made.
    """
    run = begin(iommu=iommu, prefix=BROKER, files=host_files(), append="rig.agent=1", sound="port", rate=SLOW_PER_S)
    registered(run)
    run.rest(STEADY_S)
    open_ones = "QEMU has 2 VFIO devices open, and BARs as dma-buf"
    said = [line for _, line in run.clock.lines if " refused vfio-p2p " in line or " event the VM runs, and a live update will be refused" in line]
    must_see("continuo-qemu say at the start what will be refused", len(said) == 2 and open_ones in said[0])
    refused(run, open_ones)
    run.rest(AFTER_S)
    run.stop()
    clean(run)
    machine.figures["outcome"] = "refused by name; the VM goes on"


def said_by(machine, program):
    """How a program in the host ends, and all that it says."""
    since = len(machine.events)
    machine.send(f"remote {program}")
    status = machine.wait("ran", since=since, timeout_s=PATIENCE_S)["status"]
    return status, b"".join(bytes.fromhex(e["hex"]) for e in machine.events[since:] if e["ev"] == "printed").decode(errors="replace")


def token(machine, iommu):
    """
    A virtual function whose physical one user space has: QEMU ends when it starts, since it binds the device without a
    token, whatever its arguments say; continuo-qemu says so before. The physical function is refused, too; another device is not.
    To see it fail: no check_tokens() in args_check() of qemu/args.c; continuo-qemu starts QEMU then, which says "Permission denied".
    """
    disk.make(machine.path("host.img"), disk.qemu_files(machine.qemu), {}, {}, HOST_DISK_MIB)
    machine.start(iommu=iommu, nested=True, quiet_s=PATIENCE_S, files=broker(), devices=devices(machine.qemu, extra=[
        "-drive", "if=none,id=host,file=host.img,format=raw,cache=unsafe",
        "-device", "virtio-blk-pci,drive=host,addr=7.0,iommu_platform=on,disable-legacy=on"]),
        append=f"{machine.platform.early_console} rig.vm=1 {OWNED}")
    host = machine.wait("host", timeout_s=60)
    vf, other, pf = host["nic"], host["audio"], pf_of(machine)
    common = f"{QEMU} -nodefaults -no-user-config -display none -M q35 -accel kvm -S"
    device = "-object iommufd,id=i -device vfio-pci,iommufd=i,host="
    told = f",vf-token={uuid.UUID(bytes=TOKEN)}"
    broken = []

    def expect(program, status, *words):
        ended, said = said_by(machine, program)
        machine.figures["tries"] = machine.figures.get("tries", 0) + 1
        if ended != status or not all(word in said for word in words):
            broken.append(f"{program} ends with {ended}, expected {status}, and says {said}")

    for options in ("", told):
        since = len(machine.console())
        expect(f"{common} {device}{vf}{options}", 1, vf, "to iommufd", "Permission denied")
        if f"{vf}: VF token required to access device" not in machine.console()[since:]:
            broken.append(f"the kernel does not say of QEMU with '{options}' that it has to know a token")
    run = f"{' '.join(PROGRAM)} {{}} {NAME} -- {common} {device}{{}}"
    for command in ("check", "run"):
        for options in ("", told):
            expect(run.format(command, vf + options), 1, " refused vfio-token ", vf)
    expect(run.format("check", pf), 1, " refused vfio-token ", pf)
    expect(run.format("check", other), 0, "nothing stands against a live update")
    machine.send("off")
    machine.finish()
    machine.figures["outcome"] = "QEMU cannot bind it; continuo-qemu refuses it by name"
    if broken:
        raise Failed("; ".join(broken))


@guarded_vm
def nothing_preserved(machine, begin, iommu):
    """The same jump with QEMU as it is: all that the referee judges must be seen to end."""
    run = begin(iommu=iommu, append="rig.preserve=0")
    run.rest(STEADY_S)
    run.lose(2)
    time.sleep(AFTER_S)
    run.stop_without_vm()
    run.judge()
    figures, sid = machine.figures, run.preserved["nic"]
    must_see("lost frames", figures["frames_lost"] > figures["frames_per_s"])
    must_see("the DMA stop", not run.log.times(sid, run.updates[0][1]))
    must_see("the VM fall silent", run.wire.words[-1].heard_ns < run.windows[0][1])
    # What the VM was told is on its disk was there before the jump.
    if figures["disk_records_lost"]:
        raise Failed(f"{figures['disk_records_lost']} records that the VM was told of are not on its disk")
    figures["outcome"] = "the VM ends at the jump, and its DMA"


def negative(begin, iommu, lab, updates=1, hole=False):
    """A run with continuo-qemu of the laboratory, up to some time after the last update; the VM may be in
    any state then. hole: one page that the device uses is named to the laboratory."""
    run = begin(iommu=iommu, prefix=BROKER, files={**agent_files(), **program(), **broker(lab=True)}, append="rig.agent=1", lab=lab)
    registered(run)
    run.rest(STEADY_S)
    if hole:
        run.page = run.busiest_page()
        run.machine.send(f"write /host/vm/lab hole {run.page:#x}")
        run.machine.wait("written", errno=0)
    for stage in range(2, updates + 2):
        run.update(stage, whole=stage <= updates)
        if stage <= updates:
            registered(run)
            run.rest(AFTER_S)
    time.sleep(BROKEN_S)
    run.cut()
    return run


@guarded_vm
def page_left_out(machine, begin, iommu):
    """One page of the VM's memory left out of what its device reaches: faults there, and nowhere else."""
    run = negative(begin, iommu, "nothing", hole=True)
    run.judge()
    faults = [f for f in run.log.faults if f[1] == run.preserved["nic"]]
    must_see("a fault of the network device", faults)
    for when, _, _, address, _ in faults:
        if address is not None and address & ~0xfff != run.page:
            raise Failed(f"a fault at {address:#x}, but the page left out is {run.page:#x}")
        if when < run.updates[0][0]:
            raise Failed("a fault before the update")
    machine.figures["outcome"] = "faults at that page once the HWPT is replaced, and nowhere else"


@guarded_vm
def twice(machine, begin, iommu):
    """
    In the second update QEMU gets the state of the first one, with the memory of the second.
    What the VM's disk has done since is in its memory: QEMU refuses the state, and there is
    no VM any more.
    """
    run = negative(begin, iommu, "again", updates=2)
    run.judge()
    must_see("the VM end", machine.figures["frames_lost"] > 0 and run.wire.words[-1].heard_ns < run.windows[-1][1])
    said = [line for _, line in run.clock.lines if line.startswith("qemu-system-x86_64: VQ ")]
    must_see("QEMU refuse what is of another time than the memory", said)
    machine.figures["outcome"] = f"QEMU refuses it ({said[0].partition(': ')[2].strip()}), and the VM ends"


def taken_again(begin, iommu, lab, gives_up, **options):
    """An update in which continuo-qemu of the laboratory gives up, and takes the VM when it is started once more."""
    def start_again():
        run.read("continuo-qemu to give up", lambda _, line: gives_up in line)
        run.machine.send(f"spawn {TAKE}")

    run = begin(iommu=iommu, prefix=BROKER, files={**agent_files(), **program(), **broker(lab=True)}, append="rig.agent=1",
                lab=lab, rate=SLOW_PER_S, **options)
    registered(run)
    run.rest(STEADY_S)
    run.update(2, meanwhile=start_again)
    registered(run)
    run.rest(AFTER_S)
    run.stop()
    clean(run)
    return run


@guarded_vm
def file_moved(machine, begin, iommu):
    """
    In the next kernel another file has the name of the one with the VM's memory: no QEMU gets anything of the
    VM. With its name back the VM is taken; DMA goes on all the while, and each frame is answered. To see it
    fail: no backing_same() in find_backings() of qemu/take.c.
    """
    taken_again(begin, iommu, "moved", "is another file than the one that was preserved", memory="guestmem")
    machine.figures["outcome"] = "no QEMU is given it; with the name back the VM is taken over; DMA goes on"


@guarded_vm
def refused_twice(machine, begin, iommu):
    """
    Both QEMUs that continuo-qemu starts refuse the VM's state, and it gives up. Nothing is over: started
    once more, it has a third one take the VM. DMA goes on all the while, and each frame is answered.
    """
    run = taken_again(begin, iommu, "refuse", " failed take ")
    said = [line for _, line in run.clock.lines if line.startswith("continuo-qemu-lab: the stream is damaged")]
    must_see("two QEMUs refuse the VM", len(said) == 2)
    machine.figures["outcome"] = "it gives up; started again, it has a third QEMU take the VM; DMA goes on"


# A machine in a machine, both in software, takes all there is.
VM = functools.partial(Case, kernel="vm", alone=True)

CASES = [
    VM("vm-update", "continuo update carries a VM in an unmodified QEMU over", bind(update, iommu="vtd-scalable")),
    VM("vm-two-updates", "the same VM in two updates, one after the other",
       bind(update, iommu="vtd-scalable", updates=2)),
    VM("vm-qemu-10.2", "the same with QEMU 10.2, which is built from Debian's source package",
       bind(update, iommu="vtd-scalable", updates=2, older=True), setup="qemu-10.2"),
    VM("vm-agent", "a VM with QEMU's guest agent, which sets its wall clock right after an update",
       bind(set_right, iommu="vtd-scalable"), setup="qemu-ga"),
    VM("vm-reboot", "after an update the VM boots again, and lives through the next one", bind(reboot, iommu="vtd-scalable")),
    VM("vm-two-devices", "a VM with an igb (MSI-X) and an HD audio device (INTx), in two updates, one after the other",
       bind(update, iommu="vtd-scalable", updates=2, sound="port", rate=SLOW_PER_S)),
    VM("vm-bus-reset", "a VM with a device that QEMU would stop when it takes the VM", bind(stopped_by_qemu, iommu="vtd-scalable"),
       fault="a VM has a device that can be reset through its bus only"),
    VM("vm-p2p", "a VM with two devices that could do DMA to each other's BARs", bind(peers, iommu="vtd-scalable"),
       fault="the devices of a VM can do DMA to each other's BARs"),
    VM("vm-changed", "what is plugged into a VM stands against its update; its balloon does not", bind(changed, iommu="vtd-scalable"),
       fault="a device and an object are plugged into a VM before the update"),
    VM("vm-plugged-after", "memory and a device are plugged into a VM after an update", bind(plugged_after, iommu="vtd-scalable"),
       fault="memory is plugged into a VM after an update, and there is to be another one"),
    VM("vm-way-back", "the next kernel hangs while its QEMU has the VM already: it goes on in the one that was left; the next update is confirmed",
       bind(way_back, iommu="vtd-scalable"), fault="the next kernel hangs while a QEMU of it has the VM already"),
    Case("vm-token", "a virtual function whose physical one user space has is refused by name, and cannot be QEMU's", bind(token, iommu="vtd-scalable"),
         kernel="vm", fault="QEMU is given a VF whose PF user space has"),
    VM("vm-hugetlb", "a VM whose memory is of huge pages of 2 MiB, as many as the host has",
       bind(update, iommu="vtd-scalable", memory="huge")),
    VM("vm-gigantic", "a VM whose memory is one huge page of 1 GiB, which is all that the host has",
       bind(update, iommu="vtd-scalable", memory="gigantic")),
    VM("vm-vf", "a VM with a virtual function whose PF the host's own driver has, in two updates, one after the other",
       bind(update, iommu="vtd-scalable", updates=2, nic="vf", rate=SLOW_PER_S)),
    VM("vm-vf-reboot", "the same boots again after an update", bind(reboot, iommu="vtd-scalable", nic="vf")),
    VM("vm-vf-legacy", "the same in one, VT-d in legacy mode", bind(update, iommu="vtd-legacy", nic="vf")),
    VM("vm-legacy", "a VM on a host whose VT-d is in legacy mode", bind(update, iommu="vtd-legacy")),
    VM("vm-mixed", "a VM whose memory is in a memfd of huge pages and, from an offset on, in a file of guestmemfs",
       bind(update, iommu="vtd-scalable", memory="huge+guestmem")),
    VM("vm-guestmem", "a VM whose memory is a file of guestmemfs",
       bind(update, iommu="vtd-scalable", memory="guestmem", before=no_direct_io)),
    VM("vm-backends", "a VM whose memory is in a memfd and, from an offset on, in a file of guestmemfs",
       bind(update, iommu="vtd-scalable", memory="memfd+guestmem")),
    VM("vm-memfds", "a VM whose memory is in a memfd and in one of huge pages",
       bind(update, iommu="vtd-scalable", memory="memfd+huge")),
    VM("vm-sizes", "a VM whose memory is of huge pages of 2 MiB and one of 1 GiB, which are all that the host has",
       bind(update, iommu="vtd-scalable", memory="huge+gigantic")),
    *(VM(f"vm-{name}-legacy", f"a VM with an igb and an HD audio device whose memory is {what}, on a host whose VT-d is in legacy mode",
         bind(update, iommu="vtd-legacy", memory=memory, sound="port", rate=SLOW_PER_S))
      for name, memory, what in (("hugetlb", "huge", "of huge pages of 2 MiB"), ("gigantic", "gigantic", "one huge page of 1 GiB"),
                                 ("guestmem", "guestmem", "a file of guestmemfs"))),
    VM("vm-user", "a VM of a user who is not root, whose memory is a file of guestmemfs",
       bind(update, iommu="vtd-scalable", memory="guestmem", user=USER)),
    VM("vm-guestmem-moved", "another file has the name of the one with the VM's memory", bind(file_moved, iommu="vtd-scalable"),
       fault="another file has the name of the one with the VM's memory"),
    VM("demo-vm", "what 'make demo-vm' shows: a VM with a virtual function, and the picture", bind(update, iommu="vtd-scalable", nic="vf", show=True)),
    VM("vm-nothing-preserved", "negative: a VM in QEMU, and a jump with nothing preserved",
       bind(nothing_preserved, iommu="vtd-scalable"), fault="nothing of a VM is preserved before the jump"),
    VM("vm-page-left-out", "negative: one page of the VM's memory left out of the rebuilt IOAS",
       bind(page_left_out, iommu="vtd-scalable"), fault="one page of a VM's memory is left out of the rebuilt IOAS"),
    VM("vm-refused-twice", "both new QEMUs refuse the VM, and continuo-qemu is started again", bind(refused_twice, iommu="vtd-scalable"),
       fault="both new QEMUs refuse the VM"),
    VM("vm-twice", "negative: QEMU gets the VM's state of the update before", bind(twice, iommu="vtd-scalable"),
       fault="QEMU gets the state of the update before"),
    VM("vm-steady", "a VM in an unmodified QEMU answers frames, and no update", bind(steady, iommu="vtd-scalable")),
]
