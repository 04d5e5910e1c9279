# SPDX-License-Identifier: GPL-2.0-only
"""guestmemfs: memory of VMs that persists by itself."""

import collections
import errno
import re

from rig.cases.adopt import adopt
from rig.cases.uncooperative import check_cells, fail_if, killed
from rig.cases.update import NODES, large
from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.lib.run import AFTER_S, FRAMES_PER_S_SLOW, STEADY_S, bind, clean, errno_name, guarded, must_see

MAY_BE_LOST = "/sys/module/guestmemfs/parameters/may_be_lost"


def look(machine, what):
    since = len(machine.events)
    machine.send(f"files {what}")
    said = machine.wait("files", since=since, timeout_s=100)
    if said.get("bad", 1):
        raise Failed(f"guestmemfs after 'files {what}': {said}; the console has it")
    return {key: said[key] for key in ("units", "free", "inodes", "inodes_free")}


def without_open(space):
    """What there is of it in the next kernel: 'files begin' leaves a file open that it has removed, of one unit."""
    return {**space, "free": space["free"] + 1, "inodes_free": space["inodes_free"] + 1}


def files(machine, append="", iommu="vtd-scalable"):
    """
    Files are made, and there after each of two jumps: names, owners, sizes, limits and every
    word; but for one that was removed while it was open. What they are filled with is neither the
    host's memory nor in its page cache.

    To see it fail: huge_fault() of file.c takes as much memory of the host's, or counts it as
    NR_FILE_PAGES.
    """
    machine.start(iommu=iommu, append=f"rig.devs=none rig.preserve=0 rig.updates=2 guestmem=512M {append}".strip())
    machine.wait("ready")
    before = look(machine, "begin")
    for stage in (2, 3):
        since = len(machine.events)
        machine.send("update")
        machine.wait("boot", stage=stage, since=since, timeout_s=60)
        machine.wait("nothing", since=since)
        after = look(machine, "check")
        if after != without_open(before):
            raise Failed(f"before {before}, after {after}: not only the file that nobody has any more is gone")
    machine.figures["space"] = after
    aside = machine.wait("aside")
    machine.figures["filled_kb"], machine.figures["host_kb"] = aside["kb"], [aside["free_kb"], aside["cached_kb"]]
    machine.send("off")
    machine.finish()


def rules(machine):
    """What it refuses, and with what; memory of another owner, and behind an end, is zero."""
    machine.start(append="rig.devs=none rig.preserve=0 guestmem=64M")
    machine.wait("ready")
    look(machine, "rules")
    machine.send("off")
    machine.finish()


def leaf(machine):
    """Mapped in leaves of 1 GiB. To see it fail: no case for PUD_ORDER in file.c."""
    machine.start(append="rig.devs=none rig.preserve=0 guestmem=2G", memory="8G")
    machine.wait("ready")
    look(machine, "leaf")
    machine.send("off")
    machine.finish()


def option(machine, value, said="", nodes=None, err=0, **options):
    """
    What the command line asks for: is it done, with so many MiB on each node, or else refused by a sentence in the log?
    To see it fail: what follows the size is not looked at in parse_guestmem() (guestmem-suffix).
    """
    machine.start(append=f"rig.devs=none rig.preserve=0 guestmem={value}", **options)
    machine.wait("ready")
    machine.send("files mount")
    came = machine.wait("files").get("errno", 0)
    machine.send("off")
    machine.finish()
    if came != err:
        raise Failed(f"mount: {errno_name(came)}, expected {errno_name(err)}")
    if said not in machine.console():
        raise Failed(f"the log does not say {said!r}")
    found = collections.Counter()
    for size, node in re.findall(r"guestmemfs: (\d+) MiB at 0x[0-9a-f]+ on node (\d+)", machine.console()):
        found[int(node)] += int(size)
    if nodes and found != nodes:
        raise Failed(f"MiB by node: {dict(found)}, expected {nodes}")


