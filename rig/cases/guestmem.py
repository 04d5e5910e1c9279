# SPDX-License-Identifier: GPL-2.0-only
"""guestmemfs: memory of VMs that persists by itself."""

from rig.lib.case import Case
from rig.lib.machine import Failed
from rig.cases.update import update
from rig.lib.run import bind


def look(machine, what):
    since = len(machine.events)
    machine.send(f"files {what}")
    said = machine.wait("files", since=since, timeout_s=100)
    if said.get("bad", 1):
        raise Failed(f"guestmemfs after 'files {what}': {said}; the console has it")
    return {key: said[key] for key in ("units", "free", "inodes", "inodes_free")}


def files(machine, append="", iommu="vtd-scalable"):
    """
    Files are made, and there after each of two jumps: names, owners, sizes, limits and every
    word; but for one that was removed while it was open.
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
        if after != {**before, "free": before["free"] + 1, "inodes_free": before["inodes_free"] + 1}:
            raise Failed(f"before {before}, after {after}: not only the file that nobody has any more is gone")
    machine.figures["space"] = after
    machine.send("off")
    machine.finish()


CASES = [
    Case("guestmem-files", "files of guestmemfs are there after a kexec", files),
    *(Case(f"guestmem{name}", "the DMA memory is a file of guestmemfs" + more,
           bind(update, iommu=f"vtd-{mode}", updates=updates, append="guestmem=512M rig.guestmem=1"))
      for name, mode, updates, more in (("", "scalable", 1, ""), ("-legacy", "legacy", 1, ", legacy mode"),
                                        ("-three-updates", "scalable", 3, ", three updates in a row"))),
    Case("guestmem-files-off", "the same without live update", bind(files, append="liveupdate=off")),
]