def late(machine):
    """
    The next kernel's command line has guestmem=, and the previous one set nothing apart: refused by a sentence in the log.
    To see it fail: nothing said in guestmemfs_carve().
    """
    machine.start(append="rig.devs=none rig.preserve=0")
    machine.wait("ready")
    since = len(machine.events)
    machine.send("update next=guestmem=64M")
    machine.wait("boot", stage=2, since=since, timeout_s=60)
    machine.wait("nothing", since=since)
    machine.send("files mount")
    came = machine.wait("files", since=since).get("errno", 0)
    machine.send("off")
    machine.finish()
    if came != errno.EINVAL:
        raise Failed(f"mount: {errno_name(came)}, expected EINVAL")
    if "no memory set apart: the previous kernel had none" not in machine.console():
        raise Failed("the log does not say that the previous kernel had none")


def stays(machine, said, append="", how="jump", lost=True):
    """
    A jump into a kernel that would not get the files is refused, and they are as before.
    With guestmemfs.may_be_lost it is made, and they are gone; lost: or else such a jump as it should
    be brings them along.

    To see it fail: guestmemfs_kexec() returns 0.
    """
    machine.start(append=f"rig.devs=none rig.preserve=0 guestmem=512M {append}".strip())
    machine.wait("ready")
    before = look(machine, "begin")
    since = len(machine.events)
    machine.send(f"files {how}")
    code = machine.wait("stays", since=since)["errno"]
    if code != errno.ENOEXEC:
        raise Failed(f"the jump: {errno_name(code)}; expected ENOEXEC")
    if look(machine, "check") != before:
        raise Failed("the files are not as before")
    if lost:
        machine.put(MAY_BE_LOST, 1)
    since = len(machine.events)
    machine.send("update")
    machine.wait("boot", stage=2, since=since, timeout_s=60)
    if not lost:
        look(machine, "check")
    machine.send("off")
    machine.finish()
    if said not in machine.console():
        raise Failed(f"the log does not say {said!r}")


KHO_IS_OFF = "Disabling liveupdate because KHO is disabled"


def goes_nowhere(machine, what):
    """This kernel has kho=off: no jump is made, and what 'files WHAT' sees is as before. Then it is switched off."""
    before = look(machine, what)
    since = len(machine.events)
    machine.send("files jump")
    code = machine.wait("stays", since=since)["errno"]
    if code != errno.ENOEXEC:
        raise Failed(f"the further jump: {errno_name(code)}; expected ENOEXEC")
    after = look(machine, what)
    if after != before:
        raise Failed(f"before the jump that was refused {before}, after it {after}")
    machine.send("off")
    machine.finish()
    if "without kho=on nothing is handed over" not in machine.console():
        raise Failed("the log does not say that nothing is handed over")
    return before


def next_off(machine):
    """
    The next kernel has kho=off: the files are there, whatever its command line says, but KHO hands nothing on, so
    that no further jump is made. To see it fail: guestmemfs.may_be_lost=1.
    """
    machine.expected.append(KHO_IS_OFF)
    machine.start(append="rig.devs=none rig.preserve=0 rig.updates=2 guestmem=512M")
    machine.wait("ready")
    before = look(machine, "begin")
    since = len(machine.events)
    machine.send("update next=kho=off")
    machine.wait("boot", stage=2, since=since, timeout_s=60)
    machine.wait("nothing", since=since)
    after = goes_nowhere(machine, "check")
    if after != without_open(before):
        raise Failed(f"before {before}, after {after}: not only the file that nobody has any more is gone")
    machine.figures["outcome"] = "the files are there; no further jump is made (`ENOEXEC`), and they are as before"


@guarded
def next_off_held(machine, begin, iommu):
    """
    The same with a live update: the devices are stopped, since this kernel has no sessions, and so nobody can
    take anything from the file that was preserved for one. To see it fail: as above.
    """
    machine.expected.append(KHO_IS_OFF)
    run = begin(iommu=iommu, append="guestmem=512M rig.guestmem=1 rig.updates=2")
    run.update(2, "idle=1 next=kho=off", until="idle")
    for sender in run.senders.values():
        sender.stop()
    goes_nowhere(machine, "held")
    for device in run.ready["nic"], run.ready["audio"]:
        if f"{device}: liveupdate: not taken over, bus mastering is off: Live Update is switched off" not in machine.console():
            raise Failed(f"the log does not say that {device} was stopped")
    machine.figures["outcome"] = "the devices are stopped by name; the file is kept (`EBUSY`); no further jump is made (`ENOEXEC`)"


def kept(machine, how):
    """
    Files in a session: as long as it is not finished nothing can be taken from them, and
    the finish frees what has no name and was not retrieved.
    """
    machine.start(append="rig.devs=none rig.preserve=0 guestmem=64M")
    machine.wait("ready")
    look(machine, "keep")
    since = len(machine.events)
    machine.send("update")
    machine.wait("boot", stage=2, since=since, timeout_s=60)
    look(machine, how)
    machine.send("off")
    machine.finish()


def damaged(machine):
    """
    One file's part of the image is damaged: it is refused, the others can be used, and no
    memory is given out any more, because nobody knows which of it devices write to. Nor does
    the machine jump into a kernel that would give it out.
    """
    machine.start(append="rig.devs=none rig.preserve=0 guestmem=512M liveupdate.break=image")
    machine.wait("ready")
    look(machine, "begin")
    since = len(machine.events)
    machine.send("update")
    machine.wait("boot", stage=2, since=since, timeout_s=60)
    look(machine, "damaged")
    machine.send("off")
    machine.finish()
    for said in ("refused: its checksum is not that of what it says; its memory is kept", "no memory is given out in this kernel"):
        if said not in machine.console():
            raise Failed(f"the log does not say {said!r}")


def stale(machine):
    """
    What was preserved and not retrieved before one more jump is nobody's any more: files can be
    removed again, and one without a name is gone.
    """
    machine.start(append="rig.devs=none rig.preserve=0 rig.updates=2 guestmem=64M")
    machine.wait("ready")
    before = look(machine, "keep")
    for stage in (2, 3):
        since = len(machine.events)
        machine.send("update")
        machine.wait("boot", stage=stage, since=since, timeout_s=60)
        machine.wait("nothing", since=since)
    after = look(machine, "stale")
    if after["free"] != before["units"] or after["inodes_free"] != before["inodes"] - 1:
        raise Failed(f"before {before}, after {after}: something is still there")
    machine.send("off")
    machine.finish()


def states(machine):
    """
    What is answered to whoever opens a file by its name, in each state that it can be in, is what docs/states.md says.
    To see it fail: no pins in shrink() of file.c.
    """
    machine.start(append="rig.devs=none rig.preserve=0 guestmem=64M")
    machine.wait("ready")
    look(machine, "states")
    since = len(machine.events)
    machine.send("update")
    machine.wait("boot", stage=2, since=since, timeout_s=60)
    look(machine, "states-after")
    machine.send("off")
    machine.finish()
    machine.figures.update(lost="not judged", outcome="as the table says")
    fail_if(check_cells(machine, "i"))


@guarded
def held(machine, begin, iommu):
    """
    As long as a device has a file, before the jump and after it, whoever comes first, it
    cannot be cut, removed or replaced. To see it fail: no pins in check_removable() of super.c,
    or in shrink() of file.c.
    """
    run = begin(iommu=iommu, append="guestmem=512M rig.guestmem=1")
    run.rest(STEADY_S)
    look(machine, "held")
    run.update(2, "next=rig.idle=1", until="idle")
    look(machine, "held")
    since = len(machine.events)
    machine.send("resume")
    machine.wait("resumed", since=since, timeout_s=60)
    look(machine, "held")
    run.rest(AFTER_S)
    run.stop()
    clean(run)


@guarded
def plain(machine, begin, iommu, append=""):
    """
    A kexec without a live update under a device that writes to a file: the file is there,
    the device is blocked, and nothing more is written to it: no frame is in it that was sent
    when the next kernel ran, and none comes later.

    To see it fail: no pci_clear_master() in pci_device_shutdown(), and IOMMUs left as they are by
    intel_iommu_shutdown().
    """
    run = begin(iommu=iommu, append=f"guestmem=256M rig.guestmem=1 rig.preserve=0 {append}".strip())
    run.rest(STEADY_S)
    run.update(2, until="nothing")
    said = look(machine, "still")
    machine.figures["units_free"] = said["free"]
    latest = machine.wait("latest")["sent_ns"]
    for sender in run.senders.values():
        sender.stop()
    machine.send("off")
    machine.finish()
    booted = [at for at, line in run.clock.lines if "Linux version" in line][-1]
    machine.figures["latest_before_boot_us"] = (booted - latest) // 1000
    must_see("frames in the file", latest)
    if latest > booted:
        raise Failed(f"a frame was written to the file {(latest - booted) // 1000} us after the next kernel had begun")


@guarded
def cut(machine, begin, iommu, law="", after=False, how="cut"):
    """
    Negative: a file is emptied under the device, or removed, and the next owner of the memory sees
    what the device writes. after: in the next kernel, before anybody has come for it. To see it fail: with
    another law broken, so that it is EBUSY.
    """
    # DMA ends when the ring is full, and must not before the memory is the next owner's.
    run = begin(iommu=iommu, sound=False, rate=FRAMES_PER_S_SLOW, append=f"guestmem=256M rig.guestmem=1 liveupdate.break={law}")
    run.rest(STEADY_S)
    if after:
        run.update(2, "next=rig.idle=1", until="idle")
    since = len(machine.events)
    machine.send(f"files {how}")
    said = machine.wait("cut", since=since, timeout_s=60)
    if said["errno"] or not said["words"]:
        raise Failed(f"the law was broken, and: {said}")
    for sender in run.senders.values():
        sender.stop()
    machine.finish()
    machine.figures["outcome"] = f"{said['words']} words of the next owner's were written to by the device"


CASES = [
    Case("guestmem-files", "files of guestmemfs are there after a kexec", files),
    *(Case(f"guestmem{name}", "the DMA memory is a file of guestmemfs" + more,
           bind(large, iommu=f"vtd-{mode}", updates=updates, append="guestmem=512M rig.guestmem=1"), debug=not name)
      for name, mode, updates, more in (("", "scalable", 1, ""), ("-legacy", "legacy", 1, ", legacy mode"))),
    Case("guestmem-rules", "what guestmemfs refuses, and what it makes zero", rules, debug=True),
    Case("guestmem-leaf", "files of guestmemfs are mapped in leaves of 1 GiB", leaf),
    *(Case(f"guestmem-{name}", f"guestmem={value}", bind(option, value=value, said=said, err=err, **options), fault=fault)
      for name, value, said, err, options, fault in (
          ("odd", "3M", "has to be a multiple of 2M", errno.EINVAL, {}, "guestmem= asks for half a unit"),
          ("suffix", "64M@near", "ignored: expected SIZE or SIZE@NODE", errno.EINVAL, {}, "guestmem= has something behind the size that is no node"),
          ("no-node", "64M@7", "there is no node 7", errno.EINVAL, {}, "guestmem= names a node that is not there"),
          ("too-much", "100G", "free; ask for less", errno.EINVAL, {}, "guestmem= asks for more than there is"))),
    Case("guestmem-late", "guestmem= for a kernel that comes by kexec", late, fault="guestmem= is new on the next kernel's command line"),
    # Half of what has no node is from each.
    Case("guestmem-nodes", "memory of a node, and of all nodes", bind(option, value="64M@1 guestmem=32M", nodes={0: 16, 1: 80}, devices=NODES),
         kernel="host"),
    Case("guestmem-kept", "files of guestmemfs in a session, one without a name", bind(kept, how="kept")),
    Case("guestmem-given-up", "files of guestmemfs in a session, and nobody comes for them", bind(kept, how="given-up")),
    Case("guestmem-stale", "files of guestmemfs in a session that nobody retrieves before the next jump", stale,
         fault="a session with files of guestmemfs is lost at one more jump"),
    Case("guestmem-stays", "no jump without KHO as long as there are files", bind(stays, said="without kho=on nothing is handed over", append="kho=off liveupdate=off"),
         fault="the next kernel would not get the files of guestmemfs: no KHO"),
    *(Case(f"guestmem-segments{name}", f"no jump into what kexec_load(2) has loaded as long as there are files{more}",
           bind(stays, said="was loaded by kexec_load(2), which hands nothing over", append=append, how="jump-segments", lost=False),
           fault=f"the next kernel would not get the files of guestmemfs: kexec_load(2){more}")
      for name, more, append in (("", "", ""), ("-off", ", live update off", "liveupdate=off"))),
    Case("guestmem-next-off", "the next kernel has kho=off: the files are there, and no further jump is made", next_off,
         fault="the next kernel has kho=off, and there are files of guestmemfs"),
    Case("guestmem-next-off-held", "the same in a live update: devices are stopped, and the file is kept", bind(next_off_held, iommu="vtd-scalable"),
         fault="the next kernel has kho=off, and a device has a file of guestmemfs"),
    Case("guestmem-unread", "no jump into a kernel that does not know guestmemfs", bind(stays, said='does not read the handover format "guestmemfs-v1"'),
         next_kernel="prev", fault="the next kernel does not know guestmemfs"),
    Case("guestmem-states", "what is answered in each state of a file of guestmemfs", states,
         fault="somebody else asks for a file of guestmemfs, in each state of it"),
    Case("guestmem-held", "nothing is taken from a file that a device has", bind(held, iommu="vtd-scalable"),
         fault="a file of guestmemfs is cut, removed or replaced under the device"),
    Case("guestmem-plain", "a kexec without a live update: the file is there, and nobody writes to it", bind(plain, iommu="vtd-scalable"),
         fault="nothing is preserved before the jump, and the memory is a file of guestmemfs"),
    *(Case(f"guestmem-plain-off{name}", "the same in kernels that do no live update" + more,
           bind(plain, iommu=f"vtd-{mode}", append="liveupdate=off"),
           fault="live update is off in both kernels, and the memory is a file of guestmemfs" + more)
      for name, mode, more in (("", "scalable", ""), ("-legacy", "legacy", ", legacy mode"))),
    Case("guestmem-adopt", "the tables of a file of guestmemfs are adopted",
         bind(adopt, iommu="vtd-scalable", append="guestmem=512M rig.guestmem=1")),
    Case("guestmem-kill", "SIGKILL after each step, with a file of guestmemfs",
         bind(killed, iommu="vtd-scalable", append="guestmem=512M rig.guestmem=1"), debug=True,
         fault="process killed after each step, with a file of guestmemfs"),
    Case("guestmem-damaged", "a damaged file of guestmemfs is refused, and no memory is given out", damaged, kernel="lab",
         fault="a file's part of the image of guestmemfs is damaged"),
    Case("guestmem-cut", "negative: a file is cut although a device has it", bind(cut, iommu="vtd-scalable", law="cut"),
         kernel="lab", fault="memory of a file of guestmemfs is given out again under the device"),
    Case("guestmem-cut-after", "negative: it does not come over that a file was preserved",
         bind(cut, iommu="vtd-scalable", law="pin", after=True),
         kernel="lab", fault="the same after the jump, before anybody has come for it"),
    # Not before the jump: whoever has preserved the file has it open.
    Case("guestmem-unlinked", "negative: a file is removed although a device has it",
         bind(cut, iommu="vtd-scalable", law="cut", after=True, how="unlinked"),
         kernel="lab", fault="a file of guestmemfs is removed after the jump, before anybody has come for it"),
    # The tables of processes have the memory cached without PAT as well.
    Case("guestmem-nopat", "files of guestmemfs are there after a kexec, nopat", bind(files, append="nopat")),
    Case("guestmem-files-off", "the same without live update", bind(files, append="liveupdate=off")),
]
